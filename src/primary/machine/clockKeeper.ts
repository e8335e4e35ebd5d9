/** Reads the machine's clocks every second and tells of standstills and of a wall clock that was set; `clockWatch.ts` decides. */
import type { Logger } from '../../shared/log/logger.ts';
import type { Boundary } from '../boundary.ts';
import { bootMs } from './bootClock.ts';
import { CLOCK_LOOK_MS, ClockWatch } from './clockWatch.ts';

export interface ClockKeeperOptions {
  readonly log: Logger;
  readonly boundary: Boundary;
  /** The node did nothing for a while: its peers may have given it up. */
  readonly onStandstill: () => void;
  /** It is another time of day now, after a standstill or because the clock was set. */
  readonly onNewTime: () => void;
}

export class ClockKeeper {
  readonly #options: ClockKeeperOptions;
  readonly #watch = new ClockWatch();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ClockKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#look();
    this.#timer = setInterval(() => this.#options.boundary.guard('timer', () => this.#look()), CLOCK_LOOK_MS);
  }

  close(): void {
    if (this.#timer !== null) {
      clearInterval(this.#timer);
    }
    this.#timer = null;
  }

  #look(): void {
    const { log, onStandstill, onNewTime } = this.#options;
    const news = this.#watch.observe({ bootMs: bootMs(), monotonicMs: performance.now(), wallMs: Date.now() });
    if (news === null) {
      return;
    }
    if (news.wallStepMs !== 0) {
      log.warn('The clock of this machine was set', { seconds: secondsOf(news.wallStepMs) });
    }
    if (news.standstillMs !== 0) {
      const { standstillMs, suspendedMs } = news;
      log.warn('This node stood still, testing its tunnels', {
        seconds: secondsOf(standstillMs),
        suspendedSeconds: secondsOf(suspendedMs),
      });
      onStandstill();
    }
    onNewTime();
  }
}

function secondsOf(ms: number): number {
  return Math.round(ms / 1000);
}
