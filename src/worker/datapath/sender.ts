/**
 * The last step of everything this worker sends: counter, seal into the socket's send area, queue for the next flush.
 *
 * Used for data, test replies, rejects and lighthouse answers alike. Allocates nothing.
 */
import { METRIC } from '../../shared/memory/metrics.ts';
import { type CounterWords, counterWords, nextCounter, reserveCounters } from '../../shared/memory/sendCounter.ts';
import type { TunnelTrafficColumn } from '../../shared/memory/tunnelTraffic.ts';
import { SEAL_OVERHEAD_BYTES, sealPacket } from '../../shared/tunnel/seal.ts';
import type { TunnelContext, TunnelContexts } from '../../shared/tunnel/tunnelContext.ts';
import type { DatagramSink } from '../ports/contracts.ts';

export class Sender {
  readonly #contexts: TunnelContexts;
  readonly #udp: DatagramSink;
  readonly #metrics: Float64Array;
  readonly #traffic: TunnelTrafficColumn;
  /** The next counter of those that `prepare` reserved. */
  readonly #counter: CounterWords = counterWords();
  /** Whose counters those are, and how many are left: no other packet may have them. */
  #prepared: TunnelContext | null = null;
  #preparedCount = 0;
  #label = 0;

  constructor(contexts: TunnelContexts, udp: DatagramSink, metrics: Float64Array, traffic: TunnelTrafficColumn) {
    this.#contexts = contexts;
    this.#udp = udp;
    this.#metrics = metrics;
    this.#traffic = traffic;
  }

  /**
   * Reserves counters for `count` packets of one tunnel, which follow at once with `sendNext` and with nothing else in
   * between (it throws); false (counted) when the tunnel has no endpoint or no counters left.
   */
  prepare(context: TunnelContext, count: number): boolean {
    if (!this.#contexts.refreshEndpoint(context)) {
      this.#metrics[METRIC['drop.tx.no_endpoint']] += count;
      return false;
    }
    const tunnels = this.#contexts.tunnels;
    const isReserved = reserveCounters(tunnels.cells, tunnels.counterCell(context.slot), count, this.#counter);
    if (!isReserved) {
      this.#metrics[METRIC['drop.tx.exhausted']] += count;
    }
    this.#prepared = context;
    this.#preparedCount = isReserved ? count : 0;
    return isReserved;
  }

  /** Seals the body at arena offset `source` with the next counter from `prepare` and queues the packet. */
  sendNext(context: TunnelContext, type: number, subtype: number, label: number, source: number, length: number): void {
    if (context !== this.#prepared || this.#preparedCount === 0) {
      throw new Error('a packet without a counter of its own');
    }
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
    sealPacket(this.#contexts.arena, context, type, subtype, label, this.#counter, source, length, target);
    nextCounter(this.#counter);
    this.#preparedCount--;
    this.#udp.commit(bytes, context.destination);
    this.#metrics[METRIC['udp.tx.packets']]++;
    this.#metrics[METRIC['udp.tx.bytes']] += bytes;
    this.#traffic.sent(context.slot, bytes);
  }

  /** One packet on its own; false (counted) when it cannot be sent. */
  send(context: TunnelContext, type: number, subtype: number, label: number, source: number, length: number): boolean {
    if (!this.prepare(context, 1)) {
      return false;
    }
    this.sendNext(context, type, subtype, label, source, length);
    this.#contexts.tunnels.markOut(context.slot);
    return true;
  }
}
