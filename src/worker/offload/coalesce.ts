/**
 * Joins the packets of one receive batch into super-packets, so that the tun device takes them in one write each.
 *
 * `add` collects opened inner packets by arena offset; `flush` puts them into delivery order, joins what may be joined
 * and hands everything to the sink. Nothing is copied: the packets' memory must stay as it is until `flush` returns, and
 * headers of joined packets are changed in place.
 *
 * Order: every packet becomes part of a group, or a group of its own; groups leave in the order in which they were
 * begun, and a packet joins only the newest group of its flow. So packets of one flow never overtake one another, pure
 * ACKs, SYN, FIN and odd ones included: each of those ends its flow's group. A fragment, whose flow is not known, ends
 * all groups. Packets of different flows may change places.
 *
 * Joining rules: those of the kernel's receive offload (same headers but for lengths, sequence, id, checksums; PSH or a
 * shorter payload ends a group), and the checksums of each packet must be right, since nobody checks them again.
 */

import { foldSum, ipv4Checksum, pseudoSum4, pseudoSum6 } from '../../shared/ip/checksum.ts';
import {
  IPV4_CHECKSUM,
  IPV4_HEADER_BYTES,
  IPV4_TOTAL_LENGTH,
  IPV6_HEADER_BYTES,
  IPV6_PAYLOAD_LENGTH,
  IpProtocol,
  TCP_CHECKSUM,
  TCP_FLAGS,
  TcpFlag,
  UDP_CHECKSUM,
  UDP_LENGTH,
} from '../../shared/ip/headers.ts';
import type { PacketMemory, SumFunction } from '../../shared/ip/packetMemory.ts';
import type { PacketSink } from '../ports/contracts.ts';
import { GsoType, VirtioFlag } from '../ports/virtio.ts';
import { BatchOrder } from './batchOrder.ts';
import { isIntact, isSameFlow, isSameHeader, JoinCandidate, JoinKind } from './joinable.ts';

/** Where packets go: the tun port. */
export type JoiningSink = Omit<PacketSink, 'droppedCount'>;

export interface CoalescerOptions {
  /** Packets of one batch; more are flushed early. */
  readonly capacity: number;
  /** Join TCP: the device takes TSO. Join UDP: the kernel takes UDP_L4 (6.2 or newer). */
  readonly joinsTcp: boolean;
  readonly joinsUdp: boolean;
  /** Packets of one super-packet: 64 by default; the sink takes 128 pieces. */
  readonly joinedCountMax?: number;
}

export class Coalescer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #sum: SumFunction;
  readonly #sink: JoiningSink;
  readonly #joinsTcp: boolean;
  readonly #joinsUdp: boolean;
  readonly #joinedCountMax: number;
  readonly #capacity: number;
  readonly #order: BatchOrder;
  readonly #candidate: JoinCandidate = new JoinCandidate();
  // By packet number.
  readonly #offsets: Int32Array;
  readonly #lengths: Int32Array;
  /** The next packet of the same group, or -1. */
  readonly #nexts: Int32Array;
  // By group number, in the order in which groups were begun.
  readonly #firsts: Int32Array;
  readonly #lasts: Int32Array;
  readonly #counts: Int32Array;
  readonly #payloads: Int32Array;
  readonly #headers: Int32Array;
  readonly #gsoSizes: Int32Array;
  readonly #sequences: Float64Array;
  readonly #marks: Uint8Array;
  #groupCount = 0;
  /** Newest open group by flow hash, or -1. A collision closes the older flow's group, which is always safe. */
  readonly #open: Int32Array = new Int32Array(TABLE_SIZE).fill(-1);

  constructor(memory: PacketMemory, sink: JoiningSink, options: CoalescerOptions) {
    const { capacity } = options;
    this.#bytes = memory.bytes;
    this.#view = memory.view;
    this.#sum = memory.sum;
    this.#sink = sink;
    this.#joinsTcp = options.joinsTcp;
    this.#joinsUdp = options.joinsUdp;
    this.#joinedCountMax = options.joinedCountMax ?? 64;
    this.#capacity = capacity;
    this.#order = new BatchOrder(capacity);
    this.#offsets = new Int32Array(capacity);
    this.#lengths = new Int32Array(capacity);
    this.#nexts = new Int32Array(capacity);
    this.#firsts = new Int32Array(capacity);
    this.#lasts = new Int32Array(capacity);
    this.#counts = new Int32Array(capacity);
    this.#payloads = new Int32Array(capacity);
    this.#headers = new Int32Array(capacity);
    this.#gsoSizes = new Int32Array(capacity);
    this.#sequences = new Float64Array(capacity);
    this.#marks = new Uint8Array(capacity);
  }

  /**
   * Takes one packet that the firewall passed. `tunnel`: ordinal of the tunnel, larger for one made later. The halves of
   * the message counter may be signed.
   */
  add(offset: number, length: number, tunnel: number, counterHigh: number, counterLow: number): void {
    if (this.#order.count === this.#capacity) {
      this.flush();
    }
    const index = this.#order.count;
    this.#offsets[index] = offset;
    this.#lengths[index] = length;
    this.#order.add(tunnel, counterHigh, counterLow);
  }

  /** Delivers everything added since the last flush. Returns 0, or a negative errno when the device is broken. */
  flush(): number {
    const batch = this.#order;
    const count = batch.count;
    let result = 0;
    if (count === 0) {
      return result;
    }
    batch.settle();
    for (let index = 0; index < count; index++) {
      this.#place(batch.order[index]);
    }
    for (let group = 0; group < this.#groupCount; group++) {
      const written = this.#emit(group);
      result = written < 0 ? written : result;
    }
    batch.clear();
    this.#groupCount = 0;
    this.#open.fill(-1);
    return result;
  }

  /** Puts a packet into the newest group of its flow, or into one of its own. */
  #place(packet: number): void {
    const candidate = this.#candidate;
    candidate.read(this.#bytes, this.#view, this.#offsets[packet], this.#lengths[packet]);
    if (candidate.kind === JoinKind.Foreign) {
      this.#begin(packet);
      return;
    }
    if (candidate.kind === JoinKind.Unclear) {
      this.#begin(packet);
      this.#open.fill(-1);
      return;
    }
    const entry = candidate.hash & (TABLE_SIZE - 1);
    const group = this.#open[entry];
    const isOwn =
      group >= 0 &&
      isSameFlow(
        this.#view,
        this.#offsets[this.#firsts[group]],
        this.#offsets[packet],
        candidate.isIpv4,
        candidate.isTcp,
      );
    const mayJoin = candidate.kind === JoinKind.Joinable && (candidate.isTcp ? this.#joinsTcp : this.#joinsUdp);
    if (!mayJoin) {
      this.#begin(packet);
      if (isOwn) {
        this.#open[entry] = -1;
      }
    } else if (isOwn && this.#fits(group, packet)) {
      this.#append(group, packet, entry);
    } else {
      const begun = this.#begin(packet);
      this.#open[entry] = (candidate.flags & TcpFlag.Push) !== 0 ? -1 : begun;
    }
  }

  /** A new group of one packet, which `#candidate` describes. */
  #begin(packet: number): number {
    const candidate = this.#candidate;
    const group = this.#groupCount++;
    this.#nexts[packet] = -1;
    this.#firsts[group] = packet;
    this.#lasts[group] = packet;
    this.#counts[group] = 1;
    this.#payloads[group] = candidate.payload;
    this.#headers[group] = candidate.header;
    this.#gsoSizes[group] = candidate.payload;
    this.#sequences[group] = (candidate.sequence + candidate.payload) % 0x1_0000_0000;
    this.#marks[group] = (candidate.isIpv4 ? Mark.Ipv4 : 0) | (candidate.isTcp ? Mark.Tcp : 0);
    return group;
  }

  /** Whether the candidate continues the group; checks its checksum last, as that reads the whole packet. */
  #fits(group: number, packet: number): boolean {
    const candidate = this.#candidate;
    const count = this.#counts[group];
    const first = this.#offsets[this.#firsts[group]];
    const offset = this.#offsets[packet];
    return (
      count < this.#joinedCountMax &&
      candidate.header === this.#headers[group] &&
      candidate.payload <= this.#gsoSizes[group] &&
      candidate.header + this.#payloads[group] + candidate.payload <= JOINED_BYTES_MAX &&
      (!candidate.isTcp || candidate.sequence === this.#sequences[group]) &&
      isSameHeader(this.#view, first, offset, count, candidate) &&
      this.#isFirstIntact(group) &&
      isIntact(this.#view, this.#sum, offset, this.#lengths[packet], candidate.isIpv4, candidate.isTcp)
    );
  }

  /** A group's first packet is checked when the second comes: alone it would be the kernel's to check. */
  #isFirstIntact(group: number): boolean {
    const marks = this.#marks[group];
    if ((marks & (Mark.Intact | Mark.Broken)) === 0) {
      const first = this.#firsts[group];
      const isIpv4 = (marks & Mark.Ipv4) !== 0;
      const isTcp = (marks & Mark.Tcp) !== 0;
      const isRight = isIntact(this.#view, this.#sum, this.#offsets[first], this.#lengths[first], isIpv4, isTcp);
      this.#marks[group] = marks | (isRight ? Mark.Intact : Mark.Broken);
      return isRight;
    }
    return (marks & Mark.Intact) !== 0;
  }

  #append(group: number, packet: number, entry: number): void {
    const candidate = this.#candidate;
    this.#nexts[packet] = -1;
    this.#nexts[this.#lasts[group]] = packet;
    this.#lasts[group] = packet;
    this.#counts[group]++;
    this.#payloads[group] += candidate.payload;
    this.#sequences[group] = (candidate.sequence + candidate.payload) % 0x1_0000_0000;
    const hasPush = (candidate.flags & TcpFlag.Push) !== 0;
    if (hasPush) {
      this.#marks[group] |= Mark.Push;
    }
    if (hasPush || candidate.payload < this.#gsoSizes[group]) {
      this.#open[entry] = -1;
    }
  }

  #emit(group: number): number {
    const sink = this.#sink;
    const first = this.#firsts[group];
    const offset = this.#offsets[first];
    if (this.#counts[group] === 1) {
      return sink.write(offset, this.#lengths[first]);
    }
    const marks = this.#marks[group];
    const isTcp = (marks & Mark.Tcp) !== 0;
    const isIpv4 = (marks & Mark.Ipv4) !== 0;
    const header = this.#headers[group];
    this.#writeHeader(offset, header, this.#payloads[group], marks);
    sink.beginGather();
    sink.addPiece(offset, this.#lengths[first]);
    for (let packet = this.#nexts[first]; packet >= 0; packet = this.#nexts[packet]) {
      sink.addPiece(this.#offsets[packet] + header, this.#lengths[packet] - header);
    }
    return sink.finishGather(
      VirtioFlag.NeedsChecksum,
      isTcp ? (isIpv4 ? GsoType.Tcp4 : GsoType.Tcp6) : GsoType.Udp,
      header,
      this.#gsoSizes[group],
      isIpv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES,
      isTcp ? TCP_CHECKSUM : UDP_CHECKSUM,
    );
  }

  /** Turns the first packet's headers into those of the super-packet; the transport checksum is left to the kernel. */
  #writeHeader(offset: number, header: number, payload: number, marks: number): void {
    const view = this.#view;
    const isIpv4 = (marks & Mark.Ipv4) !== 0;
    const isTcp = (marks & Mark.Tcp) !== 0;
    const ipHeader = isIpv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
    const transport = offset + ipHeader;
    const transportBytes = header - ipHeader + payload;
    const protocol = isTcp ? IpProtocol.Tcp : IpProtocol.Udp;
    if (isIpv4) {
      view.setUint16(offset + IPV4_TOTAL_LENGTH, header + payload);
      view.setUint16(offset + IPV4_CHECKSUM, ipv4Checksum(view, offset, ipHeader));
    } else {
      view.setUint16(offset + IPV6_PAYLOAD_LENGTH, transportBytes);
    }
    if (!isTcp) {
      view.setUint16(transport + UDP_LENGTH, transportBytes);
    } else if ((marks & Mark.Push) !== 0) {
      this.#bytes[transport + TCP_FLAGS] |= TcpFlag.Push;
    }
    const pseudo = isIpv4 ? pseudoSum4(view, offset, protocol) : pseudoSum6(view, offset, protocol);
    view.setUint16(transport + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM), foldSum(pseudo + transportBytes));
  }
}

/** Bits of a group. */
const Mark = { Ipv4: 1, Tcp: 2, Push: 4, Intact: 8, Broken: 16 } as const;

/** An IPv4 total length has 16 bits; the same limit does for IPv6. */
const JOINED_BYTES_MAX = 65535;
const TABLE_SIZE = 1024;
