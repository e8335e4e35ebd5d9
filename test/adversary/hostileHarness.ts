/** Supervisors whose workers are `hostileWorker.ts`, in the process of the test: the primary that is attacked is this one. */
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Supervisor } from '../../src/primary/workers/supervisor.ts';
import { WorkerChannel } from '../../src/primary/workers/workerChannel.ts';
import type { WorkerSettings } from '../../src/shared/ipc/messages.ts';
import { METRIC, METRIC_NAMES, type MetricName } from '../../src/shared/memory/metrics.ts';
import { boundaryOver, CollectingLog } from '../support/collectingLog.ts';
import { UNCONFINED } from '../support/confinedChild.ts';

export const HOSTILE_ENTRY: string = fileURLToPath(new URL('./hostileWorker.js', import.meta.url));

export class HostileHarness {
  readonly log = new CollectingLog();
  readonly supervisor: Supervisor;
  /** Punts that were taken from the worker, over all its lives. */
  puntCount = 0;
  readonly #metrics = new Float64Array(METRIC_NAMES.length);
  readonly #channel = new WorkerChannel(16);
  readonly #act: string;
  readonly #nullFd = openSync('/dev/null', 'r+');

  /** `act` is a name of `ACTS`; '' for a worker that does nothing wrong. */
  constructor(act: string) {
    this.#act = act;
    const { log } = this;
    this.supervisor = new Supervisor({
      fds: [{ tun: null, udp: this.#nullFd, memories: [this.#nullFd, this.#nullFd, this.#nullFd] }],
      channels: [this.#channel],
      launch: UNCONFINED,
      log,
      metrics: this.#metrics,
      heapMebibytes: 256,
      boundary: boundaryOver(log),
      settings: () => ({}) as WorkerSettings,
      entry: HOSTILE_ENTRY,
    });
  }

  get pid(): number {
    return this.supervisor.pids[0];
  }

  metric(name: MetricName): number {
    return this.#metrics[METRIC[name]];
  }

  /** Why workers died, as the log tells. */
  get reasons(): string[] {
    return this.log.lines.map(({ fields }) => String(fields['reason'] ?? ''));
  }

  /** Returns when the worker has said that it is ready. */
  async start(): Promise<void> {
    process.env['WEFT_HOSTILE'] = this.#act;
    await this.supervisor.start({
      onPunt: () => {
        this.puntCount++;
      },
      onDeath: () => undefined,
      onHopeless: () => undefined,
    });
  }

  async close(): Promise<void> {
    await this.supervisor.stop();
    this.#channel.close();
    closeSync(this.#nullFd);
    delete process.env['WEFT_HOSTILE'];
  }
}
