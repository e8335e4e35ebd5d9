/**
 * The control messages that travel beside datagrams, in the arena: segment size, and the local address.
 *
 *   cmsg         | length 8 | level 4 | type 4 | value, padded to 8 |
 *   UDP_GRO      value 4: size of the joined datagrams      UDP_SEGMENT  value 2: size to cut into
 *   IP_PKTINFO   | interface 4 | local 4 | destination 4 |  IPV6_PKTINFO  | address 16 | interface 4 |
 *
 * cmsg(3), udp(7), ip(7), ipv6(7); the 64-bit Linux ABI, little endian. A socket of family IPv6 names IPv4 addresses as
 * ::ffff:a.b.c.d in both directions. An interface is never named: the route decides. Runs per message: no allocation.
 */
import { IP_PKTINFO, IPV6_PKTINFO, SOL_IP, SOL_IPV6, SOL_UDP, UDP_SEGMENT } from '../sys/abi.ts';
import type { Arena } from '../sys/arena.ts';
import { SocketFamily } from './socketAddress.ts';

/** Room for one of each kind: 24 for a size, 32 or 40 for an address. */
export const CONTROL_BYTES = 64;

const HEADER_BYTES = 16;
const SIZE_BYTES = 24;
const MAPPED_WORD = 0xffff;

/** Writes what a message is to carry: a `segmentSize` of 0 and a local address (16 bytes at `local`) of zero are left out. */
export function writeControls(
  arena: Arena,
  control: number,
  family: SocketFamily,
  segmentSize: number,
  local: number,
): number {
  const { view } = arena;
  let at = control;
  if (segmentSize > 0) {
    writeHeader(view, at, HEADER_BYTES + 2, SOL_UDP, UDP_SEGMENT);
    view.setUint16(at + HEADER_BYTES, segmentSize, true);
    at += SIZE_BYTES;
  }
  if (!isLocalAddressSet(view, local)) {
    return at - control;
  }
  const value = at + HEADER_BYTES;
  if (family === SocketFamily.Ipv4) {
    writeHeader(view, at, HEADER_BYTES + 12, SOL_IP, IP_PKTINFO);
    view.setUint32(value, 0);
    view.setUint32(value + 4, view.getUint32(local + 12));
    view.setUint32(value + 8, 0);
    return at + HEADER_BYTES + 16 - control;
  }
  writeHeader(view, at, HEADER_BYTES + 20, SOL_IPV6, IPV6_PKTINFO);
  for (let index = 0; index < 16; index += 4) {
    view.setUint32(value + index, view.getUint32(local + index));
  }
  view.setUint32(value + 16, 0);
  return at + HEADER_BYTES + 24 - control;
}

/** The 32-bit value of the control message of this level and type among `length` bytes; 0 when there is none. */
export function readControl32(arena: Arena, control: number, length: number, level: number, type: number): number {
  const at = find(arena.view, control, length, level, type, 4);
  return at < 0 ? 0 : arena.view.getUint32(at, true);
}

/** Copies the address that a message came to into the 16 bytes at `local`; zero when the message does not say. */
export function readLocalAddress(
  arena: Arena,
  control: number,
  length: number,
  family: SocketFamily,
  local: number,
): void {
  const { view } = arena;
  const isIpv4 = family === SocketFamily.Ipv4;
  const at = isIpv4
    ? find(view, control, length, SOL_IP, IP_PKTINFO, 12)
    : find(view, control, length, SOL_IPV6, IPV6_PKTINFO, 20);
  if (at < 0) {
    writeWords(view, local, 0, 0, 0, 0);
  } else if (isIpv4) {
    writeWords(view, local, 0, 0, MAPPED_WORD, view.getUint32(at + 4));
  } else {
    const first = view.getUint32(at);
    // A link-local address means nothing without an interface.
    const isKept = first >>> 22 !== LINK_LOCAL;
    writeWords(
      view,
      local,
      isKept ? first : 0,
      isKept ? view.getUint32(at + 4) : 0,
      isKept ? view.getUint32(at + 8) : 0,
      isKept ? view.getUint32(at + 12) : 0,
    );
  }
}

export function isLocalAddressSet(view: DataView, local: number): boolean {
  return (
    (view.getUint32(local) | view.getUint32(local + 4) | view.getUint32(local + 8) | view.getUint32(local + 12)) !== 0
  );
}

/** Where the value of a control message lies, or -1. */
function find(view: DataView, control: number, length: number, level: number, type: number, bytes: number): number {
  for (let at = 0; at + HEADER_BYTES + bytes <= length; ) {
    const size = view.getUint32(control + at, true);
    if (size < HEADER_BYTES || size > length - at) {
      break;
    }
    if (
      view.getUint32(control + at + 8, true) === level &&
      view.getUint32(control + at + 12, true) === type &&
      size >= HEADER_BYTES + bytes
    ) {
      return control + at + HEADER_BYTES;
    }
    at += (size + 7) & ~7;
  }
  return -1;
}

function writeHeader(view: DataView, at: number, length: number, level: number, type: number): void {
  view.setUint32(at, length, true);
  view.setUint32(at + 4, 0, true);
  view.setUint32(at + 8, level, true);
  view.setUint32(at + 12, type, true);
}

function writeWords(view: DataView, at: number, a0: number, a1: number, a2: number, a3: number): void {
  view.setUint32(at, a0);
  view.setUint32(at + 4, a1);
  view.setUint32(at + 8, a2);
  view.setUint32(at + 12, a3);
}

/** The first ten bits of fe80::/10. */
const LINK_LOCAL = 0xfe80 >>> 6;
