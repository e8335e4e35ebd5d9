/**
 * The boundary between the primary and everything that comes from outside of it: every entry runs its work inside. An
 * exception is counted by entry (`boundary.<entry>`), told in a few lines, and the node goes on with the next event, for
 * a datagram must not end a node.
 *
 * The exception to that is a BrokenInvariant: the core itself is wrong. It ends the node in order, once. Nothing leaves
 * this file as an exception, not even when the log cannot be written.
 */
import { errorText } from '../shared/log/errorText.ts';
import type { Logger } from '../shared/log/logger.ts';
import { RateLimit } from '../shared/log/rateLimit.ts';
import { BrokenInvariant } from './control/invariant.ts';

/** Where something can come in. `effect` is what the control plane wants done; `process` what nobody else caught. */
export const ENTRIES = [
  'api',
  'dns',
  'effect',
  'lookup',
  'netlink',
  'process',
  'signal',
  'stats',
  'stop',
  'timer',
  'worker',
] as const;
export type Entry = (typeof ENTRIES)[number];

export interface BoundaryOptions {
  readonly log: Logger;
  /** Monotonic milliseconds. */
  readonly nowMs?: () => number;
}

/** Of each entry: so many lines at once, and one more every ten seconds. */
const LINES_AT_ONCE = 3;
const LINES_PER_SECOND = 0.1;

export class Boundary {
  /** Resolves with the reason when the core is broken: the node is to be stopped. */
  readonly broken: Promise<string>;
  readonly #options: BoundaryOptions;
  readonly #nowMs: () => number;
  readonly #counts: Map<string, number> = new Map(ENTRIES.map((entry) => [nameOf(entry), 0]));
  readonly #limits: Map<Entry, RateLimit> = new Map();
  #onBroken: (reason: string) => void = () => undefined;

  constructor(options: BoundaryOptions) {
    this.#options = options;
    this.broken = new Promise((resolve) => {
      this.#onBroken = resolve;
    });
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** Faults so far by metric name, those of 0 included. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Runs one piece of work of an entry. Never throws; false when the work did. */
  guard(entry: Entry, work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      this.report(entry, error);
      return false;
    }
  }

  /** Waits for work that goes on by itself. Never rejects. */
  async guardAsync(entry: Entry, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.report(entry, error);
    }
  }

  /** For what an entry caught by other means. Never throws. */
  report(entry: Entry, error: unknown): void {
    const name = nameOf(entry);
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    try {
      this.#tell(entry, error);
    } catch {
      // A log that cannot be written is no reason to stop; the count tells.
    }
    if (error instanceof BrokenInvariant) {
      this.#onBroken(error.message);
    }
  }

  /** The last net, for what every other entry let through. Returns how to take it away again. */
  catchRest(): () => void {
    const report = (error: unknown): void => this.report('process', error);
    process.on('uncaughtException', report);
    process.on('unhandledRejection', report);
    return () => {
      process.off('uncaughtException', report);
      process.off('unhandledRejection', report);
    };
  }

  #tell(entry: Entry, error: unknown): void {
    const { log } = this.#options;
    const limit = this.#limits.get(entry) ?? new RateLimit(LINES_AT_ONCE, LINES_PER_SECOND);
    this.#limits.set(entry, limit);
    if (!limit.allow(this.#nowMs())) {
      return;
    }
    const suppressed = limit.takeSuppressed();
    log.error('A fault was caught, the node goes on', {
      entry,
      error: errorText(error),
      ...(suppressed === 0 ? {} : { suppressed }),
    });
    if (error instanceof Error && log.isEnabled('debug')) {
      log.debug('Where the fault was', { entry, stack: error.stack ?? '' });
    }
  }
}

function nameOf(entry: Entry): string {
  return `boundary.${entry}`;
}
