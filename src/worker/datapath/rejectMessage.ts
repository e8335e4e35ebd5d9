/**
 * Builds the answer to a refused packet: a TCP reset or an ICMP "administratively prohibited", for IPv4 and IPv6.
 *
 * Where it is sent (back into the tun, or through the tunnel past the firewall) is the caller's. Never answered are
 * fragments other than the first, ICMP errors, resets, and packets to or from an address that is not one host's
 * (RFC 1122 §3.2.2, RFC 4443 §2.4): so two nodes cannot reject each other's rejects, and no answer is larger than
 * `REJECT_BYTES_MAX`. Allocates nothing. Source of the contents: Nebula protocol, reject packets; RFC 9293 §3.10.7.1.
 */

import { checksumOf, ipv4Checksum, pseudoSum4, pseudoSum6, sumBytes } from '../../shared/ip/checksum.ts';
import {
  ICMP_CHECKSUM,
  ICMP_CODE,
  ICMP_HEADER_BYTES,
  ICMP_TYPE,
  IPV4_CHECKSUM,
  IPV4_DESTINATION,
  IPV4_HEADER_BYTES,
  IPV4_PLAIN,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TIME_TO_LIVE,
  IPV4_TOTAL_LENGTH,
  IPV6_DESTINATION,
  IPV6_HEADER_BYTES,
  IPV6_HOP_LIMIT,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
  IpProtocol,
  TCP_ACKNOWLEDGEMENT,
  TCP_CHECKSUM,
  TCP_DATA_OFFSET,
  TCP_DESTINATION_PORT,
  TCP_FLAGS,
  TCP_HEADER_BYTES,
  TCP_SEQUENCE,
  TCP_SOURCE_PORT,
  TcpFlag,
} from '../../shared/ip/headers.ts';
import type { PacketTuple } from '../../shared/ip/packetTuple.ts';

/** The longest answer: IPv6 and ICMPv6 headers and 1000 bytes of the refused packet. */
export const REJECT_BYTES_MAX = 1048;

/**
 * Writes the answer to the packet of `length` bytes at `offset` (parsed into `tuple`, in either direction) at `target`
 * in the same memory, where `REJECT_BYTES_MAX` bytes must be free and not overlap the packet. Returns its length, or 0
 * when the packet gets no answer.
 */
export function buildReject(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
  tuple: PacketTuple,
  target: number,
): number {
  if (tuple.isFragment || !areHosts(bytes, offset, tuple.version)) {
    return 0;
  }
  const upper = offset + tuple.ipHeaderLength;
  if (tuple.protocol === IpProtocol.Tcp) {
    const left = length - tuple.ipHeaderLength;
    return buildReset(bytes, view, offset, upper, left, tuple.version, target);
  }
  const isError =
    (tuple.protocol === IpProtocol.Icmp && isIcmpError(bytes[upper])) ||
    (tuple.protocol === IpProtocol.Icmpv6 && isIcmpv6Error(bytes[upper]));
  if (isError) {
    return 0;
  }
  return tuple.version === 4
    ? buildUnreachable4(bytes, view, offset, length, tuple.ipHeaderLength, target)
    : buildUnreachable6(bytes, view, offset, length, target);
}

function buildReset(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  upper: number,
  left: number,
  version: number,
  target: number,
): number {
  if (left < TCP_HEADER_BYTES) {
    return 0;
  }
  const flags = bytes[upper + TCP_FLAGS];
  if ((flags & TcpFlag.Reset) !== 0) {
    return 0;
  }
  const ipBytes = version === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const out = target + ipBytes;
  bytes.fill(0, out, out + TCP_HEADER_BYTES);
  view.setUint16(out + TCP_SOURCE_PORT, view.getUint16(upper + TCP_DESTINATION_PORT));
  view.setUint16(out + TCP_DESTINATION_PORT, view.getUint16(upper + TCP_SOURCE_PORT));
  bytes[out + TCP_DATA_OFFSET] = (TCP_HEADER_BYTES / 4) << 4;
  if ((flags & TcpFlag.Ack) !== 0) {
    view.setUint32(out + TCP_SEQUENCE, view.getUint32(upper + TCP_ACKNOWLEDGEMENT));
    bytes[out + TCP_FLAGS] = TcpFlag.Reset;
  } else {
    const dataOffset = (bytes[upper + TCP_DATA_OFFSET] >> 4) * 4;
    const payload = Math.max(0, left - dataOffset);
    const controls = ((flags & TcpFlag.Syn) !== 0 ? 1 : 0) + ((flags & TcpFlag.Fin) !== 0 ? 1 : 0);
    const sequence = view.getUint32(upper + TCP_SEQUENCE);
    view.setUint32(out + TCP_ACKNOWLEDGEMENT, (sequence + controls + payload) >>> 0);
    bytes[out + TCP_FLAGS] = TcpFlag.Reset | TcpFlag.Ack;
  }
  const pseudo =
    version === 4
      ? writeHeader4(bytes, view, offset, IpProtocol.Tcp, TCP_HEADER_BYTES, target)
      : writeHeader6(bytes, view, offset, IpProtocol.Tcp, TCP_HEADER_BYTES, target);
  view.setUint16(out + TCP_CHECKSUM, checksumOf(pseudo + sumBytes(view, out, TCP_HEADER_BYTES)));
  return ipBytes + TCP_HEADER_BYTES;
}

/** ICMP type 3 code 13 with the refused packet's IP header and the first 8 bytes behind it (RFC 792, RFC 1812 §5.2.7.1). */
function buildUnreachable4(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
  headerLength: number,
  target: number,
): number {
  const quoted = Math.min(length, headerLength + 8);
  const out = target + IPV4_HEADER_BYTES;
  writeIcmp(bytes, out, 3, 13);
  bytes.copyWithin(out + ICMP_HEADER_BYTES, offset, offset + quoted);
  writeHeader4(bytes, view, offset, IpProtocol.Icmp, ICMP_HEADER_BYTES + quoted, target);
  view.setUint16(out + ICMP_CHECKSUM, checksumOf(sumBytes(view, out, ICMP_HEADER_BYTES + quoted)));
  return IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + quoted;
}

/** ICMPv6 type 1 code 1 with the beginning of the refused packet (RFC 4443 §3.1). */
function buildUnreachable6(bytes: Uint8Array, view: DataView, offset: number, length: number, target: number): number {
  const quoted = Math.min(length, ICMPV6_QUOTED_BYTES_MAX);
  const out = target + IPV6_HEADER_BYTES;
  const messageBytes = ICMP_HEADER_BYTES + quoted;
  writeIcmp(bytes, out, 1, 1);
  bytes.copyWithin(out + ICMP_HEADER_BYTES, offset, offset + quoted);
  const pseudo = writeHeader6(bytes, view, offset, IpProtocol.Icmpv6, messageBytes, target);
  view.setUint16(out + ICMP_CHECKSUM, checksumOf(pseudo + sumBytes(view, out, messageBytes)));
  return IPV6_HEADER_BYTES + messageBytes;
}

/** An IPv4 header back to the sender; returns the pseudo-header's sum for the upper layer. */
function writeHeader4(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  protocol: number,
  upperBytes: number,
  target: number,
): number {
  bytes.fill(0, target, target + IPV4_HEADER_BYTES);
  bytes[target] = IPV4_PLAIN;
  view.setUint16(target + IPV4_TOTAL_LENGTH, IPV4_HEADER_BYTES + upperBytes);
  bytes[target + IPV4_TIME_TO_LIVE] = HOP_LIMIT;
  bytes[target + IPV4_PROTOCOL] = protocol;
  view.setUint32(target + IPV4_SOURCE, view.getUint32(offset + IPV4_DESTINATION));
  view.setUint32(target + IPV4_DESTINATION, view.getUint32(offset + IPV4_SOURCE));
  view.setUint16(target + IPV4_CHECKSUM, ipv4Checksum(view, target, IPV4_HEADER_BYTES));
  return pseudoSum4(view, target, protocol) + upperBytes;
}

/** An IPv6 header back to the sender; returns the pseudo-header's sum for the upper layer. */
function writeHeader6(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  protocol: number,
  upperBytes: number,
  target: number,
): number {
  const [source, destination] = [offset + IPV6_SOURCE, offset + IPV6_DESTINATION];
  bytes.fill(0, target, target + IPV6_SOURCE);
  bytes[target] = 0x60;
  view.setUint16(target + IPV6_PAYLOAD_LENGTH, upperBytes);
  bytes[target + IPV6_NEXT_HEADER] = protocol;
  bytes[target + IPV6_HOP_LIMIT] = HOP_LIMIT;
  bytes.copyWithin(target + IPV6_SOURCE, destination, destination + 16);
  bytes.copyWithin(target + IPV6_DESTINATION, source, source + 16);
  return pseudoSum6(view, target, protocol) + upperBytes;
}

function writeIcmp(bytes: Uint8Array, at: number, type: number, code: number): void {
  bytes.fill(0, at, at + ICMP_HEADER_BYTES);
  bytes[at + ICMP_TYPE] = type;
  bytes[at + ICMP_CODE] = code;
}

/** Whether source and destination both name one host: neither multicast, broadcast nor unspecified. */
function areHosts(bytes: Uint8Array, offset: number, version: number): boolean {
  if (version === 4) {
    return isHost4(bytes, offset + IPV4_SOURCE) && isHost4(bytes, offset + IPV4_DESTINATION);
  }
  return isHost6(bytes, offset + IPV6_SOURCE) && isHost6(bytes, offset + IPV6_DESTINATION);
}

function isHost4(bytes: Uint8Array, at: number): boolean {
  const isUnspecified = (bytes[at] | bytes[at + 1] | bytes[at + 2] | bytes[at + 3]) === 0;
  const isBroadcast = (bytes[at] & bytes[at + 1] & bytes[at + 2] & bytes[at + 3]) === 0xff;
  const isMulticast = (bytes[at] & 0xf0) === 0xe0;
  return !isUnspecified && !isBroadcast && !isMulticast;
}

function isHost6(bytes: Uint8Array, at: number): boolean {
  let any = 0;
  for (let index = 0; index < 16; index++) {
    any |= bytes[at + index];
  }
  return any !== 0 && bytes[at] !== 0xff;
}

/** Unreachable, source quench, redirect, time exceeded, parameter problem. */
function isIcmpError(type: number): boolean {
  return type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

/** All types below 128 are errors (RFC 4443 §2.1); a redirect must not be answered either (§2.4). */
function isIcmpv6Error(type: number): boolean {
  return type < 128 || type === 137;
}

const HOP_LIMIT = 64;
const ICMPV6_QUOTED_BYTES_MAX = 1000;
