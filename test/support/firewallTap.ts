/**
 * A tap on a device in another network namespace: whole IP packets are put in as if the kernel had sent them, and what
 * came out of the tunnel is read, before any socket or filter of the namespace sees it (packet(7), SOCK_DGRAM).
 *
 * The socket stays in the namespace in which it was opened, so this process enters it only for that moment. Reading never
 * blocks. Close a tap before its lab is closed.
 */
import { closeSync, openSync } from 'node:fs';
import type { Namespace } from '../../src/primary/cli/demo/lab.ts';
import { Netlink } from '../../src/primary/machine/netlink.ts';
import { Arena } from '../../src/shared/sys/arena.ts';
import { check, Errno, lastErrno, libc } from '../../src/shared/sys/libc.ts';
import { joinNamespace } from './namespace.ts';

const BUFFER_BYTES = 65_536;
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;

export class PacketTap {
  readonly #fd: number;
  readonly #arena = new Arena(BUFFER_BYTES);

  /** Sees the IPv4 packets that come out of `device`, and none that go into it. */
  constructor(namespace: Namespace, device: string) {
    this.#fd = within(namespace, () => openPacketSocket(device));
  }

  /** Puts one packet into the device. */
  send(packet: Uint8Array): void {
    this.#arena.bytes.set(packet);
    check(libc.send(this.#fd, this.#arena.address, packet.length, 0), 'send', 'putting a packet into the device');
  }

  /** Everything that came out since the last call. */
  take(): Uint8Array[] {
    const packets: Uint8Array[] = [];
    for (;;) {
      const length = libc.recv(this.#fd, this.#arena.address, BUFFER_BYTES, 0);
      if (length < 0) {
        if (lastErrno() !== Errno.EAGAIN) {
          check(length, 'recv', 'reading what came out of the device');
        }
        return packets;
      }
      packets.push(this.#arena.bytes.slice(0, length));
    }
  }

  close(): void {
    libc.close(this.#fd);
  }
}

function openPacketSocket(device: string): number {
  const scratch = new Arena(4096);
  const netlink = new Netlink();
  const link = netlink.link(device);
  netlink.close();
  if (link === null) {
    throw new Error(`there is no device ${device} to tap`);
  }
  const fd = check(libc.socket(Domain, DatagramNonblocking, bigEndian(EthertypeIpv4)), 'socket', 'opening a tap');
  // struct sockaddr_ll: family 2, protocol 2 (big endian), device 4, then nothing that binding looks at; 20 bytes.
  scratch.view.setUint16(0, Domain, true);
  scratch.view.setUint16(2, EthertypeIpv4, false);
  scratch.view.setInt32(4, link.index, true);
  check(libc.bind(fd, scratch.address, 20), 'bind', `tapping ${device}`);
  scratch.view.setInt32(64, SOCKET_BUFFER_BYTES, true);
  check(libc.setsockopt(fd, SocketLevel, ReceiveBufferForce, scratch.address + 64, 4), 'setsockopt');
  return fd;
}

/** Runs something synchronous with this thread in `namespace`. */
function within<T>(namespace: Namespace, work: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const away = openSync(`/run/netns/${namespace.name}`, 'r');
  try {
    joinNamespace(away);
    try {
      return work();
    } finally {
      joinNamespace(home);
    }
  } finally {
    closeSync(home);
    closeSync(away);
  }
}

function bigEndian(word: number): number {
  return ((word & 0xff) << 8) | (word >> 8);
}

const Domain = 17;
/** SOCK_DGRAM, SOCK_NONBLOCK, SOCK_CLOEXEC. */
const DatagramNonblocking = 2 | 0o4000 | 0o2000000;
const EthertypeIpv4 = 0x0800;
const SocketLevel = 1;
const ReceiveBufferForce = 33;
