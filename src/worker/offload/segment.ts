/**
 * Cuts the super-packets that the tun device hands over into the packets that go on the wire, without copying payload.
 *
 * `outbound` calls `begin` once per packet read and `next` before each segment, and seals the segment at `offset` into
 * another buffer before it asks for the next. The cut is made in place and destroys the super-packet front to back: the
 * header of segment i+1 is written over the last bytes of segment i, right before its own payload.
 *
 *     read:      | header | payload 0 | payload 1 | payload 2 |
 *     segment 0: | header | payload 0 |
 *     segment 1:          . | header | payload 1 |              written when 0 has been sealed
 *
 * Fields follow the kernel's software segmentation: Linux `Documentation/networking/segmentation-offloads`, virtio 1.2
 * §5.1.6 for the header; RFC 3168 §6.1.2 for CWR. Nothing is allocated; a bad header is a negative number.
 */

import { checksumOf, pseudoSum4, pseudoSum6, sumBytes, udpChecksumOf } from '../../shared/ip/checksum.ts';
import {
  extensionBytes,
  FRAGMENT_ANY,
  IPV4_CHECKSUM,
  IPV4_FRAGMENT,
  IPV4_HEADER_BYTES,
  IPV4_ID,
  IPV4_PROTOCOL,
  IPV4_TOTAL_LENGTH,
  IPV6_HEADER_BYTES,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IpProtocol,
  isOptions,
  TCP_CHECKSUM,
  TCP_DATA_OFFSET,
  TCP_HEADER_BYTES,
  TCP_SEQUENCE,
  TcpFlag,
  UDP_CHECKSUM,
  UDP_DESTINATION_PORT,
  UDP_HEADER_BYTES,
  UDP_LENGTH,
} from '../../shared/ip/headers.ts';
import type { PacketMemory, SumFunction } from '../../shared/ip/packetMemory.ts';
import { GsoType, VirtioFlag } from '../ports/virtio.ts';

/** Why a packet cannot be cut or finished. Negative, so that a count stands for success. */
export const SegmentFault = {
  TooShort: -1,
  ReceiveCoalesced: -2,
  ZeroSize: -3,
  UnknownType: -4,
  WrongHeader: -5,
  ChecksumOutside: -6,
  SegmentTooLong: -7,
} as const;
export type SegmentFault = (typeof SegmentFault)[keyof typeof SegmentFault];

export class Segmenter {
  /** Arena offset and length of the current segment: a complete IP packet. */
  offset: number = 0;
  length: number = 0;

  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** For payloads; headers are too short for it to pay. */
  readonly #sum: SumFunction;
  readonly #segmentBytesMax: number;
  // Of the super-packet. A count of 1 without cutting has #gsoSize 0.
  #start = 0;
  #gsoSize = 0;
  #payload = 0;
  #ipHeader = 0;
  #header = 0;
  #isIpv4 = false;
  #isTcp = false;
  #index = -1;
  #count = 0;
  // First values and sums of everything that does not change from segment to segment.
  #id = 0;
  #sequence = 0;
  #flagsWord = 0;
  #ipSum = 0;
  #transportSum = 0;

  /** `segmentBytesMax`: the longest inner packet that the caller's send slots take. */
  constructor(memory: PacketMemory, segmentBytesMax: number) {
    this.#bytes = memory.bytes;
    this.#view = memory.view;
    this.#sum = memory.sum;
    this.#segmentBytesMax = segmentBytesMax;
  }

  /**
   * Takes the packet at `offset` and its virtio header's fields; returns the number of segments, or a SegmentFault. The
   * kernel's `hdr_len` is not asked for: it is known to be wrong at times, and the packet itself says it.
   */
  begin(
    offset: number,
    length: number,
    flags: number,
    gsoType: number,
    gsoSize: number,
    checksumStart: number,
    checksumOffset: number,
  ): number {
    if (gsoType !== GsoType.None) {
      return this.#beginSuper(offset, length, flags, gsoType, gsoSize, checksumStart);
    }
    if (length > this.#segmentBytesMax) {
      return SegmentFault.SegmentTooLong;
    }
    this.#gsoSize = 0;
    this.offset = offset;
    this.length = length;
    return (flags & VirtioFlag.NeedsChecksum) === 0
      ? 1
      : this.#finishChecksum(offset, length, checksumStart, checksumOffset);
  }

  /** Prepares the next segment: call once before each, the first included, as often as `begin` said. */
  next(): void {
    const gsoSize = this.#gsoSize;
    if (gsoSize === 0) {
      return;
    }
    const index = ++this.#index;
    const isLast = index + 1 === this.#count;
    const offset = this.#start + index * gsoSize;
    if (index > 0) {
      this.#moveHeader(offset - gsoSize, offset);
    }
    const payload = isLast ? this.#payload - index * gsoSize : gsoSize;
    this.offset = offset;
    this.length = this.#header + payload;
    this.#writeIp(offset, index, payload);
    if (this.#isTcp) {
      this.#writeTcp(offset + this.#ipHeader, index, isLast, payload);
    } else {
      this.#writeUdp(offset + this.#ipHeader, payload);
    }
  }

  #beginSuper(
    offset: number,
    length: number,
    flags: number,
    gsoType: number,
    gsoSize: number,
    checksumStart: number,
  ): number {
    const type = gsoType & ~GsoType.EcnBit;
    if ((flags & VirtioFlag.ReceiveCoalesced) !== 0) {
      return SegmentFault.ReceiveCoalesced;
    }
    if (gsoSize === 0) {
      return SegmentFault.ZeroSize;
    }
    if (
      (type !== GsoType.Tcp4 && type !== GsoType.Tcp6 && type !== GsoType.Udp) ||
      (type === GsoType.Udp && type !== gsoType)
    ) {
      return SegmentFault.UnknownType;
    }
    const fault = this.#readHeaders(offset, length, type);
    if (fault < 0) {
      return fault;
    }
    if ((flags & VirtioFlag.NeedsChecksum) !== 0 && checksumStart !== this.#ipHeader) {
      return SegmentFault.WrongHeader;
    }
    const payload = length - this.#header;
    if (this.#header + Math.min(payload, gsoSize) > this.#segmentBytesMax) {
      return SegmentFault.SegmentTooLong;
    }
    this.#start = offset;
    this.#gsoSize = gsoSize;
    this.#payload = payload;
    this.#index = -1;
    this.#count = Math.max(1, Math.ceil(payload / gsoSize));
    this.#sumHeaders(offset);
    return this.#count;
  }

  /**
   * Completes the checksum of a whole packet whose field holds the sum of the pseudo-header (Linux
   * `Documentation/networking/checksum-offloads`). Returns 1 or a SegmentFault.
   */
  #finishChecksum(offset: number, length: number, start: number, fieldOffset: number): number {
    if (start < IPV4_HEADER_BYTES || start + fieldOffset + 2 > length) {
      return SegmentFault.ChecksumOutside;
    }
    const sum = this.#sum(offset + start, length - start);
    this.#view.setUint16(
      offset + start + fieldOffset,
      fieldOffset === UDP_CHECKSUM ? udpChecksumOf(sum) : checksumOf(sum),
    );
    return 1;
  }

  /** Finds the headers of the super-packet and checks them against its type. Returns 0 or a SegmentFault. */
  #readHeaders(offset: number, length: number, type: number): number {
    const bytes = this.#bytes;
    const isIpv4 = length > 0 && bytes[offset] >> 4 === 4;
    const isIpv6 = length > 0 && bytes[offset] >> 4 === 6;
    if ((!isIpv4 && !isIpv6) || (type === GsoType.Tcp4 && !isIpv4) || (type === GsoType.Tcp6 && !isIpv6)) {
      return SegmentFault.WrongHeader;
    }
    const protocol = type === GsoType.Udp ? IpProtocol.Udp : IpProtocol.Tcp;
    const ipHeader = isIpv4
      ? ipv4HeaderLength(bytes, this.#view, offset, length, protocol)
      : ipv6HeaderLength(bytes, offset, length, protocol);
    if (ipHeader < 0) {
      return ipHeader;
    }
    if (length < ipHeader + (protocol === IpProtocol.Tcp ? TCP_HEADER_BYTES : UDP_HEADER_BYTES)) {
      return SegmentFault.TooShort;
    }
    const transport =
      protocol === IpProtocol.Tcp ? (bytes[offset + ipHeader + TCP_DATA_OFFSET] >> 4) * 4 : UDP_HEADER_BYTES;
    if (protocol === IpProtocol.Tcp && transport < TCP_HEADER_BYTES) {
      return SegmentFault.WrongHeader;
    }
    if (length < ipHeader + transport) {
      return SegmentFault.TooShort;
    }
    this.#isIpv4 = isIpv4;
    this.#isTcp = protocol === IpProtocol.Tcp;
    this.#ipHeader = ipHeader;
    this.#header = ipHeader + transport;
    return 0;
  }

  /** Remembers first values, and sums without the fields that each segment has of its own. */
  #sumHeaders(offset: number): void {
    const view = this.#view;
    const transport = offset + this.#ipHeader;
    const protocol = this.#isTcp ? IpProtocol.Tcp : IpProtocol.Udp;
    if (this.#isIpv4) {
      this.#id = view.getUint16(offset + IPV4_ID);
      // Removing a word from a one's-complement sum is adding its complement.
      this.#ipSum =
        sumBytes(view, offset, this.#ipHeader) +
        without(view.getUint16(offset + IPV4_TOTAL_LENGTH)) +
        without(this.#id) +
        without(view.getUint16(offset + IPV4_CHECKSUM));
    }
    const pseudo = this.#isIpv4 ? pseudoSum4(view, offset, protocol) : pseudoSum6(view, offset, protocol);
    if (this.#isTcp) {
      this.#sequence = view.getUint32(transport + TCP_SEQUENCE);
      this.#flagsWord = view.getUint16(transport + TCP_DATA_OFFSET);
      this.#transportSum =
        pseudo +
        sumBytes(view, transport, this.#header - this.#ipHeader) +
        without(view.getUint16(transport + TCP_SEQUENCE)) +
        without(view.getUint16(transport + TCP_SEQUENCE + 2)) +
        without(this.#flagsWord) +
        without(view.getUint16(transport + TCP_CHECKSUM));
    } else {
      this.#transportSum = pseudo + view.getUint16(transport) + view.getUint16(transport + UDP_DESTINATION_PORT);
    }
  }

  /** Copies the headers of one segment to the next, from the back, as the two may overlap. */
  #moveHeader(from: number, to: number): void {
    const view = this.#view;
    for (let position = this.#header - 4; position >= 0; position -= 4) {
      view.setInt32(to + position, view.getInt32(from + position));
    }
  }

  #writeIp(offset: number, index: number, payload: number): void {
    const view = this.#view;
    const length = this.#header + payload;
    if (this.#isIpv4) {
      const id = (this.#id + index) & 0xffff;
      view.setUint16(offset + IPV4_TOTAL_LENGTH, length);
      view.setUint16(offset + IPV4_ID, id);
      view.setUint16(offset + IPV4_CHECKSUM, checksumOf(this.#ipSum + length + id));
    } else {
      view.setUint16(offset + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER_BYTES);
    }
  }

  #writeTcp(transport: number, index: number, isLast: boolean, payload: number): void {
    const view = this.#view;
    const sequence = (this.#sequence + index * this.#gsoSize) >>> 0;
    const flags = this.#flagsWord & (isLast ? 0xffff : ~ON_LAST_ONLY) & (index === 0 ? 0xffff : ~ON_FIRST_ONLY);
    const length = this.#header - this.#ipHeader + payload;
    view.setUint32(transport + TCP_SEQUENCE, sequence);
    view.setUint16(transport + TCP_DATA_OFFSET, flags);
    view.setUint16(
      transport + TCP_CHECKSUM,
      checksumOf(
        this.#transportSum +
          length +
          (sequence >>> 16) +
          (sequence & 0xffff) +
          flags +
          this.#sum(transport + this.#header - this.#ipHeader, payload),
      ),
    );
  }

  #writeUdp(transport: number, payload: number): void {
    const view = this.#view;
    const length = UDP_HEADER_BYTES + payload;
    view.setUint16(transport + UDP_LENGTH, length);
    // The length counts twice: in the header and in the pseudo-header.
    const sum = this.#transportSum + 2 * length + this.#sum(transport + UDP_HEADER_BYTES, payload);
    view.setUint16(transport + UDP_CHECKSUM, udpChecksumOf(sum));
  }
}

/** Length of an unfragmented IPv4 header that carries `protocol`, or a SegmentFault. */
function ipv4HeaderLength(bytes: Uint8Array, view: DataView, offset: number, length: number, protocol: number): number {
  if (length < IPV4_HEADER_BYTES) {
    return SegmentFault.TooShort;
  }
  const header = (bytes[offset] & 0x0f) * 4;
  const isFragment = (view.getUint16(offset + IPV4_FRAGMENT) & FRAGMENT_ANY) !== 0;
  return header < IPV4_HEADER_BYTES || isFragment || bytes[offset + IPV4_PROTOCOL] !== protocol
    ? SegmentFault.WrongHeader
    : header;
}

/**
 * Length of the IPv6 header with its extension headers up to `protocol`, or a SegmentFault. A routing header is refused:
 * the pseudo-header would need the final destination (RFC 8200 §8.1).
 */
function ipv6HeaderLength(bytes: Uint8Array, offset: number, length: number, protocol: number): number {
  if (length < IPV6_HEADER_BYTES) {
    return SegmentFault.TooShort;
  }
  let next = bytes[offset + IPV6_NEXT_HEADER];
  let position = IPV6_HEADER_BYTES;
  while (isOptions(next)) {
    if (position + 8 > length) {
      return SegmentFault.TooShort;
    }
    const header = next;
    next = bytes[offset + position];
    position += extensionBytes(bytes, offset + position, header);
  }
  return next === protocol ? position : SegmentFault.WrongHeader;
}

function without(word: number): number {
  return ~word & 0xffff;
}

/** TCP flags: FIN and PSH belong to the last segment, CWR to the first. */
const ON_LAST_ONLY = TcpFlag.Fin | TcpFlag.Push;
const ON_FIRST_ONLY = TcpFlag.Cwr;
