/** Looks at the ends of the node's certificates every hour and after each reload, and logs what `expiry.ts` has to say. */

import type { Logger } from '../../shared/log/logger.ts';
import type { Boundary } from '../boundary.ts';
import { ExpiryWatch } from './expiry.ts';
import type { Identity } from './identity.ts';

const INTERVAL_MS = 3_600_000;

export class ExpiryReporter {
  readonly #log: Logger;
  readonly #boundary: Boundary;
  readonly #unixMs: () => number;
  readonly #watch = new ExpiryWatch();
  #identity: Identity | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(log: Logger, boundary: Boundary, unixMs: () => number = Date.now) {
    this.#log = log;
    this.#boundary = boundary;
    this.#unixMs = unixMs;
  }

  /** Takes the identity in force from now on, and looks at it at once. */
  follow(identity: Identity): void {
    this.#identity = identity;
    this.#timer ??= setInterval(() => this.#boundary.guard('timer', () => this.#look()), INTERVAL_MS).unref();
    this.#look();
  }

  close(): void {
    if (this.#timer !== null) {
      clearInterval(this.#timer);
    }
    this.#timer = null;
    this.#identity = null;
  }

  #look(): void {
    if (this.#identity !== null) {
      for (const { level, message, fields } of this.#watch.notices(this.#identity, Math.floor(this.#unixMs() / 1000))) {
        this.#log[level](message, fields);
      }
    }
  }
}
