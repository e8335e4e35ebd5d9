/**
 * The last step of everything this worker sends: counter, seal into the socket's send area, queue for the next flush.
 *
 * Used for data, test replies, rejects and lighthouse answers alike. Allocates nothing.
 */
import { METRIC } from '../../shared/memory/metrics.ts';
import { reserveCounters } from '../../shared/memory/sendCounter.ts';
import { SEAL_OVERHEAD_BYTES, sealPacket } from '../../shared/tunnel/seal.ts';
import type { TunnelContext, TunnelContexts } from '../../shared/tunnel/tunnelContext.ts';
import type { DatagramSink } from '../ports/contracts.ts';

export class Sender {
  readonly #contexts: TunnelContexts;
  readonly #udp: DatagramSink;
  readonly #metrics: Float64Array;
  #label = 0;

  constructor(contexts: TunnelContexts, udp: DatagramSink, metrics: Float64Array) {
    this.#contexts = contexts;
    this.#udp = udp;
    this.#metrics = metrics;
  }

  /**
   * Reserves `count` counters for packets that follow at once with `sendWith`, and returns the first; -1 (counted) when
   * the tunnel has no endpoint or no counters left.
   */
  prepare(context: TunnelContext, count: number): number {
    if (!this.#contexts.refreshEndpoint(context)) {
      this.#metrics[METRIC['drop.tx.no_endpoint']] += count;
      return -1;
    }
    const tunnels = this.#contexts.tunnels;
    const counter = reserveCounters(tunnels.words, tunnels.counterCell(context.slot), count);
    if (counter < 0) {
      this.#metrics[METRIC['drop.tx.exhausted']] += count;
    }
    return counter;
  }

  /** Seals the body at arena offset `source` with a counter from `prepare` and queues the packet. */
  sendWith(
    context: TunnelContext,
    type: number,
    subtype: number,
    label: number,
    counter: number,
    source: number,
    length: number,
  ): void {
    const bytes = length + SEAL_OVERHEAD_BYTES;
    const target = this.#udp.reserve(bytes);
    if (target < 0) {
      this.#metrics[METRIC['drop.tx.socket_full']]++;
      return;
    }
    if (label !== this.#label) {
      // A run travels as one, and its first header decides which of the receiver's workers gets all of it.
      this.#udp.endRun();
      this.#label = label;
    }
    sealPacket(this.#contexts.arena, context, type, subtype, label, counter, source, length, target);
    this.#udp.commit(bytes, context.destination);
    this.#metrics[METRIC['udp.tx.packets']]++;
    this.#metrics[METRIC['udp.tx.bytes']] += bytes;
  }

  /** One packet on its own; false (counted) when it cannot be sent. */
  send(context: TunnelContext, type: number, subtype: number, label: number, source: number, length: number): boolean {
    const counter = this.prepare(context, 1);
    if (counter < 0) {
      return false;
    }
    this.sendWith(context, type, subtype, label, counter, source, length);
    this.#contexts.tunnels.markOut(context.slot);
    return true;
  }
}
