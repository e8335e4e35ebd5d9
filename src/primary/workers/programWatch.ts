/**
 * Watches over the files that children are started from. They may be removed or replaced under a running node, by an
 * upgrade or a build: the node runs on from its memory, but a child could not be started, or would be another version than
 * the primary that it shares tables with. So it is told at once, in one line, and whoever starts a child asks first.
 */
import type { Logger } from '../../shared/log/logger.ts';
import type { Boundary } from '../boundary.ts';
import type { ProgramLook, ProgramState } from '../machine/programFiles.ts';

/** Why no child may be started. */
export interface StartObstacle {
  /** One line that says what to do. */
  readonly reason: string;
  /** Waiting does not help: another version stands in the place of this one. */
  readonly isFinal: boolean;
}

const LOOK_MS = 10_000;
/** An installation writes file after file: before this time it may still become what it was. */
const SETTLED_MS = 4_000;

export class ProgramWatch {
  readonly #look: () => ProgramLook;
  readonly #log: Logger;
  readonly #nowMs: () => number;
  #state: ProgramState = 'same';
  #sinceMs = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(look: () => ProgramLook, log: Logger, nowMs: () => number = () => performance.now()) {
    this.#look = look;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** Looks now and then, so that the operator learns of it before a worker dies. */
  start(boundary: Boundary): void {
    this.#timer = setInterval(() => boundary.guard('timer', () => void this.obstacle()), LOOK_MS);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer !== null) {
      clearInterval(this.#timer);
    }
  }

  /** Looks, tells the log when something has changed, and says why no child may be started now. */
  obstacle(): StartObstacle | null {
    const { state, path } = this.#look();
    if (state !== this.#state) {
      this.#state = state;
      this.#sinceMs = this.#nowMs();
      if (state === 'same') {
        this.#log.info('The files of this program are back', { path });
      } else {
        this.#log.error(REASONS[state], { path });
      }
    }
    if (state === 'same') {
      return null;
    }
    return { reason: REASONS[state], isFinal: state === 'other' && this.#nowMs() - this.#sinceMs >= SETTLED_MS };
  }

  /** For the status of the node, as of the last look. */
  get health(): readonly { readonly kind: 'program'; readonly text: string }[] {
    return this.#state === 'same' ? [] : [{ kind: 'program', text: REASONS[this.#state] }];
  }
}

const REASONS = {
  gone: 'The files of this program are gone, a worker that ends cannot be started again: install weft again, then restart this node',
  other: 'Another weft was installed over this one, a worker that ends cannot be started again: restart this node',
} as const;
