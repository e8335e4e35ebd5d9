/**
 * What coalescing needs to know of one inner packet, read once into a reused object: does it have a flow, may it join
 * others, where are its parts.
 *
 * A packet without a flow that could still belong to one (a fragment) is told apart from one that cannot (ICMP), as only
 * the first may not be overtaken by later packets. Allocates nothing.
 */
import { foldSum, isIpv4ChecksumRight, pseudoSum4, pseudoSum6 } from '../../shared/ip/checksum.ts';
import type { SumFunction } from '../../shared/ip/packetMemory.ts';
import { IpProtocol } from '../../shared/ip/packetTuple.ts';

/**
 * Foreign: no flow here could contain it. Unclear: any flow might. Closing: belongs to a flow and must not be joined or
 * overtaken (pure ACK, SYN, FIN, empty datagram, …). Joinable: data that may be joined.
 */
export const JoinKind = { Foreign: 0, Unclear: 1, Closing: 2, Joinable: 3 } as const;
export type JoinKind = (typeof JoinKind)[keyof typeof JoinKind];

export const TcpFlag = { Push: 0x08, Ack: 0x10, Ece: 0x40 } as const;

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
    const version = length >= 20 ? bytes[offset] >> 4 : 0;
    if (version === 4) {
      this.#readIpv4(bytes, view, offset, length);
    } else if (version === 6 && length >= 40) {
      this.#readIpv6(bytes, view, offset, length);
    } else {
      this.kind = JoinKind.Unclear;
    }
  }

  #readIpv4(bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    const protocol = bytes[offset + 9];
    if (protocol !== IpProtocol.Tcp && protocol !== IpProtocol.Udp) {
      this.kind = JoinKind.Foreign;
      return;
    }
    // Options, a fragment (MF or an offset), or bytes behind the packet: its flow is not looked for.
    if (
      bytes[offset] !== 0x45 ||
      (view.getUint16(offset + 6) & 0x3fff) !== 0 ||
      view.getUint16(offset + 2) !== length
    ) {
      this.kind = JoinKind.Unclear;
      return;
    }
    this.isIpv4 = true;
    this.ipHeader = 20;
    this.hash = view.getInt32(offset + 12) ^ Math.imul(view.getInt32(offset + 16), 0x9e3779b1 | 0);
    this.#readTransport(bytes, view, offset, length, protocol);
  }

  #readIpv6(bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    const protocol = bytes[offset + 6];
    const isTransport = protocol === IpProtocol.Tcp || protocol === IpProtocol.Udp;
    if (!isTransport && !isExtension(protocol)) {
      this.kind = JoinKind.Foreign;
      return;
    }
    if (!isTransport || view.getUint16(offset + 4) + 40 !== length) {
      this.kind = JoinKind.Unclear;
      return;
    }
    this.isIpv4 = false;
    this.ipHeader = 40;
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
    if (left < (this.isTcp ? 20 : 8)) {
      this.kind = JoinKind.Unclear;
      return;
    }
    this.hash = Math.imul(this.hash ^ view.getInt32(transport), 0x85ebca6b | 0);
    this.hash ^= this.hash >>> 15;
    if (this.isTcp) {
      const headerBytes = (bytes[transport + 12] >> 4) * 4;
      this.flags = bytes[transport + 13];
      this.sequence = view.getUint32(transport + 4);
      this.header = this.ipHeader + headerBytes;
      this.payload = left - headerBytes;
      const isData =
        headerBytes >= 20 &&
        this.payload > 0 &&
        (bytes[transport + 12] & 0x0f) === 0 &&
        (this.flags & ~(TcpFlag.Push | TcpFlag.Ece)) === TcpFlag.Ack;
      this.kind = isData ? JoinKind.Joinable : JoinKind.Closing;
    } else {
      this.flags = 0;
      this.sequence = 0;
      this.header = this.ipHeader + 8;
      this.payload = left - 8;
      const isData = this.payload > 0 && view.getUint16(transport + 4) === left && view.getUint16(transport + 6) !== 0;
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
  const ipHeader = isIpv4 ? 20 : 40;
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
      view.getUint8(first + 9) === protocol &&
      view.getInt32(first + 12) === view.getInt32(second + 12) &&
      view.getInt32(first + 16) === view.getInt32(second + 16) &&
      view.getInt32(first + 20) === view.getInt32(second + 20)
    );
  }
  return view.getUint8(first + 6) === protocol && isEqual(view, first + 8, second + 8, 36);
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
    const dontFragment = (view.getUint8(first + 6) & 0x40) !== 0;
    if (
      view.getUint8(first + 1) !== view.getUint8(second + 1) ||
      view.getInt32(first + 6) !== view.getInt32(second + 6) ||
      (!dontFragment && view.getUint16(second + 4) !== ((view.getUint16(first + 4) + distance) & 0xffff))
    ) {
      return false;
    }
  } else if (
    view.getInt32(first) !== view.getInt32(second) ||
    view.getUint16(first + 6) !== view.getUint16(second + 6)
  ) {
    return false;
  }
  if (!candidate.isTcp) {
    return true;
  }
  const a = first + candidate.ipHeader;
  const b = second + candidate.ipHeader;
  return (
    view.getInt32(a + 8) === view.getInt32(b + 8) &&
    // Data offset and flags but PSH.
    ((view.getUint16(a + 12) ^ view.getUint16(b + 12)) & ~TcpFlag.Push) === 0 &&
    view.getUint16(a + 14) === view.getUint16(b + 14) &&
    view.getUint16(a + 18) === view.getUint16(b + 18) &&
    isEqual(view, a + 20, b + 20, candidate.header - candidate.ipHeader - 20)
  );
}

/** IPv6 headers behind which a TCP or UDP header may follow: hop-by-hop, routing, fragment, authentication, options. */
function isExtension(next: number): boolean {
  return next === 0 || next === 43 || next === 44 || next === 51 || next === 60;
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
