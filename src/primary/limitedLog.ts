/**
 * A logger for whatever somebody outside can cause: peers, strangers, clients of the DNS server and of the local API.
 *
 * Of each text, which makes a kind, a burst of lines is printed and then one a second. Lines held back are counted: the
 * next one of the kind says how many were `suppressed`, and when none follows, a line of its own says so a little
 * later. So a flood costs neither disk nor the primary's time, and still shows. Metrics tell how often something
 * happened. Texts must be fixed ones, since each is remembered.
 */
import { type Fields, type Level, LevelLogger, type Logger } from '../shared/log/logger.ts';
import { RateLimit } from '../shared/log/rateLimit.ts';

const BURST_LINES = 50;
const LINES_PER_SECOND = 1;
/** For so long the rest of a flood waits for a line that could tell of it. */
const REST_MS = 5000;

/** The clock, so that a test can hold it. */
export interface LimitedLogClock {
  /** Monotonic. */
  nowMs(): number;
  /** Runs `work` once; the process does not stay for it. */
  after(ms: number, work: () => void): void;
}

export class LimitedLog extends LevelLogger {
  readonly #log: Logger;
  readonly #kinds: Kinds;

  constructor(log: Logger, clock: LimitedLogClock = processClock, kinds: Kinds = new Kinds(log, clock)) {
    super();
    this.#log = log;
    this.#kinds = kinds;
  }

  log(level: Level, message: string, fields?: Fields): void {
    const suppressed = this.#log.isEnabled(level) ? this.#kinds.admit(level, message) : -1;
    if (suppressed >= 0) {
      this.#log.log(level, message, suppressed === 0 ? fields : { ...fields, suppressed });
    }
  }

  isEnabled(level: Level): boolean {
    return this.#log.isEnabled(level);
  }

  /** Shares the limits of its parent. */
  child(fields: Fields): Logger {
    return new LimitedLog(this.#log.child(fields), processClock, this.#kinds);
  }

  /** Tells now what was held back: the node stops. */
  close(): void {
    this.#kinds.tellRest();
  }
}

interface Kind {
  readonly level: Level;
  readonly limit: RateLimit;
}

/** The limits of one logger and its children. */
class Kinds {
  readonly #log: Logger;
  readonly #clock: LimitedLogClock;
  readonly #kinds = new Map<string, Kind>();
  #isWaiting = false;

  constructor(log: Logger, clock: LimitedLogClock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Whether a line may be printed: then how many were held back before it, else -1. */
  admit(level: Level, message: string): number {
    const kind = this.#kinds.get(message) ?? { level, limit: new RateLimit(BURST_LINES, LINES_PER_SECOND) };
    this.#kinds.set(message, kind);
    if (kind.limit.allow(this.#clock.nowMs())) {
      return kind.limit.takeSuppressed();
    }
    if (!this.#isWaiting) {
      this.#isWaiting = true;
      this.#clock.after(REST_MS, () => this.tellRest());
    }
    return -1;
  }

  tellRest(): void {
    this.#isWaiting = false;
    for (const [message, { level, limit }] of this.#kinds) {
      const suppressed = limit.takeSuppressed();
      if (suppressed > 0) {
        this.#log.log(level, message, { suppressed });
      }
    }
  }
}

const processClock: LimitedLogClock = {
  nowMs: () => performance.now(),
  after: (ms, work) => {
    setTimeout(work, ms).unref();
  },
};
