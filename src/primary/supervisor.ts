/**
 * The worker processes: forks one per queue with exactly its own file descriptors, starts a dead one again on the same
 * descriptors, passes messages, stops them all.
 *
 * The primary keeps its copies of every descriptor, so a dead worker loses no socket and no queue; tunnels, counters and
 * windows live in shared memory, so it loses no tunnel either. Restarts are immediate the first time and backed off
 * while a worker keeps dying young. A start that fails (no descriptors, processes or memory left) is a death as any other.
 */
import cluster, { type Worker } from 'node:cluster';
import { execArgv } from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Punt, ToPrimary, ToWorker, WorkerSettings } from '../shared/ipc/messages.ts';
import { errorText } from '../shared/log/errorText.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { Boundary } from './boundary.ts';
import { offerToOomKiller } from './workerMemory.ts';

export interface WorkerFds {
  /** null when the node runs without a device (`tun.disabled`). */
  readonly tun: number | null;
  readonly udp: number;
  readonly memory: number;
}

export interface SupervisorOptions {
  readonly fds: readonly WorkerFds[];
  readonly log: Logger;
  /** Limit of a worker's heap. */
  readonly heapMebibytes: number;
  readonly boundary: Boundary;
  /** The current settings of a worker; asked for at every start. */
  readonly settings: (worker: number) => WorkerSettings;
  readonly onReport: (punts: readonly Punt[]) => void;
  /** A worker is gone: whatever it held in shared memory is to be released. */
  readonly onDeath: (worker: number) => void;
  /** A worker could not be kept alive, so flows on its socket are lost: the node gives up. */
  readonly onHopeless: (worker: number, reason: string) => void;
}

interface Member {
  process: Worker | null;
  isReady: boolean;
  startedMs: number;
  /** Deaths in a row, each soon after the start. */
  youngDeaths: number;
  lastReason: string;
  timer: NodeJS.Timeout | null;
}

const YOUNG_MS = 10_000;
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 5_000;
/** Young deaths before the first readiness after which the node gives up: the fault is in the set-up. */
const HOPELESS_DEATHS = 4;
const STOP_MS_MAX = 3_000;

const workerEntry = fileURLToPath(new URL('../worker/main.js', import.meta.url));

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #members: Member[];
  #isStopping = false;
  #onAllReady: (() => void) | null = null;
  #hasBeenReady = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#members = options.fds.map(() => ({
      process: null,
      isReady: false,
      startedMs: 0,
      youngDeaths: 0,
      lastReason: '',
      timer: null,
    }));
  }

  /** Forks all workers; resolves when each has said that it is ready. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAllReady = resolve;
      for (const worker of this.#members.keys()) {
        this.#fork(worker);
      }
    });
  }

  broadcast(message: ToWorker): void {
    for (const worker of this.#members.keys()) {
      this.send(worker, message);
    }
  }

  /** Dropped when the worker is not running: a new one gets all it needs at its start. */
  send(worker: number, message: ToWorker): void {
    const process = this.#members[worker].process;
    if (process?.isConnected()) {
      process.send(message, () => undefined);
    }
  }

  /** Sends every worker its settings again, after a reload. */
  refreshSettings(): void {
    for (const worker of this.#members.keys()) {
      this.send(worker, { type: 'settings', settings: this.#options.settings(worker) });
    }
  }

  /** Process ids by worker; 0 while one is being started again. */
  get pids(): readonly number[] {
    return this.states.map(({ pid }) => pid);
  }

  /** By worker: its process, 0 while there is none, and whether packets flow through it. */
  get states(): readonly { readonly pid: number; readonly isReady: boolean }[] {
    return this.#members.map(({ process, isReady }) => ({ pid: process?.process.pid ?? 0, isReady }));
  }

  /** Ends a worker's process at once, whatever it does; it is replaced as one that died by itself. */
  kill(worker: number, reason: string): void {
    const member = this.#members[worker];
    member.lastReason = reason;
    member.process?.process.kill('SIGKILL');
  }

  /** Ends every worker and waits until they are gone; one that does not go by itself is killed. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const gone = this.#members.map((member) => {
      if (member.timer !== null) {
        clearTimeout(member.timer);
      }
      const process = member.process;
      if (process === null) {
        return Promise.resolve();
      }
      return new Promise<void>((resolve) => {
        const killer = setTimeout(() => process.process.kill('SIGKILL'), STOP_MS_MAX);
        process.once('exit', () => {
          clearTimeout(killer);
          resolve();
        });
      });
    });
    this.broadcast({ type: 'stop' });
    await Promise.all(gone);
  }

  #fork(worker: number): void {
    const member = this.#members[worker];
    const fds = this.#options.fds[worker];
    cluster.setupPrimary({
      exec: workerEntry,
      args: [],
      execArgv: [...execArgv, `--max-old-space-size=${this.#options.heapMebibytes}`],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', fds.tun ?? 'ignore', fds.udp, fds.memory],
    });
    member.isReady = false;
    member.startedMs = performance.now();
    let process: Worker;
    try {
      process = cluster.fork();
    } catch (error) {
      this.#mourn(worker, errorText(error));
      return;
    }
    member.process = process;
    if (process.process.pid !== undefined) {
      offerToOomKiller(process.process.pid, this.#options.log);
    }
    process.on('message', (message: ToPrimary) => {
      this.#options.boundary.guard('worker', () => this.#receive(worker, message));
    });
    process.on('error', (error) => {
      member.lastReason = error.message;
      if (process.process.pid === undefined) {
        // It never lived: no `exit` follows, and node:cluster would keep it for ever.
        delete cluster.workers?.[process.id];
        this.#options.boundary.guard('worker', () => this.#bury(worker, process, null, null));
      }
    });
    process.once('exit', (code, signal) => {
      this.#options.boundary.guard('worker', () => this.#bury(worker, process, code, signal));
    });
  }

  #receive(worker: number, message: ToPrimary): void {
    const member = this.#members[worker];
    if (message.type === 'report') {
      this.#options.onReport(message.punts);
    } else if (message.type === 'awake') {
      this.send(worker, { type: 'start', settings: this.#options.settings(worker) });
    } else if (message.type === 'failed') {
      member.lastReason = message.reason;
    } else {
      member.isReady = true;
      if (this.#members.every((each) => each.isReady)) {
        this.#hasBeenReady = true;
        this.#onAllReady?.();
        this.#onAllReady = null;
      }
    }
  }

  #bury(worker: number, process: Worker, code: number | null, signal: string | null): void {
    const member = this.#members[worker];
    if (member.process !== process) {
      return;
    }
    this.#mourn(worker, member.lastReason || (signal === null ? `exit code ${code}` : `signal ${signal}`));
  }

  /** The process of a worker is gone, or there was none: the next one is started after a while. */
  #mourn(worker: number, reason: string): void {
    const member = this.#members[worker];
    // One that was never ready has not lived, however long that took.
    const isYoung = !member.isReady || performance.now() - member.startedMs < YOUNG_MS;
    member.process = null;
    member.isReady = false;
    member.lastReason = '';
    this.#options.boundary.guard('worker', () => this.#options.onDeath(worker));
    if (this.#isStopping) {
      return;
    }
    member.youngDeaths = isYoung ? member.youngDeaths + 1 : 0;
    if (!this.#hasBeenReady && member.youngDeaths >= HOPELESS_DEATHS) {
      this.#options.onHopeless(worker, reason);
      return;
    }
    const delayMs =
      member.youngDeaths <= 1 ? 0 : Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (member.youngDeaths - 2));
    this.#options.log.error('Worker died, starting it again on the same queue and socket', {
      worker,
      reason,
      delayMs,
    });
    member.timer = setTimeout(() => {
      member.timer = null;
      this.#fork(worker);
    }, delayMs);
  }
}
