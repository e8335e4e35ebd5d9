/**
 * Network namespaces by the kernel's own calls: made, entered, wired and removed without any command of the system, so
 * that `weft demo` works on a machine that has only Node.
 *
 * Names are files under /run/netns, as `ip netns` knows them. A namespace is entered by the calling thread for the time of
 * one synchronous function: what it opens or starts belongs there, and stays there. Nothing asynchronous may begin inside,
 * because Node's other threads never enter.
 */
import { closeSync, mkdirSync, openSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePrefix } from '../../../shared/ip/address.ts';
import { check, libc } from '../../../shared/sys/libc.ts';
import { Netlink } from '../../machine/netlink.ts';

const FOLDER = '/run/netns';
const OWN_NAMESPACE = '/proc/self/ns/net';

/** One named network namespace, with a connection to its kernel tables. */
export class NetworkNamespace {
  readonly name: string;
  readonly #netlink: Netlink;

  /** Makes it, with its loopback device up and IPv6 addresses usable at once. Throws SysError; nothing is left then. */
  constructor(name: string) {
    this.name = name;
    makeNamed(name);
    try {
      this.#netlink = this.within(() => {
        writeFileSync('/proc/sys/net/ipv6/conf/default/accept_dad', '0');
        return new Netlink();
      });
      this.raise('lo');
    } catch (error) {
      removeNamespace(name);
      throw error;
    }
  }

  /** What `work` returns, done in this namespace. */
  within<T>(work: () => T): T {
    const fd = openSync(join(FOLDER, this.name), 'r');
    try {
      return within(fd, work);
    } finally {
      closeSync(fd);
    }
  }

  /** A virtual cable from a new device here to a new device in `other`. */
  cable(device: string, other: NetworkNamespace, otherDevice: string): void {
    const namespaceFd = openSync(join(FOLDER, other.name), 'r');
    try {
      this.#netlink.addLink({ name: device, peer: { name: otherDevice, namespaceFd } });
    } finally {
      closeSync(namespaceFd);
    }
  }

  /** A bridge of this name, up. */
  bridge(device: string): void {
    this.#netlink.setLink(this.#netlink.addLink({ name: device }), { isUp: true });
  }

  /** Sets a device up: with these addresses (with prefix length), as port of a bridge, or with another MTU. */
  raise(device: string, options: { addresses?: readonly string[]; mtu?: number; bridge?: string } = {}): void {
    const linkIndex = this.#indexOf(device);
    for (const text of options.addresses ?? []) {
      const prefix = parsePrefix(text);
      if (prefix === null) {
        throw new Error(`${text} is no address with a prefix length`);
      }
      this.#netlink.addAddress({ linkIndex, prefix });
    }
    this.#netlink.setLink(linkIndex, {
      isUp: true,
      ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
      ...(options.bridge === undefined ? {} : { master: this.#indexOf(options.bridge) }),
    });
  }

  /** Takes its name away; the kernel ends it with the last process in it. */
  remove(): void {
    this.#netlink.close();
    removeNamespace(this.name);
  }

  #indexOf(device: string): number {
    const link = this.#netlink.link(device);
    if (link === null) {
      throw new Error(`namespace ${this.name} has no device ${device}`);
    }
    return link.index;
  }
}

/** Every network namespace that has a name on this machine. */
export function namespaceNames(): string[] {
  try {
    return readdirSync(FOLDER);
  } catch {
    return [];
  }
}

/** Takes a namespace's name away, and the folder of names with the last one if it can be. Safe when it is gone. */
export function removeNamespace(name: string): void {
  const path = join(FOLDER, name);
  libc.umount(path, DETACH_MOUNT);
  rmSync(path, { force: true });
  try {
    rmdirSync(FOLDER);
  } catch {
    // Others have names there, or `ip` has made it a mount point.
  }
}

function makeNamed(name: string): void {
  const path = join(FOLDER, name);
  try {
    mkdirSync(FOLDER, { recursive: true });
    closeSync(openSync(path, 'wx', 0o444));
  } catch {
    // Another run took the folder away with its last name, just between the two.
    mkdirSync(FOLDER, { recursive: true });
    closeSync(openSync(path, 'wx', 0o444));
  }
  const own = openSync(OWN_NAMESPACE, 'r');
  try {
    within(own, () => {
      check(libc.unshare(NEW_NETWORK), 'unshare', 'making a network namespace');
      check(libc.mount(OWN_NAMESPACE, path, 'none', BIND_MOUNT, 0), 'mount', `naming network namespace ${name}`);
    });
  } catch (error) {
    removeNamespace(name);
    throw error;
  } finally {
    closeSync(own);
  }
}

/** Runs `work` in the namespace of a descriptor and comes back; a thread that cannot come back must not go on. */
function within<T>(fd: number, work: () => T): T {
  const own = openSync(OWN_NAMESPACE, 'r');
  try {
    check(libc.setns(fd, NEW_NETWORK), 'setns', 'entering a network namespace');
    try {
      return work();
    } finally {
      if (libc.setns(own, NEW_NETWORK) !== 0) {
        process.abort();
      }
    }
  } finally {
    closeSync(own);
  }
}

const NEW_NETWORK = 0x4000_0000;
const BIND_MOUNT = 4096;
const DETACH_MOUNT = 2;
