/**
 * Notices changes of the machine's links and addresses: cable in, Wi-Fi changed, address gained or lost.
 *
 * Subscribes to the kernel's notifications and calls back once per burst with what kinds of things changed; whoever
 * wants details reads them through `Netlink`. Notifications may be lost under pressure: that counts as a change of
 * everything. Needs no privilege.
 */
import { O_NONBLOCK } from '../../shared/sys/abi.ts';
import { Arena } from '../../shared/sys/arena.ts';
import { check, Errno, lastErrno, libc, SysError } from '../../shared/sys/libc.ts';
import { FdWatcher } from '../../shared/sys/poll.ts';
import { openRouteSocket } from './netlink.ts';
import { splitMessages } from './netlinkBytes.ts';
import { NetlinkType } from './netlinkMessages.ts';

export interface NetworkChange {
  readonly links: boolean;
  readonly addresses: boolean;
}

export class NetlinkMonitor {
  readonly #fd: number;
  readonly #arena: Arena;
  readonly #watcher: FdWatcher;
  readonly #onChange: (change: NetworkChange) => void;

  /** Starts watching; does not keep the process alive. `onError` gets what cannot be handled here. Throws SysError. */
  constructor(onChange: (change: NetworkChange) => void, onError: (error: unknown) => void) {
    this.#arena = new Arena(BUFFER_BYTES);
    this.#fd = openRouteSocket(this.#arena, GROUPS, O_NONBLOCK);
    this.#onChange = onChange;
    this.#watcher = new FdWatcher(this.#fd, () => this.#read(), onError);
    this.#watcher.unref();
  }

  close(): void {
    this.#watcher.close();
    check(libc.close(this.#fd), 'close');
  }

  #read(): void {
    let change: NetworkChange = { links: false, addresses: false };
    for (let turn = 0; turn < DATAGRAMS_PER_TURN; turn++) {
      const length = libc.recv(this.#fd, this.#arena.address, BUFFER_BYTES, 0);
      if (length >= 0) {
        change = merge(change, readChange(this.#arena.bytes.subarray(0, length)));
        continue;
      }
      const errno = lastErrno();
      if (errno === Errno.ENOBUFS) {
        change = { links: true, addresses: true };
      } else if (errno === Errno.EAGAIN) {
        break;
      } else if (errno !== Errno.EINTR) {
        throw new SysError('recv', errno, 'watching the network');
      }
    }
    if (change.links || change.addresses) {
      this.#onChange(change);
    }
  }
}

/** What a datagram of notifications says has changed. */
export function readChange(bytes: Uint8Array): NetworkChange {
  let change: NetworkChange = { links: false, addresses: false };
  for (const { type } of splitMessages(bytes)) {
    change = merge(change, {
      links: type === NetlinkType.NewLink || type === NetlinkType.DeleteLink,
      addresses: type === NetlinkType.NewAddress || type === NetlinkType.DeleteAddress,
    });
  }
  return change;
}

function merge(a: NetworkChange, b: NetworkChange): NetworkChange {
  return { links: a.links || b.links, addresses: a.addresses || b.addresses };
}

const BUFFER_BYTES = 65536;
const DATAGRAMS_PER_TURN = 64;
/** RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR. */
const GROUPS = 0x1 | 0x10 | 0x100;
