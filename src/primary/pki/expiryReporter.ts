/** Looks at the node's certificates every hour, when one of its own ends, and after each reload, and logs what `expiry.ts` has to say. */

import type { Logger } from '../../shared/log/logger.ts';
import type { Boundary } from '../boundary.ts';
import { ExpiryWatch, untilNextLookMs } from './expiry.ts';
import type { Identity } from './identity.ts';

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
    this.#look();
  }

  close(): void {
    this.#identity = null;
    this.#cancel();
  }

  #look(): void {
    this.#cancel();
    const identity = this.#identity;
    if (identity === null) {
      return;
    }
    const unixMs = this.#unixMs();
    const again = (): boolean => this.#boundary.guard('timer', () => this.#look());
    this.#timer = setTimeout(again, untilNextLookMs(identity, unixMs)).unref();
    for (const { level, message, fields } of this.#watch.notices(identity, Math.floor(unixMs / 1000))) {
      this.#log[level](message, fields);
    }
  }

  #cancel(): void {
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
    }
    this.#timer = null;
  }
}
