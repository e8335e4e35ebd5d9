/** Looks at the workers' turns every half second and has those killed that hang; `workerWatch.ts` decides which. */
import type { Logger } from '../../shared/log/logger.ts';
import type { SharedTables } from '../../shared/memory/layout.ts';
import { METRIC } from '../../shared/memory/metrics.ts';
import type { WorkerTurns } from '../../shared/memory/workerTurns.ts';
import type { Boundary } from '../boundary.ts';
import { LOOK_MS, WorkerWatch } from './workerWatch.ts';

/** The supervisor, as far as it is asked. */
export interface WatchedProcesses {
  /** By worker; `pid` 0 while there is no process. */
  readonly states: readonly { readonly pid: number; readonly isReady: boolean }[];
  /** Ends a worker's process at once; it is replaced as one that died by itself. */
  kill(worker: number, reason: string): void;
}

export class HangGuard {
  readonly #processes: WatchedProcesses;
  readonly #turns: WorkerTurns;
  /** The primary's column. */
  readonly #metrics: Float64Array;
  readonly #log: Logger;
  readonly #boundary: Boundary;
  readonly #watch: WorkerWatch;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    processes: WatchedProcesses,
    { turns, metrics }: Pick<SharedTables, 'turns' | 'metrics'>,
    log: Logger,
    boundary: Boundary,
  ) {
    this.#processes = processes;
    this.#turns = turns;
    this.#metrics = metrics.column(0);
    this.#log = log;
    this.#boundary = boundary;
    this.#watch = new WorkerWatch(processes.states.length);
  }

  start(): void {
    this.#timer = setInterval(() => this.#boundary.guard('timer', () => this.#look()), LOOK_MS);
  }

  close(): void {
    if (this.#timer !== null) {
      clearInterval(this.#timer);
    }
    this.#timer = null;
  }

  #look(): void {
    const sights = this.#processes.states.map((state, worker) => ({ ...state, turn: this.#turns.turn(worker) }));
    for (const { worker, pid, silentMs, isReady } of this.#watch.observe(performance.now(), sights)) {
      const what = isReady ? 'no turn of its loop' : 'not ready after its start';
      const reason = `hangs: ${what} for ${Math.round(silentMs)} ms`;
      this.#log.error('Worker hangs, killing it', { worker, pid, reason });
      this.#metrics[METRIC['workers.hung']]++;
      this.#processes.kill(worker, reason);
    }
  }
}
