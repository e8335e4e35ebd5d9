/**
 * Socket addresses as the kernel wants them, in the arena: sockaddr_in for an IPv4 socket, sockaddr_in6 for a dual one.
 *
 *   sockaddr_in   | family 2 | port 2 | address 4 | zero 8 |
 *   sockaddr_in6  | family 2 | port 2 | flow 4 | address 16 | scope 4 |
 *   at 32         | local address 16 |
 *
 * Behind the peer's address lies the address of this machine that the peer uses: where a received datagram came to, and
 * where one that is sent shall come from. All zero: whichever the kernel chooses.
 *
 * The family is in host order, port and address in network order (ip(7), ipv6(7)). Addresses come and go as 16 bytes,
 * IPv4 as ::ffff:a.b.c.d. Runs per packet: no allocation.
 */
import { isMappedBytes } from '../ip/address.ts';
import { AF_INET, AF_INET6 } from '../sys/abi.ts';
import type { Arena } from '../sys/arena.ts';

/** Room for either form and the local address; a multiple of 8. */
export const SOCKADDR_BYTES = 64;

/** Where the local address lies: 16 bytes. */
const LOCAL_OFFSET = 32;

export const SocketFamily = { Ipv4: AF_INET, Ipv6: AF_INET6 } as const;
export type SocketFamily = (typeof SocketFamily)[keyof typeof SocketFamily];

export function socketAddressLength(family: SocketFamily): number {
  return family === SocketFamily.Ipv4 ? 16 : 28;
}

/** Writes which address of this machine the peer uses; all zero when it is not known. */
export function writeLocalAddress(arena: Arena, offset: number, address: Uint8Array, addressOffset: number): void {
  for (let index = 0; index < 16; index++) {
    arena.bytes[offset + LOCAL_OFFSET + index] = address[addressOffset + index];
  }
}

export function clearLocalAddress(arena: Arena, offset: number): void {
  const { view } = arena;
  view.setUint32(offset + LOCAL_OFFSET, 0);
  view.setUint32(offset + LOCAL_OFFSET + 4, 0);
  view.setUint32(offset + LOCAL_OFFSET + 8, 0);
  view.setUint32(offset + LOCAL_OFFSET + 12, 0);
}

/** Copies the 16 bytes of the local address that is written behind a socket address into `target`. */
export function copyLocalAddress(arena: Arena, offset: number, target: Uint8Array, targetOffset: number): void {
  for (let index = 0; index < 16; index++) {
    target[targetOffset + index] = arena.bytes[offset + LOCAL_OFFSET + index];
  }
}

/** Arena offset of the local address behind a socket address. */
export function localAddressAt(offset: number): number {
  return offset + LOCAL_OFFSET;
}

/** False when the address cannot be reached from a socket of this family (IPv6 from an IPv4 socket). Forgets the local address. */
export function writeSocketAddress(
  arena: Arena,
  offset: number,
  family: SocketFamily,
  address: Uint8Array,
  addressOffset: number,
  port: number,
): boolean {
  const { bytes, view } = arena;
  view.setUint16(offset, family, true);
  view.setUint16(offset + 2, port);
  clearLocalAddress(arena, offset);
  if (family === SocketFamily.Ipv4) {
    if (!isMappedBytes(address, addressOffset)) {
      return false;
    }
    for (let index = 0; index < 4; index++) {
      bytes[offset + 4 + index] = address[addressOffset + 12 + index];
    }
    return true;
  }
  view.setUint32(offset + 4, 0);
  for (let index = 0; index < 16; index++) {
    bytes[offset + 8 + index] = address[addressOffset + index];
  }
  view.setUint32(offset + 24, 0);
  return true;
}

export function socketAddressPort(arena: Arena, offset: number): number {
  return arena.view.getUint16(offset + 2);
}

/** Copies the 16-byte form of the address at `offset` into `target`. */
export function copySocketAddress(arena: Arena, offset: number, target: Uint8Array, targetOffset: number): void {
  const { bytes, view } = arena;
  if (view.getUint16(offset, true) === SocketFamily.Ipv4) {
    for (let index = 0; index < 16; index++) {
      target[targetOffset + index] = index < 10 ? 0 : index < 12 ? 0xff : bytes[offset + index - 8];
    }
    return;
  }
  for (let index = 0; index < 16; index++) {
    target[targetOffset + index] = bytes[offset + 8 + index];
  }
}

/** Whether two socket addresses of the same family name the same endpoint. */
export function isSameSocketAddress(arena: Arena, a: number, b: number, family: SocketFamily): boolean {
  const view = arena.view;
  if (family === SocketFamily.Ipv4) {
    return view.getUint32(a) === view.getUint32(b) && view.getUint32(a + 4) === view.getUint32(b + 4);
  }
  return (
    view.getUint32(a + 20) === view.getUint32(b + 20) &&
    view.getUint32(a) === view.getUint32(b) &&
    view.getUint32(a + 16) === view.getUint32(b + 16) &&
    view.getUint32(a + 12) === view.getUint32(b + 12) &&
    view.getUint32(a + 8) === view.getUint32(b + 8)
  );
}
