/**
 * The life of the DNS process: started on sockets that are bound already, told what it answers, started again when it
 * dies or hangs, for as long as the service is on. Its death never concerns the node; nothing that it writes is read.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { errorText } from '../../../shared/log/errorText.ts';
import type { Logger } from '../../../shared/log/logger.ts';
import type { Boundary } from '../../boundary.ts';
import { endOfChild, type Launch } from '../../workers/childLaunch.ts';
import type { ZoneFeed } from './feed.ts';

export interface DnsProcessOptions {
  readonly fds: { readonly udp: number; readonly tcp: number | null; readonly counters: number };
  readonly family: 4 | 6;
  readonly launch: Launch;
  readonly feed: ZoneFeed;
  readonly log: Logger;
  readonly boundary: Boundary;
  /** Another number than last time when the process has lived since. */
  readonly beats: () => number;
  readonly onDeath: () => void;
}

/** Two looks in a row without a beat between them: it hangs. One may be the machine's, or the primary's, own standstill. */
const LOOK_MS = 4_000;
const YOUNG_MS = 10_000;
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 10_000;
const STOP_MS_MAX = 1_000;

const entry = fileURLToPath(new URL('../../../dns/main.js', import.meta.url));

export class DnsProcess {
  readonly #options: DnsProcessOptions;
  #child: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #watch: NodeJS.Timeout | null = null;
  #startedMs = 0;
  /** Deaths in a row, each soon after the start. */
  #youngDeaths = 0;
  #isStopping = false;
  #onGone: () => void = () => undefined;

  constructor(options: DnsProcessOptions) {
    this.#options = options;
    this.#start();
  }

  /** 0 while there is none. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Ends the process and waits until it is gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
    }
    this.#endWatch();
    const child = this.#child;
    if (child === null) {
      return;
    }
    const gone = new Promise<void>((resolve) => {
      this.#onGone = resolve;
    });
    child.stdin?.destroy();
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    // One that may not be killed, and does not go, keeps nobody waiting.
    const leaver = setTimeout(() => this.#onGone(), 2 * STOP_MS_MAX);
    await gone;
    clearTimeout(killer);
    clearTimeout(leaver);
  }

  #start(): void {
    const { fds, family, launch, feed, boundary } = this.#options;
    this.#timer = null;
    if (launch.obstacle() !== null) {
      this.#timer = setTimeout(() => boundary.guard('dns', () => this.#start()), BACKOFF_MS_MAX);
      return;
    }
    this.#startedMs = performance.now();
    let child: ChildProcess;
    try {
      child = launch.launchConfined(() =>
        spawn(process.execPath, [entry, String(family), fds.tcp === null ? 'udp' : 'udp+tcp'], {
          cwd: '/',
          env: launch.environment,
          stdio: ['pipe', 'inherit', 'inherit', fds.udp, fds.tcp ?? 'ignore', fds.counters],
          ...launch.identity,
        }),
      );
    } catch (error) {
      this.#onEnd(null, errorText(error));
      return;
    }
    this.#child = child;
    child.on('error', (error) => {
      // Without a process id it could not be started, and no exit follows.
      if (child.pid === undefined) {
        boundary.guard('dns', () => this.#onEnd(child, error.message));
      }
    });
    child.once('exit', (code, signal) => {
      boundary.guard('dns', () => this.#onEnd(child, endOfChild(code, signal)));
    });
    // A process that dies does not read; its exit says so.
    child.stdin?.on('error', () => undefined);
    feed.attach(child.stdin);
    this.#watchOver(child);
  }

  #watchOver(child: ChildProcess): void {
    const { beats, log, boundary } = this.#options;
    let last = beats();
    let silentLooks = 0;
    const look = (): void => {
      silentLooks = beats() === last ? silentLooks + 1 : 0;
      last = beats();
      if (silentLooks === 2) {
        log.error('DNS process hangs, killing it', { pid: child.pid });
        child.kill('SIGKILL');
      }
    };
    this.#watch = setInterval(() => boundary.guard('dns', look), LOOK_MS);
  }

  #endWatch(): void {
    if (this.#watch !== null) {
      clearInterval(this.#watch);
    }
  }

  #onEnd(child: ChildProcess | null, reason: string): void {
    if (this.#child !== child) {
      return;
    }
    const { feed, log, boundary, onDeath } = this.#options;
    this.#child = null;
    this.#endWatch();
    feed.attach(null);
    this.#onGone();
    if (this.#isStopping) {
      return;
    }
    onDeath();
    const isYoung = performance.now() - this.#startedMs < YOUNG_MS;
    this.#youngDeaths = isYoung ? this.#youngDeaths + 1 : 0;
    const delayMs =
      this.#youngDeaths <= 1 ? 0 : Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (this.#youngDeaths - 2));
    log.error('DNS process died, starting it again on the same sockets', { reason, delayMs });
    this.#timer = setTimeout(() => boundary.guard('dns', () => this.#start()), delayMs);
  }
}
