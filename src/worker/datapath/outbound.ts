/**
 * Overlay → underlay, in the order a packet travels: read from the tun queue, parse, route, firewall, segment, seal,
 * queue on the socket.
 *
 * One call of `run` handles one batch and returns; the loop calls again. Every decision is taken once per super-packet,
 * on its first bytes. Nothing is allocated, thrown or logged per packet; a packet without a tunnel is the cold branch.
 */

import type { OwnIdentity } from '../../shared/firewall/identity.ts';
import { PacketTuple, parsePacket } from '../../shared/ip/packetTuple.ts';
import { METRIC } from '../../shared/memory/metrics.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import type { TunnelContexts } from '../../shared/tunnel/tunnelContext.ts';
import { MessageType, Subtype } from '../../shared/wire/header.ts';
import type { Segmenter } from '../offload/segment.ts';
import type { PacketSource } from '../ports/contracts.ts';
import type { Punts } from '../punts.ts';
import type { WorkerTunnel } from '../workerTunnel.ts';
import type { Firewall } from './firewall.ts';
import type { FlowLabel } from './flowLabel.ts';
import type { Rejects } from './rejects.ts';
import { Route, type Router } from './router.ts';
import type { Sender } from './sender.ts';
import type { Waiting } from './waiting.ts';

/** What the outbound path works with; rebuilt parts are replaced by `reconfigure`. */
export interface OutboundParts {
  readonly arena: Arena;
  readonly tun: PacketSource;
  readonly contexts: TunnelContexts<WorkerTunnel>;
  readonly sender: Sender;
  readonly waiting: Waiting;
  readonly punts: Punts;
  readonly segmenter: Segmenter;
  readonly rejects: Rejects;
  readonly metrics: Float64Array;
}

/** What a reload replaces. */
export interface OutboundRules {
  readonly router: Router;
  readonly firewall: Firewall;
  readonly own: OwnIdentity;
  /** null: labels are off. */
  readonly labels: FlowLabel | null;
}

/** Packets read in one turn. */
const BATCH_PACKETS = 64;

/** Bytes of the largest packet that may wait: one segment. */
const WAITING_BYTES_MAX = 9216;

export class Outbound {
  readonly #parts: OutboundParts;
  #rules: OutboundRules;
  readonly #tuple: PacketTuple = new PacketTuple();
  readonly #metrics: Float64Array;
  /** Arena offset where a waiting packet is put to be sent. */
  readonly #scratch: number;
  readonly #host = new Uint8Array(16);
  readonly #hostView = new DataView(this.#host.buffer);
  #nowSeconds = 0;

  constructor(parts: OutboundParts, rules: OutboundRules) {
    this.#parts = parts;
    this.#rules = rules;
    this.#metrics = parts.metrics;
    this.#scratch = parts.arena.allocate(WAITING_BYTES_MAX, 64);
  }

  reconfigure(rules: OutboundRules): void {
    this.#rules = rules;
  }

  /** Handles one batch from the tun queue; returns the number of packets read (0: nothing waits). */
  run(nowSeconds: number): number {
    const { tun } = this.#parts;
    const metrics = this.#metrics;
    this.#nowSeconds = nowSeconds;
    const count = tun.receive(BATCH_PACKETS);
    for (let index = 0; index < count; index++) {
      metrics[METRIC['tun.rx.packets']]++;
      metrics[METRIC['tun.rx.bytes']] += tun.lengths[index];
      this.#packet(index);
    }
    return count;
  }

  /** A tunnel to the host is up: sends what waited for it, oldest first, through the firewall as it is now. */
  release(address: Uint8Array, nowSeconds: number): void {
    this.#nowSeconds = nowSeconds;
    const { bytes } = this.#parts.arena;
    for (const packet of this.#parts.waiting.take(address)) {
      bytes.set(packet, this.#scratch);
      this.#waitingPacket(packet.length);
    }
  }

  /** The handshake with the host was given up. */
  abandon(address: Uint8Array): void {
    const dropped = this.#parts.waiting.take(address).length;
    this.#metrics[METRIC['drop.tx.handshake_timeout']] += dropped;
    this.#metrics[METRIC['hostinfo.cached_packets.dropped']] += dropped;
  }

  #packet(index: number): void {
    const { tun, arena, contexts, waiting } = this.#parts;
    const offset = tun.offsets[index];
    const length = tun.lengths[index];
    const tuple = this.#tuple;
    if (parsePacket(arena.bytes, arena.view, offset, length, false, tuple) < 0) {
      this.#metrics[METRIC['drop.tx.malformed']]++;
      return;
    }
    const slot = this.#rules.router.resolve(tuple);
    const context = slot < 0 ? null : contexts.at(slot);
    if (context === null) {
      this.#undeliverable(slot, index);
      return;
    }
    if (waiting.mayHave(this.#rules.router.host3)) {
      this.#sendWaitingFirst();
      if (parsePacket(arena.bytes, arena.view, offset, length, false, tuple) < 0) {
        return;
      }
    }
    if (!this.#isAllowed(context, offset, length)) {
      return;
    }
    const segments = this.#beginSegments(index);
    if (segments > 0) {
      this.#sendSegments(context, segments);
    }
  }

  /** The number of segments of the packet that was read, or a negative number (counted) when its virtio header is bad. */
  #beginSegments(index: number): number {
    const { tun, segmenter } = this.#parts;
    const segments = segmenter.begin(
      tun.offsets[index],
      tun.lengths[index],
      tun.flags[index],
      tun.gsoTypes[index],
      tun.gsoSizes[index],
      tun.checksumStarts[index],
      tun.checksumOffsets[index],
    );
    if (segments <= 0) {
      this.#metrics[METRIC['drop.tx.offload_header']]++;
    }
    return segments;
  }

  /** Seals and queues the segments that `segmenter` was begun with. */
  #sendSegments(context: WorkerTunnel, segments: number): void {
    const { sender, segmenter, contexts } = this.#parts;
    if (!sender.prepare(context, segments)) {
      return;
    }
    const labels = this.#rules.labels;
    const label = labels === null ? 0 : labels.of(this.#tuple);
    for (let index = 0; index < segments; index++) {
      segmenter.next();
      sender.sendNext(context, MessageType.Message, Subtype.None, label, segmenter.offset, segmenter.length);
    }
    this.#metrics[METRIC['messages.tx.message']] += segments;
    contexts.tunnels.markOut(context.slot);
  }

  /** The firewall's verdict on the packet in `#tuple`; a refused one may get a reject back through the tun. */
  #isAllowed(context: WorkerTunnel, offset: number, length: number): boolean {
    const { firewall, own } = this.#rules;
    const peer = context.view(own);
    if (peer === null) {
      return false;
    }
    if (firewall.check(this.#tuple, peer, false, this.#nowSeconds) >= 0) {
      return true;
    }
    this.#parts.rejects.outbound(this.#tuple, offset, length);
    return false;
  }

  // Cold: no tunnel, or no way at all.

  #undeliverable(code: number, index: number): void {
    const { tun } = this.#parts;
    const metrics = this.#metrics;
    if (code >= 0 || code === Route.Miss) {
      this.#wait(index);
    } else if (code === Route.NoRoute) {
      metrics[METRIC['drop.tx.no_route']]++;
      this.#parts.rejects.outbound(this.#tuple, tun.offsets[index], tun.lengths[index]);
    } else if (code === Route.OwnAddress) {
      metrics[METRIC['drop.tx.own_address']]++;
    } else if (code === Route.OwnDatagram) {
      metrics[METRIC['drop.tx.own_datagram']]++;
    } else if (code === Route.Multicast) {
      metrics[METRIC['drop.tx.multicast']]++;
    } else {
      metrics[METRIC['drop.tx.broadcast']]++;
    }
  }

  /** Keeps the packet, cut into segments, until the router's chosen host has a tunnel. */
  #wait(index: number): void {
    const { segmenter, waiting, punts, arena } = this.#parts;
    const segments = this.#beginSegments(index);
    this.#writeHost();
    for (let segment = 0; segment < segments; segment++) {
      segmenter.next();
      const { isNew, isFull } = waiting.add(this.#host, arena.bytes, segmenter.offset, segmenter.length);
      if (isFull || (isNew && !punts.miss(this.#host))) {
        // Nobody would say that the tunnel of an unreported host is up: nothing waits for it, its next packet reports it.
        if (isNew) {
          waiting.take(this.#host);
        }
        this.#metrics[METRIC['drop.tx.waiting_full']]++;
        this.#metrics[METRIC['hostinfo.cached_packets.dropped']]++;
      }
    }
  }

  /** The tunnel is there already, but its news has not come: earlier packets must go first. */
  #sendWaitingFirst(): void {
    this.#writeHost();
    this.release(this.#host, this.#nowSeconds);
  }

  /** Sends one packet that waited and now lies in the scratch. */
  #waitingPacket(length: number): void {
    const { arena, contexts, segmenter } = this.#parts;
    const tuple = this.#tuple;
    if (parsePacket(arena.bytes, arena.view, this.#scratch, length, false, tuple) < 0) {
      return;
    }
    const slot = this.#rules.router.resolve(tuple);
    const context = slot < 0 ? null : contexts.at(slot);
    if (context === null) {
      this.#metrics[METRIC['hostinfo.cached_packets.dropped']]++;
      return;
    }
    if (
      this.#isAllowed(context, this.#scratch, length) &&
      segmenter.begin(this.#scratch, length, 0, 0, 0, 0, 0) === 1
    ) {
      this.#sendSegments(context, 1);
      this.#metrics[METRIC['hostinfo.cached_packets.sent']]++;
    }
  }

  #writeHost(): void {
    const { router } = this.#rules;
    this.#hostView.setInt32(0, router.host0);
    this.#hostView.setInt32(4, router.host1);
    this.#hostView.setInt32(8, router.host2);
    this.#hostView.setInt32(12, router.host3);
  }
}
