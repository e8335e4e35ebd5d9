/**
 * What coalescing needs to know of one inner packet, read once into a reused object: does it have a flow, may it join
 * others, where are its parts.
 *
 * A packet without a flow that could still belong to one (a fragment) is told apart from one that cannot (ICMP), as only
 * the first may not be overtaken by later packets. Allocates nothing.
 */

import { foldSum, isIpv4ChecksumRight, pseudoSum4, pseudoSum6 } from '../../shared/ip/checksum.ts';
import {
  FRAGMENT_ANY,
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_HEADER_BYTES,
  IPV4_ID,
  IPV4_PLAIN,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  IPV4_TYPE_OF_SERVICE,
  IPV6_HEADER_BYTES,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
  IpProtocol,
  isExtension,
  TCP_ACKNOWLEDGEMENT,
  TCP_DATA_OFFSET,
  TCP_FLAGS,
  TCP_HEADER_BYTES,
  TCP_SEQUENCE,
  TCP_URGENT_POINTER,
  TCP_WINDOW,
  TcpFlag,
  UDP_CHECKSUM,
  UDP_HEADER_BYTES,
  UDP_LENGTH,
} from '../../shared/ip/headers.ts';
import type { SumFunction } from '../../shared/ip/packetMemory.ts';

/**
 * Foreign: no flow here could contain it. Unclear: any flow might. Closing: belongs to a flow and must not be joined or
 * overtaken (pure ACK, SYN, FIN, empty datagram, …). Joinable: data that may be joined.
 */
export const JoinKind = { Foreign: 0, Unclear: 1, Closing: 2, Joinable: 3 } as const;
export type JoinKind = (typeof JoinKind)[keyof typeof JoinKind];

export class JoinCandidate {
  kind: JoinKind = JoinKind.Foreign;
  isIpv4: boolean = false;
  isTcp: boolean = false;
  /** Bytes of the IP header, and of IP and transport header together. */
  ipHeader: number = 0;
  header: number = 0;
  payload: number = 0;
  /** TCP: sequence number (unsigned) and flags. */
  sequence: number = 0;
  flags: number = 0;
  /** Of addresses and ports, for a small table; not keyed. */
  hash: number = 0;

  /** Reads the packet of `length` bytes at `offset`; `bytes` and `view` cover the same memory. */
  read(bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    const version = length >= IPV4_HEADER_BYTES ? bytes[offset] >> 4 : 0;
    if (version === 4) {
      this.#readIpv4(bytes, view, offset, length);
    } else if (version === 6 && length >= IPV6_HEADER_BYTES) {
      this.#readIpv6(bytes, view, offset, length);
    } else {
      this.kind = JoinKind.Unclear;
    }
  }

  #readIpv4(bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    const protocol = bytes[offset + IPV4_PROTOCOL];
    if (protocol !== IpProtocol.Tcp && protocol !== IpProtocol.Udp) {
      this.kind = JoinKind.Foreign;
      return;
    }
    // Options, a fragment (MF or an offset), or bytes behind the packet: its flow is not looked for.
    if (
      bytes[offset] !== IPV4_PLAIN ||
      (view.getUint16(offset + IPV4_FRAGMENT) & FRAGMENT_ANY) !== 0 ||
      view.getUint16(offset + IPV4_TOTAL_LENGTH) !== length
    ) {
      this.kind = JoinKind.Unclear;
      return;
    }
    this.isIpv4 = true;
    this.ipHeader = IPV4_HEADER_BYTES;
    const source = view.getInt32(offset + IPV4_SOURCE);
    this.hash = source ^ Math.imul(view.getInt32(offset + IPV4_DESTINATION), 0x9e3779b1 | 0);
    this.#readTransport(bytes, view, offset, length, protocol);
  }

  #readIpv6(bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    const protocol = bytes[offset + IPV6_NEXT_HEADER];
    const isTransport = protocol === IpProtocol.Tcp || protocol === IpProtocol.Udp;
    if (!isTransport && !isExtension(protocol)) {
      this.kind = JoinKind.Foreign;
      return;
    }
    if (!isTransport || view.getUint16(offset + IPV6_PAYLOAD_LENGTH) + IPV6_HEADER_BYTES !== length) {
      this.kind = JoinKind.Unclear;
      return;
    }
    this.isIpv4 = false;
    this.ipHeader = IPV6_HEADER_BYTES;
    this.hash =
      view.getInt32(offset + 16) ^
      view.getInt32(offset + 20) ^
      Math.imul(view.getInt32(offset + 32) ^ view.getInt32(offset + 36), 0x9e3779b1 | 0);
    this.#readTransport(bytes, view, offset, length, protocol);
  }

  #readTransport(bytes: Uint8Array, view: DataView, offset: number, length: number, protocol: number): void {
    const transport = offset + this.ipHeader;
    const left = length - this.ipHeader;
    this.isTcp = protocol === IpProtocol.Tcp;
    if (left < (this.isTcp ? TCP_HEADER_BYTES : UDP_HEADER_BYTES)) {
      this.kind = JoinKind.Unclear;
      return;
    }
    this.hash = Math.imul(this.hash ^ view.getInt32(transport), 0x85ebca6b | 0);
    this.hash ^= this.hash >>> 15;
    if (this.isTcp) {
      const headerBytes = (bytes[transport + TCP_DATA_OFFSET] >> 4) * 4;
      this.flags = bytes[transport + TCP_FLAGS];
      this.sequence = view.getUint32(transport + TCP_SEQUENCE);
      this.header = this.ipHeader + headerBytes;
      this.payload = left - headerBytes;
      const isData =
        headerBytes >= TCP_HEADER_BYTES &&
        this.payload > 0 &&
        (bytes[transport + TCP_DATA_OFFSET] & 0x0f) === 0 &&
        (this.flags & ~(TcpFlag.Push | TcpFlag.Ece)) === TcpFlag.Ack;
      this.kind = isData ? JoinKind.Joinable : JoinKind.Closing;
    } else {
      this.flags = 0;
      this.sequence = 0;
      this.header = this.ipHeader + UDP_HEADER_BYTES;
      this.payload = left - UDP_HEADER_BYTES;
      const isData =
        this.payload > 0 &&
        view.getUint16(transport + UDP_LENGTH) === left &&
        view.getUint16(transport + UDP_CHECKSUM) !== 0;
      this.kind = isData ? JoinKind.Joinable : JoinKind.Closing;
    }
  }
}

/** True when the checksums of a packet that was Joinable are right: joined ones are not checked again by anybody. */
export function isIntact(
  view: DataView,
  sum: SumFunction,
  offset: number,
  length: number,
  isIpv4: boolean,
  isTcp: boolean,
): boolean {
  const protocol = isTcp ? IpProtocol.Tcp : IpProtocol.Udp;
  const ipHeader = isIpv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const transportBytes = length - ipHeader;
  const pseudo = isIpv4 ? pseudoSum4(view, offset, protocol) : pseudoSum6(view, offset, protocol);
  return (
    (!isIpv4 || isIpv4ChecksumRight(view, offset, ipHeader)) &&
    foldSum(pseudo + transportBytes + sum(offset + ipHeader, transportBytes)) === 0xffff
  );
}

/** Same addresses, ports and protocol. Both packets must have a flow. */
export function isSameFlow(view: DataView, first: number, second: number, isIpv4: boolean, isTcp: boolean): boolean {
  const firstIsIpv4 = view.getUint8(first) >> 4 === 4;
  if (firstIsIpv4 !== isIpv4) {
    return false;
  }
  const protocol = isTcp ? IpProtocol.Tcp : IpProtocol.Udp;
  if (isIpv4) {
    return (
      view.getUint8(first + IPV4_PROTOCOL) === protocol &&
      view.getInt32(first + IPV4_SOURCE) === view.getInt32(second + IPV4_SOURCE) &&
      view.getInt32(first + IPV4_DESTINATION) === view.getInt32(second + IPV4_DESTINATION) &&
      // Both ports.
      view.getInt32(first + IPV4_HEADER_BYTES) === view.getInt32(second + IPV4_HEADER_BYTES)
    );
  }
  // Addresses, and the ports behind them.
  const flowBytes = IPV6_HEADER_BYTES - IPV6_SOURCE + 4;
  return (
    view.getUint8(first + IPV6_NEXT_HEADER) === protocol &&
    isEqual(view, first + IPV6_SOURCE, second + IPV6_SOURCE, flowBytes)
  );
}

/**
 * True when the headers of the packet at `second` may be left out, as those of the packet at `first` say the same but
 * for lengths, sequence, IPv4 id and checksums. `distance`: how many packets behind `first` it would come. Both have one
 * flow and equal header lengths.
 */
export function isSameHeader(
  view: DataView,
  first: number,
  second: number,
  distance: number,
  candidate: JoinCandidate,
): boolean {
  if (candidate.isIpv4) {
    // Type of service; then fragment flags, TTL and protocol. A datagram that may be fragmented needs its own id, and
    // cutting gives consecutive ones (RFC 6864).
    const dontFragment = (view.getUint8(first + IPV4_FRAGMENT) & 0x40) !== 0;
    if (
      view.getUint8(first + IPV4_TYPE_OF_SERVICE) !== view.getUint8(second + IPV4_TYPE_OF_SERVICE) ||
      view.getInt32(first + IPV4_FRAGMENT) !== view.getInt32(second + IPV4_FRAGMENT) ||
      (!dontFragment && view.getUint16(second + IPV4_ID) !== ((view.getUint16(first + IPV4_ID) + distance) & 0xffff))
    ) {
      return false;
    }
  } else if (
    view.getInt32(first) !== view.getInt32(second) ||
    view.getUint16(first + IPV6_NEXT_HEADER) !== view.getUint16(second + IPV6_NEXT_HEADER)
  ) {
    return false;
  }
  if (!candidate.isTcp) {
    return true;
  }
  const a = first + candidate.ipHeader;
  const b = second + candidate.ipHeader;
  return (
    view.getInt32(a + TCP_ACKNOWLEDGEMENT) === view.getInt32(b + TCP_ACKNOWLEDGEMENT) &&
    // Data offset and flags but PSH.
    ((view.getUint16(a + TCP_DATA_OFFSET) ^ view.getUint16(b + TCP_DATA_OFFSET)) & ~TcpFlag.Push) === 0 &&
    view.getUint16(a + TCP_WINDOW) === view.getUint16(b + TCP_WINDOW) &&
    view.getUint16(a + TCP_URGENT_POINTER) === view.getUint16(b + TCP_URGENT_POINTER) &&
    isEqual(view, a + TCP_HEADER_BYTES, b + TCP_HEADER_BYTES, candidate.header - candidate.ipHeader - TCP_HEADER_BYTES)
  );
}

/** Compares a multiple of 4 bytes. */
function isEqual(view: DataView, first: number, second: number, length: number): boolean {
  for (let position = 0; position < length; position += 4) {
    if (view.getInt32(first + position) !== view.getInt32(second + position)) {
      return false;
    }
  }
  return true;
}
