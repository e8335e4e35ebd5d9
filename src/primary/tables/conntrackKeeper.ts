/**
 * The primary's share of the connection table: sweeps expired flows and garbage in small steps, and sends the tick that
 * empties the workers' routine-local caches.
 */
import type { ToWorker } from '../../shared/ipc/messages.ts';
import type { ConntrackTable } from '../../shared/memory/conntrackTable.ts';
import { monotonicSeconds } from '../../shared/sys/clock.ts';
import type { Boundary } from '../boundary.ts';

const SWEEP_MS = 100;
/** A whole sweep takes about 100 s whatever the capacity. */
const SWEEPS_PER_ROUND = 1000;
/** For workers that have newer timeouts a moment before this does. */
const SLACK_SECONDS = 60;

export interface ConntrackKeeperOptions {
  readonly conntrack: ConntrackTable;
  /** `firewall.conntrack.routine_cache_timeout`; 0: no ticks. */
  readonly tickMs: number;
  /** The longest timeout of a flow in the configuration in force. */
  readonly timeoutMsMax: () => number;
  readonly broadcast: (message: ToWorker) => void;
  readonly boundary: Boundary;
}

export class ConntrackKeeper {
  readonly #options: ConntrackKeeperOptions;
  readonly #bucketsPerSweep: number;
  #timers: NodeJS.Timeout[] = [];
  #nextBucket = 0;
  #version = 0;
  /** The longest timeout since the start: flows live on with the one that they were added with. */
  #longestSeconds = 0;

  constructor(options: ConntrackKeeperOptions) {
    this.#options = options;
    this.#bucketsPerSweep = Math.ceil(options.conntrack.bucketCount / SWEEPS_PER_ROUND);
  }

  start(): void {
    const { conntrack, tickMs, timeoutMsMax, broadcast } = this.#options;
    this.#every(SWEEP_MS, () => {
      const nowSeconds = monotonicSeconds(performance.now());
      this.#longestSeconds = Math.max(this.#longestSeconds, Math.ceil(timeoutMsMax() / 1000));
      const latest = nowSeconds + this.#longestSeconds + SLACK_SECONDS;
      this.#nextBucket = conntrack.sweep(nowSeconds, latest, this.#nextBucket, this.#bucketsPerSweep);
    });
    if (tickMs > 0) {
      const tick = (): void => broadcast({ type: 'tick', version: ++this.#version });
      tick();
      this.#every(tickMs, tick);
    }
  }

  close(): void {
    for (const timer of this.#timers.splice(0)) {
      clearInterval(timer);
    }
  }

  #every(intervalMs: number, work: () => void): void {
    this.#timers.push(setInterval(() => this.#options.boundary.guard('timer', work), intervalMs));
  }
}
