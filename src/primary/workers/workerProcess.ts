/**
 * One worker process, from its fork to its end: node:cluster's child, whose channel the primary only writes to.
 *
 * node:cluster acts on what a worker asks for: it binds sockets, unlinks and chmods files, takes descriptors, and
 * deserializes whatever arrives, all as root. So reading stops before the first byte can arrive, and nobody listens
 * (docs/decisions/0007-workers-speak-through-a-ring.md). The channel stays open until the worker is gone: by its end the
 * worker learns of the primary's.
 */
import type { ChildProcess } from 'node:child_process';
import cluster, { type Worker } from 'node:cluster';
import { execArgv } from 'node:process';
import type { ToWorker } from '../../shared/ipc/messages.ts';
import type { Launch } from './childLaunch.ts';

export interface WorkerStart {
  /** The module to run. */
  readonly entry: string;
  readonly heapMebibytes: number;
  /** From 4 on, in the order of `WorkerFd`. */
  readonly fds: readonly (number | 'ignore')[];
  readonly launch: Launch;
}

export interface WorkerProcessEvents {
  /** Starting failed, and then there is no process (`pid` is 0) and no exit; or sending did. */
  readonly onError: (error: Error) => void;
  /** Once; the process is gone. */
  readonly onExit: (code: number | null, signal: string | null) => void;
}

/** What `child_process` keeps under a symbol of its own. */
interface ChannelHandle {
  readStop(): number;
}

export class WorkerProcess {
  readonly #worker: Worker;

  /** Throws when the process cannot be started, or must not run. */
  constructor({ entry, heapMebibytes, fds, launch }: WorkerStart, events: WorkerProcessEvents) {
    cluster.setupPrimary({
      exec: entry,
      args: [],
      execArgv: [...execArgv, `--max-old-space-size=${heapMebibytes}`],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...fds],
      ...launch.identity,
    });
    const worker = launch.launchConfined(() => cluster.fork(launch.environment));
    this.#worker = worker;
    worker.on('error', (error) => {
      if (worker.process.pid === undefined) {
        // It never lived: no `exit` follows, and node:cluster would keep it for ever.
        delete cluster.workers?.[worker.id];
      }
      events.onError(error);
    });
    worker.once('exit', (code, signal) => {
      // Nobody reads the end of the channel, so it is closed by hand; node:cluster then forgets the worker.
      if (worker.process.connected) {
        worker.process.disconnect();
      }
      events.onExit(code, signal);
    });
    this.#deafen();
  }

  get pid(): number {
    return this.#worker.process.pid ?? 0;
  }

  /**
   * `onWritten` is called, later, when the kernel has taken the message, so that it takes no more memory here. One that
   * cannot be delivered is lost with the process.
   */
  send(message: ToWorker, onWritten: () => void): void {
    if (this.#worker.process.connected) {
      this.#worker.process.send(message, onWritten);
    }
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  #deafen(): void {
    const { process: child } = this.#worker;
    if (child.pid === undefined) {
      return;
    }
    const handle = channelHandleOf(child);
    if (handle === null) {
      this.kill();
      child.disconnect();
      throw new Error(`Node.js ${process.version} does not let weft close its ears to workers: use 20, 22, 24 or 26`);
    }
    handle.readStop();
    for (const emitter of [this.#worker, child]) {
      emitter.removeAllListeners('internalMessage');
      emitter.removeAllListeners('message');
    }
  }
}

function channelHandleOf(child: ChildProcess): ChannelHandle | null {
  const symbol = Object.getOwnPropertySymbols(child).find(({ description }) => description === 'kChannelHandle');
  const handle: unknown = symbol === undefined ? null : Reflect.get(child, symbol);
  const canStop = typeof handle === 'object' && handle !== null && 'readStop' in handle;
  return canStop ? (handle as ChannelHandle) : null;
}
