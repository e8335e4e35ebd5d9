/**
 * The worker processes: starts one per queue with exactly its own file descriptors, starts a dead one again on the same
 * descriptors, passes messages, stops them all.
 *
 * The primary keeps its copies of every descriptor, so a dead worker loses no socket and no queue; tunnels, counters and
 * windows live in shared memory, so it loses no tunnel either. Restarts are immediate the first time and backed off
 * while a worker keeps dying young. A start that fails (no descriptors, processes or memory left) is a death as any other.
 * A worker that breaks the protocol of its channel is killed, and so replaced.
 */
import { fileURLToPath } from 'node:url';
import type { FromWorker, Punt, ToWorker, WorkerSettings } from '../../shared/ipc/messages.ts';
import { errorText } from '../../shared/log/errorText.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { METRIC } from '../../shared/memory/metrics.ts';
import type { Boundary } from '../boundary.ts';
import { endOfChild, type Launch } from './childLaunch.ts';
import type { StartObstacle } from './programWatch.ts';
import type { WorkerChannel } from './workerChannel.ts';
import { offerToOomKiller } from './workerMemory.ts';
import { WorkerOutbox } from './workerOutbox.ts';
import { WorkerProcess } from './workerProcess.ts';

/** The descriptors that the primary lends to a worker and to its successors. */
export interface LentFds {
  /** null when the node runs without a device (`tun.disabled`). */
  readonly tun: number | null;
  readonly udp: number;
  /** Its shared memories, in the order of `WorkerFd`. */
  readonly memories: readonly number[];
}

export interface SupervisorOptions {
  readonly fds: readonly LentFds[];
  /** One per worker; they stay the caller's to close, after `stop`. */
  readonly channels: readonly WorkerChannel[];
  readonly launch: Launch;
  readonly log: Logger;
  /** Limit of a worker's heap. */
  readonly heapMebibytes: number;
  readonly boundary: Boundary;
  /** The primary's column. */
  readonly metrics: Float64Array;
  /** The current settings of a worker; asked for at every start. */
  readonly settings: (worker: number) => WorkerSettings;
  /** The module that workers run; a test puts a hostile one in its place. */
  readonly entry?: string;
}

/** What workers do, from their start on. */
export interface SupervisorEvents {
  readonly onPunt: (punt: Punt) => void;
  /** A worker is gone: whatever it held in shared memory is to be released. */
  readonly onDeath: (worker: number) => void;
  /** A worker could not be kept alive, so flows on its socket are lost: the node gives up. */
  readonly onHopeless: (worker: number, reason: string) => void;
}

interface Member {
  process: WorkerProcess | null;
  /** How far the process has come: it says so once each, in this order. */
  stage: 'forked' | 'awake' | 'ready';
  outbox: WorkerOutbox;
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
/** Until the next try while something is against starting a process at all. */
const OBSTACLE_MS = 5_000;

const workerEntry = fileURLToPath(new URL('../../worker/main.js', import.meta.url));

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #members: Member[];
  /** null before the start. */
  #events: SupervisorEvents | null = null;
  #isStopping = false;
  #onAllReady: (() => void) | null = null;
  #onGone: (() => void) | null = null;
  #hasBeenReady = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#members = options.fds.map(() => ({
      process: null,
      stage: 'forked',
      outbox: new WorkerOutbox(() => undefined),
      startedMs: 0,
      youngDeaths: 0,
      lastReason: '',
      timer: null,
    }));
  }

  /** Forks all workers; resolves when each has said that it is ready. */
  start(events: SupervisorEvents): Promise<void> {
    this.#events = events;
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

  /** Dropped when the worker does not listen yet: it gets all it needs at its start. */
  send(worker: number, message: ToWorker): void {
    const member = this.#members[worker];
    if (member.process !== null && member.stage !== 'forked') {
      this.#options.metrics[METRIC['worker.messages_lost']] += member.outbox.offer(message);
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
    return this.#members.map(({ process, stage }) => ({ pid: process?.pid ?? 0, isReady: stage === 'ready' }));
  }

  /**
   * Ends a worker's process at once, whatever it does; it is replaced as one that died by itself, and `reason` is what
   * the log tells of its end.
   */
  kill(worker: number, reason: string): void {
    const member = this.#members[worker];
    if (member.process !== null) {
      member.lastReason = reason;
      this.#options.channels[worker].ignore();
      member.process.kill();
    }
  }

  /** Ends every worker and waits until they are gone; one that does not go by itself is killed. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const member of this.#members) {
      if (member.timer !== null) {
        clearTimeout(member.timer);
      }
      if (member.stage === 'forked') {
        // It would not hear the message.
        member.process?.kill();
      }
    }
    this.broadcast({ type: 'stop' });
    const killer = setTimeout(() => {
      for (const member of this.#members) {
        member.process?.kill();
      }
    }, STOP_MS_MAX);
    await new Promise<void>((resolve) => {
      this.#onGone = () => {
        if (this.#members.every((member) => member.process === null)) {
          resolve();
        }
      };
      this.#onGone();
    });
    clearTimeout(killer);
  }

  #fork(worker: number): void {
    const { fds, channels, launch, boundary, log, heapMebibytes, entry = workerEntry } = this.#options;
    const member = this.#members[worker];
    const obstacle = launch.obstacle();
    if (obstacle !== null) {
      this.#wait(worker, obstacle);
      return;
    }
    const { tun, udp, memories } = fds[worker];
    const channel = channels[worker];
    member.stage = 'forked';
    member.startedMs = performance.now();
    channel.begin({
      onFrame: (frame) => this.#receive(worker, frame),
      onFault: (reason) => this.#onFault(worker, reason),
      onError: (error) => boundary.report('worker', error),
    });
    try {
      const inherited = [tun ?? ('ignore' as const), udp, ...memories, channel.memoryFd, channel.bellFd];
      const process = new WorkerProcess(
        { entry, heapMebibytes, fds: inherited, launch },
        {
          onError: (error) => {
            member.lastReason ||= error.message;
            if (process.pid === 0) {
              boundary.guard('worker', () => this.#bury(worker, process, error.message));
            }
          },
          onExit: (code, signal) => {
            boundary.guard('worker', () => this.#bury(worker, process, endOfChild(code, signal)));
          },
        },
      );
      if (process.pid !== 0) {
        offerToOomKiller(process.pid, log);
      }
      member.process = process;
      member.outbox = new WorkerOutbox((message, onWritten) => process.send(message, onWritten));
    } catch (error) {
      this.#mourn(worker, errorText(error));
    }
  }

  /** No process may be started now, which the log tells already: tries again later, or not at all when that is hopeless. */
  #wait(worker: number, { reason, isFinal }: StartObstacle): void {
    if (isFinal || !this.#hasBeenReady) {
      this.#events?.onHopeless(worker, reason);
      return;
    }
    const member = this.#members[worker];
    member.timer = setTimeout(() => {
      member.timer = null;
      this.#options.boundary.guard('worker', () => this.#fork(worker));
    }, OBSTACLE_MS);
  }

  #receive(worker: number, frame: FromWorker): void {
    const member = this.#members[worker];
    if (frame.kind === 'failed') {
      member.lastReason = frame.reason;
    } else if (frame.kind === 'awake' && member.stage === 'forked') {
      member.stage = 'awake';
      this.send(worker, { type: 'start', settings: this.#options.settings(worker), warmsUp: !this.#hasBeenReady });
    } else if (frame.kind === 'ready' && member.stage === 'awake') {
      member.stage = 'ready';
      this.#noteReady();
    } else if (frame.kind !== 'awake' && frame.kind !== 'ready' && member.stage === 'ready') {
      this.#events?.onPunt(frame);
    } else {
      this.#onFault(worker, `${frame.kind} out of turn`);
    }
  }

  #noteReady(): void {
    if (this.#members.every((each) => each.stage === 'ready')) {
      this.#hasBeenReady = true;
      this.#onAllReady?.();
      this.#onAllReady = null;
    }
  }

  #onFault(worker: number, reason: string): void {
    this.#options.metrics[METRIC['worker.protocol_faults']]++;
    this.kill(worker, `broke the protocol: ${reason}`);
  }

  #bury(worker: number, process: WorkerProcess, end: string): void {
    const member = this.#members[worker];
    if (member.process !== process) {
      return;
    }
    this.#mourn(worker, member.lastReason || this.#options.channels[worker].end() || end);
  }

  /** The process of a worker is gone, or there was none: the next one is started after a while. */
  #mourn(worker: number, reason: string): void {
    const member = this.#members[worker];
    this.#options.channels[worker].ignore();
    // One that was never ready has not lived, however long that took.
    const isYoung = member.stage !== 'ready' || performance.now() - member.startedMs < YOUNG_MS;
    member.process = null;
    member.stage = 'forked';
    member.lastReason = '';
    this.#options.boundary.guard('worker', () => this.#events?.onDeath(worker));
    if (this.#isStopping) {
      this.#onGone?.();
      return;
    }
    member.youngDeaths = isYoung ? member.youngDeaths + 1 : 0;
    if (!this.#hasBeenReady && member.youngDeaths >= HOPELESS_DEATHS) {
      this.#events?.onHopeless(worker, reason);
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
      this.#options.boundary.guard('worker', () => this.#fork(worker));
    }, delayMs);
  }
}
