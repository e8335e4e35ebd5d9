/**
 * Carries out what the control plane wants done, one effect at a time: datagrams and sealed messages to the network, rows
 * out of the shared tables, news to the workers and the lighthouse's names, lines to the log, counts. Decides nothing, and
 * nothing that it does is an event for the control plane.
 */

import type { Endpoint, IpAddress } from '../shared/ip/address.ts';
import type { ToWorker } from '../shared/ipc/messages.ts';
import type { Logger } from '../shared/log/logger.ts';
import { METRIC, type MetricName } from '../shared/memory/metrics.ts';
import { counterWords, reserveCounters } from '../shared/memory/sendCounter.ts';
import { errnoName, errnoText } from '../shared/sys/sysError.ts';
import { sealPacket } from '../shared/tunnel/seal.ts';
import type { TunnelContexts } from '../shared/tunnel/tunnelContext.ts';
import { HEADER_BYTES, MessageType, Subtype } from '../shared/wire/header.ts';
import type { Effect } from './control/effects.ts';
import type { Underlay } from './machine/underlay.ts';
import { mappedBytes, type TunnelRows } from './tables/tunnelRows.ts';

/** What is carried out here. The answer to a `resolve` is an event: that one is the shell's. */
export type Deed = Exclude<Effect, { readonly kind: 'resolve' }>;

export interface PerformerParts {
  readonly rows: TunnelRows;
  readonly contexts: TunnelContexts;
  readonly underlay: Underlay;
  /** The primary's column. */
  readonly metrics: Float64Array;
  readonly workers: { broadcast(message: ToWorker): void };
  readonly names: {
    onHostUp(name: string, vpnAddresses: readonly IpAddress[]): void;
    onHostGone(vpnAddresses: readonly IpAddress[]): void;
  };
  /** Remembers what could not be sent. */
  readonly troubles: { notSent(nowMs: number, endpoint: Endpoint, reason: string): number };
  readonly log: Logger;
}

export class Performer {
  readonly #parts: PerformerParts;
  /** Counts of names that have no cell in shared memory. */
  readonly #counts = new Map<string, number>();
  /** By errno: messages that tunnels could not send. */
  readonly #unsent = new Map<number, number>();

  constructor(parts: PerformerParts) {
    this.#parts = parts;
  }

  /** Counts that the control plane named, beyond those in shared memory. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  carryOut(effect: Deed): void {
    const { underlay, workers, names, log } = this.#parts;
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
        workers.broadcast({ type: 'hostUp', addresses: effect.addresses.map(mappedBytes) });
        names.onHostUp(effect.name, effect.addresses);
        break;
      case 'hostFailed':
        workers.broadcast({ type: 'hostFailed', address: mappedBytes(effect.address) });
        break;
      case 'tunnelClosed':
        this.#close(effect.slot, effect.farewell);
        break;
      case 'hostGone':
        names.onHostGone(effect.addresses);
        break;
      case 'log':
        log.log(effect.level, effect.message, effect.fields);
        break;
      case 'count':
        this.#count(effect.metric, effect.n);
        break;
      case 'handshakeTook':
        this.#parts.rows.measures.handshakes.add(effect.durationMs);
        break;
    }
  }

  #close(slot: number, farewell: boolean): void {
    const { rows, contexts, workers } = this.#parts;
    if (farewell) {
      this.#seal(slot, MessageType.CloseTunnel, Subtype.None, NO_BODY, null);
    }
    rows.remove(slot);
    contexts.release(slot);
    workers.broadcast({ type: 'tunnelsClosed', slots: [slot] });
  }

  #seal(slot: number, type: number, subtype: number, body: Uint8Array, endpoint: Endpoint | null): void {
    const { rows, contexts, underlay } = this.#parts;
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
    if (type === MessageType.Test && subtype === Subtype.TestRequest) {
      rows.measures.tunnels.testSent(slot, performance.now());
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
    rows.measures.tunnels.sent(slot, length);
    this.#sent(SEALED_METRICS[type * 2 + subtype] ?? null, errno, endpoint);
  }

  #sent(metric: MetricName | null, errno: number, endpoint: Endpoint | null): void {
    if (errno !== 0) {
      this.#count('udp.tx.dropped', 1);
      this.#notSent(errno, endpoint);
    } else if (metric !== null) {
      this.#count(metric, 1);
    }
  }

  /** A network that is gone costs few lines: the first of a row and every tenfold of it. */
  #notSent(errno: number, endpoint: Endpoint | null): void {
    const { troubles, log } = this.#parts;
    const error = `${errnoText(errno)} (${errnoName(errno)})`;
    const count = endpoint === null ? this.#countUnsent(errno) : troubles.notSent(performance.now(), endpoint, error);
    if (Number.isInteger(Math.log10(count))) {
      log.warn('Could not send a datagram', { udpAddr: endpoint?.text ?? 'of a tunnel', error, count });
    }
  }

  #countUnsent(errno: number): number {
    const count = (this.#unsent.get(errno) ?? 0) + 1;
    this.#unsent.set(errno, count);
    return count;
  }

  #count(metric: string, n: number): void {
    const cell = (METRIC as Readonly<Record<string, number | undefined>>)[metric];
    if (cell === undefined) {
      this.#counts.set(metric, (this.#counts.get(metric) ?? 0) + n);
    } else {
      this.#parts.metrics[cell] += n;
    }
  }
}

/** By type and subtype of a sealed message. */
const SEALED_METRICS: Readonly<Record<number, MetricName>> = {
  [MessageType.Lighthouse * 2]: 'messages.tx.lighthouse',
  [MessageType.Test * 2 + Subtype.TestRequest]: 'messages.tx.test_request',
  [MessageType.Test * 2 + Subtype.TestReply]: 'messages.tx.test_response',
  [MessageType.CloseTunnel * 2]: 'messages.tx.close_tunnel',
};
const NO_BODY = new Uint8Array(0);
