/**
 * Underlay → overlay, in the order a packet travels: receive a batch, check the header, find the tunnel, open, notice a
 * roamed peer, dispatch by type; data goes through the firewall to the tun queue.
 *
 * One call of `run` handles one batch and returns. A bad packet is a counter: nothing is allocated, thrown or logged
 * for it. What needs the control plane is punted. (Nebula protocol: receive pipeline.)
 */

import type { OwnIdentity } from '../../shared/firewall/identity.ts';
import { findNetwork, MAPPED_WORD } from '../../shared/ip/networkWords.ts';
import { PacketTuple, parsePacket } from '../../shared/ip/packetTuple.ts';
import { METRIC } from '../../shared/memory/metrics.ts';
import { Proof } from '../../shared/memory/tunnelTable.ts';
import type { TunnelTrafficColumn } from '../../shared/memory/tunnelTraffic.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import { OpenFault, openPacket } from '../../shared/tunnel/open.ts';
import { isSameSocketAddress, SOCKADDR_BYTES, SocketFamily } from '../../shared/tunnel/socketAddress.ts';
import type { TunnelContexts } from '../../shared/tunnel/tunnelContext.ts';
import {
  checkHeader,
  HEADER_BYTES,
  HeaderCheck,
  headerRemoteIndex,
  headerSubtype,
  headerType,
  MessageType,
  Subtype,
} from '../../shared/wire/header.ts';
import type { DatagramSource, Overlay } from '../ports/contracts.ts';
import type { Punts } from '../punts.ts';
import type { WorkerTunnel } from '../workerTunnel.ts';
import { EARLY_BYTES_MAX, EarlyPackets } from './earlyPackets.ts';
import type { Firewall } from './firewall.ts';
import { HeldMessages } from './heldMessages.ts';
import type { RecvErrors } from './recvErrors.ts';
import type { Rejects } from './rejects.ts';
import type { Sender } from './sender.ts';
import type { Strangers } from './strangers.ts';

export interface InboundParts {
  readonly arena: Arena;
  readonly udp: DatagramSource;
  readonly family: SocketFamily;
  readonly contexts: TunnelContexts<WorkerTunnel>;
  readonly sender: Sender;
  /** Where inner packets go: the tun queue, or the echo responder of a node without a device. */
  readonly overlay: Overlay;
  readonly rejects: Rejects;
  readonly punts: Punts;
  readonly strangers: Strangers;
  readonly metrics: Float64Array;
  readonly traffic: TunnelTrafficColumn;
}

/** A lighthouse's answers to its clients. */
export interface LighthouseDoor {
  /** False when the message is not for a lighthouse, but for this node's own client. */
  handle(context: WorkerTunnel, offset: number, length: number): boolean;
}

/** What a reload replaces. */
export interface InboundRules {
  /** This node's networks as words: an underlay source inside them would be a tunnel in a tunnel. */
  readonly ownNetworks: Int32Array;
  readonly firewall: Firewall;
  readonly own: OwnIdentity;
  readonly recvErrors: RecvErrors;
  /** null: this node is no lighthouse, all lighthouse messages are for its own client. */
  readonly lighthouse: LighthouseDoor | null;
}

/** A source that keeps differing from the tunnel's endpoint (refused, or flapping) is reported no more often. */
const ROAM_REPORT_MS = 250;

/** A test request longer than this is not echoed (Nebula protocol: test messages). */
const TEST_BYTES_MAX = 9001 - 64;

const OPEN_FAULT_METRICS: Readonly<Record<number, number>> = {
  [OpenFault.Duplicate]: METRIC['drop.rx.replay'],
  [OpenFault.TooOld]: METRIC['drop.rx.too_old'],
  [OpenFault.NotAuthentic]: METRIC['drop.rx.not_authentic'],
  [OpenFault.TooShort]: METRIC['drop.rx.too_short'],
};

const HEADER_FAULT_METRICS: Readonly<Record<number, number>> = {
  [HeaderCheck.Punch]: METRIC['messages.rx.punch'],
  [HeaderCheck.TooShort]: METRIC['drop.rx.too_short'],
  [HeaderCheck.WrongVersion]: METRIC['drop.rx.version'],
  [HeaderCheck.UnknownType]: METRIC['drop.rx.type'],
};

export class Inbound {
  readonly #parts: InboundParts;
  #rules: InboundRules;
  readonly #tuple: PacketTuple = new PacketTuple();
  readonly #metrics: Float64Array;
  readonly #early: EarlyPackets;
  readonly #held: HeldMessages;
  /** Where an early packet and its source lie while they are received. */
  readonly #earlyDatagram: number;
  readonly #earlySource: number;
  #nowMs = 0;
  #nowSeconds = 0;

  constructor(parts: InboundParts, rules: InboundRules) {
    this.#parts = parts;
    this.#rules = rules;
    this.#metrics = parts.metrics;
    this.#early = new EarlyPackets(parts.arena);
    this.#held = new HeldMessages(parts.arena);
    this.#earlyDatagram = parts.arena.allocate(EARLY_BYTES_MAX, 64);
    this.#earlySource = parts.arena.allocate(SOCKADDR_BYTES, 64);
  }

  reconfigure(rules: InboundRules): void {
    this.#rules = rules;
  }

  /** Handles one batch from the socket; returns the number of messages received (0: nothing waits). */
  run(nowMs: number, nowSeconds: number): number {
    const { udp } = this.#parts;
    this.#nowMs = nowMs;
    this.#nowSeconds = nowSeconds;
    const count = udp.receive();
    for (let index = 0; index < count; index++) {
      this.#message(index);
    }
    this.#parts.overlay.flush();
    return count;
  }

  /** One received message: a datagram, or several of one size that the kernel joined. */
  #message(index: number): void {
    const { udp } = this.#parts;
    const source = udp.sources[index];
    const end = udp.offsets[index] + udp.lengths[index];
    const step = udp.segmentSizes[index] || udp.lengths[index];
    this.#metrics[METRIC['udp.rx.bytes']] += udp.lengths[index];
    if (this.#isOwnNetwork(source)) {
      this.#metrics[METRIC['drop.rx.own_network']]++;
      return;
    }
    if (udp.lengths[index] === 0) {
      this.#metrics[step === 0 ? METRIC['messages.rx.punch'] : METRIC['drop.rx.too_long']]++;
    }
    for (let offset = udp.offsets[index]; offset < end; offset += step) {
      this.#metrics[METRIC['udp.rx.packets']]++;
      this.#packet(offset, Math.min(step, end - offset), source);
    }
  }

  #packet(offset: number, length: number, source: number): void {
    const { arena, contexts } = this.#parts;
    const metrics = this.#metrics;
    const checked = checkHeader(arena.bytes, offset, length);
    if (checked !== HeaderCheck.Ok) {
      metrics[HEADER_FAULT_METRICS[checked]]++;
      return;
    }
    const type = headerType(arena.bytes, offset);
    const subtype = headerSubtype(arena.bytes, offset);
    if (type === MessageType.Handshake || type === MessageType.RecvError) {
      this.#strangerPacket(type, offset, length, source);
      return;
    }
    // As a signed number it is never boxed on its way.
    const remoteIndex = headerRemoteIndex(arena.view, offset) | 0;
    if (type === MessageType.Message && subtype === Subtype.Relay) {
      // Relay indexes are a namespace of their own, and this node has none: it never agreed to a relay.
      metrics[METRIC['messages.rx.relay']]++;
      this.#rules.recvErrors.answer(remoteIndex, source, this.#nowMs);
      return;
    }
    const context = contexts.byIndex(remoteIndex);
    if (context === null) {
      this.#noTunnel(remoteIndex, offset, length, source);
      return;
    }
    if (this.#early.count > 0) {
      this.#receiveEarly(remoteIndex);
    }
    const body = openPacket(arena, contexts.tunnels, context, offset, length, metrics);
    if (body < 0) {
      metrics[OPEN_FAULT_METRICS[body]]++;
      return;
    }
    const isRequest = type === MessageType.Test && subtype === Subtype.TestRequest;
    const isAtEndpoint = this.#noteSource(context, source, isRequest);
    contexts.tunnels.markIn(context.slot);
    this.#parts.traffic.received(context.slot, length);
    if (type === MessageType.Message) {
      metrics[METRIC['messages.rx.message']]++;
      this.#data(context, offset, body);
    } else {
      this.#tunnelMessage(context, type, subtype, offset + HEADER_BYTES, body, isAtEndpoint);
    }
  }

  // Cold: packets that are ahead of their tunnel.

  /** Tunnels have come up: what was ahead of them is received now, and what no tunnel is expected for any more. */
  release(nowMs: number, nowSeconds: number): void {
    this.#nowMs = nowMs;
    this.#nowSeconds = nowSeconds;
    for (const index of this.#early.indexes()) {
      if (!this.#parts.contexts.isExpected(index)) {
        this.#receiveEarly(index);
      }
    }
    this.#handleHeld();
  }

  /** What came through tunnels that the primary had not heard of yet, and has by now. */
  #handleHeld(): void {
    const { arena, contexts } = this.#parts;
    for (const { slot, body } of this.#held.takeConfirmed(contexts, this.#nowMs)) {
      const context = contexts.at(slot);
      if (context !== null) {
        arena.bytes.set(body, this.#earlyDatagram);
        this.#lighthouse(context, this.#earlyDatagram, body.length);
      }
    }
  }

  #noTunnel(remoteIndex: number, offset: number, length: number, source: number): void {
    const isExpected = this.#parts.contexts.isExpected(remoteIndex);
    if (isExpected && this.#early.keep(remoteIndex, offset, length, source, this.#nowMs)) {
      return;
    }
    this.#metrics[METRIC['drop.rx.unknown_index']]++;
    if (!isExpected) {
      this.#rules.recvErrors.answer(remoteIndex, source, this.#nowMs);
    }
  }

  /** What was ahead of the tunnel of `index`. Each by itself, as all of them use the one place in the arena. */
  #receiveEarly(index: number): void {
    const { arena, overlay } = this.#parts;
    for (const { datagram, source } of this.#early.take(index, this.#nowMs)) {
      arena.bytes.set(datagram, this.#earlyDatagram);
      arena.bytes.set(source, this.#earlySource);
      this.#packet(this.#earlyDatagram, datagram.length, this.#earlySource);
      overlay.flush();
    }
  }

  /** An inner packet: identity, firewall, tun. */
  #data(context: WorkerTunnel, packetOffset: number, length: number): void {
    const { arena, overlay } = this.#parts;
    const { firewall, own } = this.#rules;
    const offset = packetOffset + HEADER_BYTES;
    const tuple = this.#tuple;
    if (parsePacket(arena.bytes, arena.view, offset, length, true, tuple) < 0) {
      this.#metrics[METRIC['drop.rx.inner_malformed']]++;
      return;
    }
    const peer = context.view(own);
    if (peer === null) {
      return;
    }
    if (firewall.check(tuple, peer, true, this.#nowSeconds) < 0) {
      this.#parts.rejects.inbound(context, tuple, offset, length);
      return;
    }
    overlay.add(context, packetOffset, offset, length);
  }

  /** Authentic messages that are not data. */
  #tunnelMessage(
    context: WorkerTunnel,
    type: number,
    subtype: number,
    offset: number,
    length: number,
    isAtEndpoint: boolean,
  ): void {
    const { punts } = this.#parts;
    const metrics = this.#metrics;
    if (type === MessageType.Test) {
      this.#test(context, subtype, offset, length, isAtEndpoint);
    } else if (type === MessageType.Lighthouse) {
      metrics[METRIC['messages.rx.lighthouse']]++;
      if (context.wantedProof === Proof.None || !this.#held.keep(context, offset, length, this.#nowMs)) {
        this.#lighthouse(context, offset, length);
      }
    } else if (type === MessageType.CloseTunnel) {
      metrics[METRIC['messages.rx.close_tunnel']]++;
      punts.close(context);
    } else {
      metrics[METRIC['messages.rx.control']]++;
    }
  }

  #lighthouse(context: WorkerTunnel, offset: number, length: number): void {
    const { lighthouse } = this.#rules;
    if (lighthouse === null || !lighthouse.handle(context, offset, length)) {
      this.#parts.punts.lighthouse(context, offset, length);
    }
  }

  #test(context: WorkerTunnel, subtype: number, offset: number, length: number, isAtEndpoint: boolean): void {
    const { punts, sender } = this.#parts;
    const metrics = this.#metrics;
    if (subtype === Subtype.TestReply) {
      metrics[METRIC['messages.rx.test_response']]++;
      this.#parts.traffic.answered(context.slot, this.#nowMs);
      return;
    }
    metrics[METRIC['messages.rx.test_request']]++;
    if (length > TEST_BYTES_MAX) {
      return;
    }
    if (!isAtEndpoint) {
      // The answer must go to the new endpoint, and only if the roam is allowed: the primary decides, then answers.
      punts.test(context, offset, length);
    } else if (sender.send(context, MessageType.Test, Subtype.TestReply, 0, offset, length)) {
      metrics[METRIC['messages.tx.test_response']]++;
    }
  }

  /** Packets that belong to no tunnel yet, or speak of one that is gone: the primary's business. */
  #strangerPacket(type: number, offset: number, length: number, source: number): void {
    const { arena, punts, strangers } = this.#parts;
    if (type === MessageType.Handshake) {
      this.#metrics[METRIC['messages.rx.handshake_ixpsk0']]++;
      if (strangers.admitsHandshake(offset, length, source, this.#nowMs)) {
        punts.handshake(offset, length, source);
      }
    } else {
      this.#metrics[METRIC['messages.rx.recv_error']]++;
      if (strangers.admitsRecvError(source, this.#nowMs)) {
        punts.recvError(headerRemoteIndex(arena.view, offset), source);
      }
    }
  }

  /**
   * Whether the packet came from the tunnel's endpoint. If not, and if it is the first that proves the tunnel, the primary
   * hears of it (a bounded number of times). `isRequest`: a peer sends it before it has had a packet of ours.
   */
  #noteSource(context: WorkerTunnel, source: number, isRequest: boolean): boolean {
    const { arena, contexts, punts, family } = this.#parts;
    const isAtEndpoint =
      contexts.refreshEndpoint(context) && isSameSocketAddress(arena, context.destination, source, family);
    const isWanted = context.wantedProof !== Proof.None && contexts.refreshProof(context);
    if ((isAtEndpoint && !isWanted) || (isRequest && context.wantedProof === Proof.Answer)) {
      return isAtEndpoint;
    }
    if (this.#nowMs >= context.roamReportMs) {
      context.roamReportMs = this.#nowMs + ROAM_REPORT_MS;
      punts.roam(context, source);
    }
    return isAtEndpoint;
  }

  #isOwnNetwork(source: number): boolean {
    const { view } = this.#parts.arena;
    const networks = this.#rules.ownNetworks;
    if (this.#parts.family === SocketFamily.Ipv4) {
      return findNetwork(networks, 0, 0, MAPPED_WORD, view.getInt32(source + 4)) >= 0;
    }
    return (
      findNetwork(
        networks,
        view.getInt32(source + 8),
        view.getInt32(source + 12),
        view.getInt32(source + 16),
        view.getInt32(source + 20),
      ) >= 0
    );
  }
}
