/**
 * One queue's data plane at work: turns over its parts, and what the primary says to it.
 *
 *   begin(moment) → receive, send, perform → end
 *
 * No descriptor, clock or logger: the moment comes in as an argument, a broken port goes out as a negative errno. In a
 * worker `loop.ts` drives it; tests and the simulation drive it themselves, over ports in memory. A turn is bracketed in
 * shared memory (`memory/workerTurns.ts`): what is read from rows inside it is not held outside.
 */
import type { ToWorker, WorkerSettings } from '../shared/ipc/messages.ts';
import type { SharedTables } from '../shared/memory/layout.ts';
import { METRIC } from '../shared/memory/metrics.ts';
import { applySettings, buildParts, type WorkerParts, type WorkerPorts } from './parts.ts';

/** What a worker is told while packets flow. */
export type ToDataPlane = Exclude<ToWorker, { type: 'start' | 'stop' }>;

export class DataPlane {
  readonly parts: WorkerParts;
  readonly #worker: number;
  #nowMs = 0;
  #nowSeconds = 0;

  /** `tables` as this worker opens them; the ports stay the caller's. */
  constructor(settings: WorkerSettings, tables: SharedTables, ports: WorkerPorts) {
    this.parts = buildParts(settings, tables, ports);
    this.#worker = settings.worker;
  }

  /**
   * A turn begins. `nowMs` is monotonic and this process's, `nowSeconds` CLOCK_MONOTONIC in whole seconds: the same in all
   * processes of the machine.
   */
  begin(nowMs: number, nowSeconds: number): void {
    const { tables, punts, cache } = this.parts;
    this.#nowMs = nowMs;
    this.#nowSeconds = nowSeconds;
    tables.turns.begin(this.#worker);
    punts.beginTurn(nowMs);
    cache.beginBatch(nowMs);
  }

  /** Handles one batch from the socket: how many messages, or a negative errno. */
  receive(): number {
    return this.parts.inbound.run(this.#nowMs, this.#nowSeconds);
  }

  /** Handles one batch from the tun queue: how many packets, or a negative errno. */
  send(): number {
    return this.parts.outbound?.run(this.#nowSeconds) ?? 0;
  }

  /** Does what the primary says; returns how many flows the routine-local cache forgot by it, for the log. */
  perform(message: ToDataPlane): number {
    const { outbound, inbound, cache } = this.parts;
    switch (message.type) {
      case 'settings':
        applySettings(this.parts, message.settings);
        break;
      case 'hostUp':
        for (const address of message.addresses) {
          outbound?.release(address, this.#nowSeconds);
        }
        inbound.release(this.#nowMs, this.#nowSeconds);
        break;
      case 'hostFailed':
        outbound?.abandon(message.address);
        break;
      case 'tunnelsClosed':
        this.#forget(message.slots);
        break;
      case 'tick':
        return cache.tick(message.version, this.#nowMs);
    }
    return 0;
  }

  /** The turn ends: what it queued leaves. How much the socket has not taken, or a negative errno. */
  end(): number {
    const { tables, punts, udp, metrics } = this.parts;
    const left = udp.flush();
    metrics[METRIC['udp.tx.dropped']] = udp.droppedCount;
    punts.flush();
    tables.turns.end(this.#worker);
    return left;
  }

  /** Outside of turns: an empty one, which shows the primary that this worker does not hang. */
  beat(): void {
    this.parts.tables.turns.beat(this.#worker);
  }

  #forget(slots: readonly number[]): void {
    for (const slot of slots) {
      this.parts.contexts.release(slot);
    }
  }
}
