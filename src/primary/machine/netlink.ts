/**
 * Devices, addresses and routes of the machine through rtnetlink, instead of shelling out to `ip`.
 *
 * The primary owns one for set-up and reload. Calls are synchronous: the kernel answers within the call. The messages
 * are built and read by `netlinkMessages.ts`. Changing anything needs CAP_NET_ADMIN; reading needs nothing.
 */
import type { IpAddress } from '../../shared/ip/address.ts';
import {
  AF_NETLINK,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  O_CLOEXEC,
  SO_RCVTIMEO,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from '../../shared/sys/abi.ts';
import { Arena } from '../../shared/sys/arena.ts';
import { check, Errno, lastErrno, libc, NEEDS_NET_ADMIN, SysError } from '../../shared/sys/libc.ts';
import { type MessageSpan, splitMessages } from './netlinkBytes.ts';
import {
  addAddressRequest,
  addLinkRequest,
  dumpRequest,
  type Link,
  type LinkAddress,
  type LinkSettings,
  NetlinkType,
  type NewLink,
  parseAddressMessage,
  parseError,
  parseLink,
  removeAddressRequest,
  setLinkRequest,
} from './netlinkMessages.ts';
import {
  addRouteRequest,
  deleteRouteRequest,
  type KernelRoute,
  parseRoute,
  parseRouteLookup,
  routeLookupRequest,
} from './netlinkRoutes.ts';

export class Netlink {
  #fd: number;
  readonly #arena: Arena;
  #sequence = 0;

  /** Throws SysError. */
  constructor() {
    this.#arena = new Arena(BUFFER_BYTES);
    this.#fd = openRouteSocket(this.#arena, 0, 0);
  }

  links(): Link[] {
    return this.#dump(NetlinkType.GetLink, NetlinkType.NewLink, parseLink);
  }

  /** Null when there is no such device. */
  link(name: string): Link | null {
    return this.links().find((link) => link.name === name) ?? null;
  }

  addresses(linkIndex?: number): LinkAddress[] {
    const all = this.#dump(NetlinkType.GetAddress, NetlinkType.NewAddress, parseAddressMessage);
    return linkIndex === undefined ? all : all.filter((address) => address.linkIndex === linkIndex);
  }

  /** Plain unicast routes of the main table. */
  routes(linkIndex?: number): KernelRoute[] {
    const all = this.#dump(NetlinkType.GetRoute, NetlinkType.NewRoute, parseRoute);
    return linkIndex === undefined ? all : all.filter((route) => route.linkIndex === linkIndex);
  }

  /** Makes a link and returns its index. Throws SysError. */
  addLink(link: NewLink): number {
    this.#request(addLinkRequest(++this.#sequence, link), `making link ${link.name}`);
    const made = this.link(link.name);
    if (made === null) {
      throw new SysError('netlink', Errno.ENODEV, `making link ${link.name}`);
    }
    return made.index;
  }

  /** Throws SysError; a refused IPv6 setting on a machine without IPv6 is passed over. */
  setLink(linkIndex: number, settings: LinkSettings): void {
    const { noIpv6LinkLocal, ...rest } = settings;
    if (noIpv6LinkLocal === true) {
      const request = setLinkRequest(++this.#sequence, linkIndex, { noIpv6LinkLocal });
      this.#request(request, 'changing the network', IGNORED_WITHOUT_IPV6);
    }
    this.#request(setLinkRequest(++this.#sequence, linkIndex, rest), `changing link ${linkIndex}`);
  }

  /** Adding an address that is there already changes nothing. Throws SysError. */
  addAddress(address: LinkAddress): void {
    this.#request(addAddressRequest(++this.#sequence, address), `adding address ${address.prefix.text}`);
  }

  /** Removing an address that is not there changes nothing. Throws SysError. */
  removeAddress(address: LinkAddress): void {
    const request = removeAddressRequest(++this.#sequence, address);
    this.#request(request, `removing address ${address.prefix.text}`, [Errno.EADDRNOTAVAIL]);
  }

  /** Adds a route. Throws SysError, EEXIST when there is one to the same destination with the same metric. */
  addRoute(route: KernelRoute): void {
    this.#request(addRouteRequest(++this.#sequence, route, false), `adding route to ${route.destination.text}`);
  }

  /** Adds a route, or replaces the one to the same destination with the same metric, whoever's it is. Throws SysError. */
  replaceRoute(route: KernelRoute): void {
    this.#request(addRouteRequest(++this.#sequence, route, true), `setting route to ${route.destination.text}`);
  }

  /** The link over which a datagram with this mark would leave; null when it would not leave at all. Throws SysError. */
  linkTowards(destination: IpAddress, mark: number = 0): number | null {
    this.#send(routeLookupRequest(++this.#sequence, destination, mark));
    for (;;) {
      const bytes = this.#receive();
      for (const span of splitMessages(bytes)) {
        if (span.sequence !== this.#sequence) {
          continue;
        }
        if (span.type === NetlinkType.NewRoute) {
          return parseRouteLookup(bytes, span) || null;
        }
        if (span.type === NetlinkType.Error) {
          // ENETUNREACH, EHOSTUNREACH, EACCES …: the words of a routing table that leads nowhere.
          return null;
        }
      }
    }
  }

  /** Deleting a route that is not there changes nothing. Throws SysError. */
  deleteRoute(route: KernelRoute): void {
    const request = deleteRouteRequest(++this.#sequence, route);
    this.#request(request, `deleting route to ${route.destination.text}`, [Errno.ESRCH]);
  }

  close(): void {
    if (this.#fd >= 0) {
      check(libc.close(this.#fd), 'close');
      this.#fd = -1;
    }
  }

  /** Sends a change and waits for its acknowledgement; errors named in `ignored` count as done. */
  #request(request: Uint8Array, doing: string, ignored: readonly number[] = []): void {
    this.#send(request);
    for (;;) {
      const bytes = this.#receive();
      for (const span of splitMessages(bytes)) {
        if (span.sequence === this.#sequence && span.type === NetlinkType.Error) {
          const { errno, text } = parseError(bytes, span);
          if (errno !== 0 && !ignored.includes(errno)) {
            throw new SysError('netlink', errno, doing, remedyOf(errno, text));
          }
          return;
        }
      }
    }
  }

  #dump<T>(request: number, answer: number, parse: (bytes: Uint8Array, span: MessageSpan) => T | null): T[] {
    this.#send(dumpRequest(++this.#sequence, request));
    const found: T[] = [];
    for (;;) {
      const bytes = this.#receive();
      for (const span of splitMessages(bytes)) {
        if (span.sequence !== this.#sequence) {
          continue;
        }
        if (span.type === NetlinkType.Done) {
          return found;
        }
        if (span.type === NetlinkType.Error) {
          throw new SysError('netlink', parseError(bytes, span).errno, 'reading the network configuration');
        }
        const value = span.type === answer ? parse(bytes, span) : null;
        if (value !== null) {
          found.push(value);
        }
      }
    }
  }

  #send(request: Uint8Array): void {
    this.#arena.bytes.set(request, 0);
    check(libc.send(this.#fd, this.#arena.address, request.length, 0), 'send', 'asking netlink');
  }

  /** A copy of the next datagram. */
  #receive(): Uint8Array {
    for (;;) {
      const length = libc.recv(this.#fd, this.#arena.address, BUFFER_BYTES, 0);
      if (length >= 0) {
        return this.#arena.bytes.slice(0, length);
      }
      const errno = lastErrno();
      if (errno !== Errno.EINTR) {
        throw new SysError('recv', errno, 'waiting for netlink');
      }
    }
  }
}

/**
 * A bound rtnetlink socket that is subscribed to the `groups` (a mask); `flags` is `O_NONBLOCK` or 0. `arena` lends its
 * first bytes. The caller closes the fd. Throws SysError.
 */
export function openRouteSocket(arena: Arena, groups: number, flags: number): number {
  const type = SOCK_RAW | O_CLOEXEC | flags;
  const fd = check(libc.socket(AF_NETLINK, type, PROTOCOL_ROUTE), 'socket', 'opening a netlink socket');
  try {
    // The kernel's own error texts, without an echo of the request; older kernels go without. A receive that lasts is
    // a defect of the kernel: give up instead of hanging.
    arena.view.setInt32(0, 1, true);
    libc.setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, arena.address, 4);
    libc.setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, arena.address, 4);
    arena.bytes.fill(0, 0, 16);
    arena.view.setUint32(0, RECEIVE_TIMEOUT_SECONDS, true);
    check(libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, arena.address, 16), 'setsockopt(SO_RCVTIMEO)');
    // struct sockaddr_nl: family 2, pad 2, port 4 (0: the kernel chooses), groups 4.
    arena.bytes.fill(0, 0, 12);
    arena.view.setUint16(0, AF_NETLINK, true);
    arena.view.setUint32(8, groups, true);
    check(libc.bind(fd, arena.address, 12), 'bind', 'opening a netlink socket');
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function remedyOf(errno: number, text: string): string {
  if (errno === Errno.EPERM) {
    return NEEDS_NET_ADMIN;
  }
  return text === '' ? '' : `the kernel says: ${text}`;
}

/** What the kernel says to an IPv6 setting when IPv6 is disabled or older than the setting. */
const IGNORED_WITHOUT_IPV6: readonly number[] = [Errno.EAFNOSUPPORT, Errno.EINVAL, Errno.EOPNOTSUPP];

const BUFFER_BYTES = 65536;
const RECEIVE_TIMEOUT_SECONDS = 10;
const PROTOCOL_ROUTE = 0;
