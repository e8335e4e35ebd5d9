/**
 * The internet checksum (RFC 1071) over bytes named by offset: sums, pseudo-headers, incremental updates.
 *
 * Sums are numbers in network order, may be added to one another as they are, and become a header field by
 * `checksumOf`. Segmentation computes one per packet sent, coalescing one per packet received. No allocation; lengths
 * and offsets must have been checked by the caller.
 */
import { IPV4_CHECKSUM, IPV4_DESTINATION, IPV4_SOURCE, IPV6_SOURCE } from './headers.ts';

/**
 * One's-complement sum of `length` bytes, 0..0xffff. An odd last byte counts as the high byte of a word.
 *
 * Reads 32 bits at a time and adds them as Numbers, exact up to 2^53: 140–180 ns for 1280 bytes, against 460 ns with
 * 16-bit halves (2-core x86-64, Node 20, 2026).
 */
export function sumBytes(view: DataView, offset: number, length: number): number {
  let position = offset;
  let sum = 0;
  // Little-endian reads need no byte swap; one swap of the result repairs the order (RFC 1071 §2 B).
  for (const end = offset + length - 15; position < end; position += 16) {
    sum +=
      view.getUint32(position, true) +
      view.getUint32(position + 4, true) +
      view.getUint32(position + 8, true) +
      view.getUint32(position + 12, true);
  }
  for (const end = offset + length - 3; position < end; position += 4) {
    sum += view.getUint32(position, true);
  }
  const rest = offset + length - position;
  if (rest >= 2) {
    sum += view.getUint16(position, true);
    position += 2;
  }
  if ((rest & 1) !== 0) {
    sum += view.getUint8(position);
  }
  const high = Math.floor(sum / 0x1_0000_0000);
  const low = sum >>> 0;
  const folded = foldSum((low & 0xffff) + (low >>> 16) + high);
  return ((folded & 0xff) << 8) | (folded >>> 8);
}

/** Reduces a sum below 2^32 to 16 bits by adding the carries back. */
export function foldSum(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** The header field for a sum: its complement. UDP must send 0xffff in place of 0 (RFC 768): see `udpChecksumOf`. */
export function checksumOf(sum: number): number {
  return ~foldSum(sum) & 0xffff;
}

/** The UDP header field for a sum; never 0, which would mean "no checksum". */
export function udpChecksumOf(sum: number): number {
  const checksum = ~foldSum(sum) & 0xffff;
  return checksum === 0 ? 0xffff : checksum;
}

/** Addresses and protocol of the IPv4 header at `offset`; add the transport length for the whole pseudo-header. */
export function pseudoSum4(view: DataView, offset: number, protocol: number): number {
  return (
    view.getUint16(offset + IPV4_SOURCE) +
    view.getUint16(offset + IPV4_SOURCE + 2) +
    view.getUint16(offset + IPV4_DESTINATION) +
    view.getUint16(offset + IPV4_DESTINATION + 2) +
    protocol
  );
}

/** Addresses and protocol of the IPv6 header at `offset`; add the transport length for the whole pseudo-header. */
export function pseudoSum6(view: DataView, offset: number, protocol: number): number {
  return sumBytes(view, offset + IPV6_SOURCE, 32) + protocol;
}

/** Checksum that belongs into the IPv4 header of `headerLength` bytes at `offset`, whatever its field holds now. */
export function ipv4Checksum(view: DataView, offset: number, headerLength: number): number {
  const field = view.getUint16(offset + IPV4_CHECKSUM);
  // Taking a word out of a one's-complement sum is adding its complement.
  return checksumOf(sumBytes(view, offset, headerLength) + (~field & 0xffff));
}

/** True when the IPv4 header's own checksum is right. */
export function isIpv4ChecksumRight(view: DataView, offset: number, headerLength: number): boolean {
  return sumBytes(view, offset, headerLength) === 0xffff;
}
