/** The metrics of a running weft node, one number per worker, as `nodeMemory.ts` reads them. */
import { METRIC, type MetricName } from '../../src/shared/memory/metrics.ts';
import { NodeMemory } from './nodeMemory.ts';

export class WorkerMetrics {
  readonly #memory: NodeMemory;

  /** `pid` is of the primary. */
  constructor(pid: number) {
    this.#memory = new NodeMemory(pid, ({ metrics, capacities }) =>
      Array.from({ length: capacities.workers }, (_, worker) => metrics.column(worker + 1)),
    );
  }

  read(name: MetricName): number[] {
    return this.#memory.read(METRIC[name]);
  }

  close(): void {
    this.#memory.close();
  }
}

/** How much each worker has counted in between. */
export function growth(before: readonly number[], after: readonly number[]): number[] {
  return after.map((count, worker) => count - before[worker]);
}
