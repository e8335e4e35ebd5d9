/**
 * The imperative shell around the control plane: clocks in, effects out.
 *
 * Every event enters through `act`, which reads both clocks once, calls the control plane, carries out its effects in
 * order and sets one timer for the next deadline. The only place where control meets sockets, rows, workers and logs.
 *
 * An exception costs what caused it, one punt or one effect, and nothing behind it: effects are carried out and the timer
 * is set whatever happened before.
 */

import type { Endpoint, IpAddress } from '../shared/ip/address.ts';
import { addressFromBytes, endpointOf } from '../shared/ip/address.ts';
import type { Punt, ToWorker } from '../shared/ipc/messages.ts';
import type { Logger } from '../shared/log/logger.ts';
import { METRIC, type MetricName } from '../shared/memory/metrics.ts';
import { counterWords, reserveCounters } from '../shared/memory/sendCounter.ts';
import { sealPacket } from '../shared/tunnel/seal.ts';
import type { TunnelContexts } from '../shared/tunnel/tunnelContext.ts';
import { HEADER_BYTES, MessageType, Subtype } from '../shared/wire/header.ts';
import type { Boundary } from './boundary.ts';
import type { ControlPlane } from './control/controlPlane.ts';
import type { Effect } from './control/effects.ts';
import { invariant } from './control/invariant.ts';
import type { Now } from './control/now.ts';
import type { Underlay } from './machine/underlay.ts';
import { mappedBytes, type TunnelRows } from './tables/tunnelRows.ts';

/** What has deadlines and effects of its own beside the control plane: discovery. */
export interface ControlCompanion {
  readonly nextMs: number | null;
  onTimer(now: Now): void;
  drain(): Effect[];
  /** Sees every effect, in order, before the shell carries it out. */
  onEffect(now: Now, effect: Effect): void;
  /** An opened lighthouse message from the peer of a tunnel. */
  onLighthouseMessage(now: Now, slot: number, generation: number, body: Uint8Array): void;
  /** An answer of this lighthouse to a host (16 bytes) without a tunnel. */
  onLighthouseAnswer(address: Uint8Array, body: Uint8Array): void;
}

export interface ControlShellParts {
  readonly control: ControlPlane;
  readonly companion: ControlCompanion;
  readonly rows: TunnelRows;
  readonly contexts: TunnelContexts;
  readonly underlay: Underlay;
  /** The primary's column. */
  readonly metrics: Float64Array;
  readonly broadcast: (message: ToWorker) => void;
  readonly log: Logger;
  readonly boundary: Boundary;
}

/** Timers further away than this are re-armed: Node's timers end at 2^31 ms. */
const TIMER_MS_MAX = 60_000;
/** A deadline that cannot be kept is due again at once: it is tried so often, and the rest of the node has its turns. */
const FAULTY_TIMER_MS = 100;
/** Effects cause effects, a few deep. */
const SETTLE_ROUNDS_MAX = 1_000;

export class ControlShell {
  readonly #parts: ControlShellParts;
  /** Counts of names that have no cell in shared memory. */
  readonly #counts = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;
  #timerMs = Number.POSITIVE_INFINITY;
  #isClosed = false;
  #timerNotBeforeMs = 0;

  constructor(parts: ControlShellParts) {
    this.#parts = parts;
  }

  /** Runs one event through the control plane and carries out what it wants done. Throws what the event throws. */
  act(event: (now: Now) => void): void {
    const now: Now = { ms: performance.now(), unixMs: Date.now() };
    try {
      event(now);
    } finally {
      this.#parts.boundary.guard('effect', () => this.#settle(now));
      this.#arm();
    }
  }

  /** Rows are right before the next punt is looked at: a roam decides where a test is answered. Throws like `act`. */
  onPunt(punt: Punt): void {
    this.act((now) => this.#onPunt(now, punt));
  }

  /** Counts that the control plane named, beyond those in shared memory. */
  counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Carries out nothing more. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
    }
  }

  #onPunt(now: Now, punt: Punt): void {
    const { control, rows, companion } = this.#parts;
    switch (punt.kind) {
      case 'handshake':
        control.onHandshake(now, punt.bytes, endpointFrom(punt.address, punt.port));
        break;
      case 'recvError':
        control.onRecvError(now, punt.index, endpointFrom(punt.address, punt.port));
        break;
      case 'roam':
        control.onRoam(now, punt.slot, punt.generation, endpointFrom(punt.address, punt.port));
        break;
      case 'close':
        control.onClose(punt.slot, punt.generation);
        break;
      case 'miss':
        control.onMiss(now, addressFromBytes(punt.address));
        break;
      case 'test':
        if (rows.isLive(punt.slot, punt.generation)) {
          this.#seal(punt.slot, MessageType.Test, Subtype.TestReply, punt.body, null);
        }
        break;
      case 'lighthouse':
        companion.onLighthouseMessage(now, punt.slot, punt.generation, punt.body);
        break;
      case 'lighthouseAnswer':
        companion.onLighthouseAnswer(punt.address, punt.body);
        break;
    }
  }

  /** Carries out effects until there are none: some of them cause others. */
  #settle(now: Now): void {
    const { control, companion, boundary } = this.#parts;
    for (let round = 0; ; round++) {
      const effects = [...control.drain(), ...companion.drain()];
      if (effects.length === 0) {
        return;
      }
      invariant(round < SETTLE_ROUNDS_MAX, 'effects of the control plane cause each other without end');
      for (const effect of effects) {
        boundary.guard('effect', () => companion.onEffect(now, effect));
        boundary.guard('effect', () => this.#carryOut(effect));
      }
    }
  }

  #carryOut(effect: Effect): void {
    const { rows, contexts, underlay, broadcast, log } = this.#parts;
    switch (effect.kind) {
      case 'sendDatagram':
        this.#sent('messages.tx.handshake_ixpsk0', underlay.send(effect.endpoint, effect.bytes), effect.endpoint);
        break;
      case 'sendSealed':
        this.#seal(effect.slot, effect.type, effect.subtype, effect.body, effect.endpoint);
        break;
      case 'punch': {
        const errno = underlay.send(effect.endpoint, Uint8Array.of(effect.byte));
        this.#sent(effect.byte === 1 ? 'messages.tx.punchy' : 'messages.tx.holepunch', errno, effect.endpoint);
        break;
      }
      case 'hostUp':
        broadcast({ type: 'hostUp', addresses: effect.addresses.map(mappedBytes) });
        break;
      case 'hostFailed':
        broadcast({ type: 'hostFailed', address: mappedBytes(effect.address) });
        break;
      case 'tunnelClosed':
        rows.remove(effect.slot);
        contexts.release(effect.slot);
        broadcast({ type: 'tunnelsClosed', slots: [effect.slot] });
        break;
      case 'log':
        log.log(effect.level, effect.message, effect.fields);
        break;
      case 'count':
        this.#count(effect.metric, effect.n);
        break;
      default:
        // The companion's business.
        break;
    }
  }

  #seal(slot: number, type: number, subtype: number, body: Uint8Array, endpoint: Endpoint | null): void {
    const { contexts, underlay } = this.#parts;
    const { tunnels } = contexts;
    const context = contexts.at(slot);
    if (context === null) {
      return;
    }
    const isReachable = endpoint === null ? contexts.refreshEndpoint(context) : underlay.address(endpoint) >= 0;
    if (!isReachable) {
      this.#count('drop.tx.no_endpoint', 1);
      return;
    }
    if (!underlay.placeBody(body)) {
      this.#count('drop.tx.too_long', 1);
      return;
    }
    const counter = counterWords();
    if (!reserveCounters(tunnels.cells, tunnels.counterCell(slot), 1, counter)) {
      this.#count('messages.tx.exhausted', 1);
      return;
    }
    const source = underlay.buffer + HEADER_BYTES;
    const length = sealPacket(underlay.arena, context, type, subtype, 0, counter, source, body.length, underlay.buffer);
    const errno =
      endpoint === null ? underlay.sendTo(context.destination, length) : underlay.sendBuilt(endpoint, length);
    // A peer that never answers must be noticed, whichever process talks to it.
    tunnels.markOut(slot);
    this.#sent(SEALED_METRICS[type * 2 + subtype] ?? null, errno, endpoint);
  }

  #sent(metric: MetricName | null, errno: number, endpoint: Endpoint | null): void {
    if (errno !== 0) {
      this.#count('udp.tx.dropped', 1);
      this.#parts.log.debug('Could not send a datagram', { udpAddr: endpoint?.text ?? '', errno });
    } else if (metric !== null) {
      this.#count(metric, 1);
    }
  }

  #count(metric: string, n: number): void {
    const cell = (METRIC as Readonly<Record<string, number | undefined>>)[metric];
    if (cell === undefined) {
      this.#counts.set(metric, (this.#counts.get(metric) ?? 0) + n);
    } else {
      this.#parts.metrics[cell] += n;
    }
  }

  /** One timer for the earliest deadline of all parts. */
  #arm(): void {
    const { control, companion } = this.#parts;
    const times = [control.nextMs, companion.nextMs].filter((time) => time !== null);
    const nextMs = times.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...times);
    if (this.#isClosed || (this.#timer !== null && this.#timerMs === nextMs)) {
      return;
    }
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
      this.#timer = null;
    }
    this.#timerMs = nextMs;
    if (nextMs !== Number.POSITIVE_INFINITY) {
      const dueMs = Math.max(nextMs, this.#timerNotBeforeMs);
      const delayMs = Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil(dueMs - performance.now())));
      this.#timer = setTimeout(() => this.#onTimer(), delayMs);
    }
  }

  #onTimer(): void {
    const { control, companion, boundary } = this.#parts;
    this.#timer = null;
    this.act((now) => {
      const isDone = boundary.guard('timer', () => control.onTimer(now));
      if (!(boundary.guard('timer', () => companion.onTimer(now)) && isDone)) {
        this.#timerNotBeforeMs = now.ms + FAULTY_TIMER_MS;
      }
    });
  }
}

/** By type and subtype of a sealed message. */
const SEALED_METRICS: Readonly<Record<number, MetricName>> = {
  [MessageType.Lighthouse * 2]: 'messages.tx.lighthouse',
  [MessageType.Test * 2 + Subtype.TestRequest]: 'messages.tx.test_request',
  [MessageType.Test * 2 + Subtype.TestReply]: 'messages.tx.test_response',
  [MessageType.CloseTunnel * 2]: 'messages.tx.close_tunnel',
};

function endpointFrom(address: Uint8Array, port: number): Endpoint {
  const ip: IpAddress = addressFromBytes(address);
  return endpointOf(ip, port);
}
