/**
 * How long this process was kept from running, by a busy or paused machine: a test that measures time takes that off, so
 * that what remains is the time the program under test took.
 */

const TICK_MS = 10;
/** What a timer is late by on any machine, and no stall. */
const USUAL_MS = 20;

interface Stall {
  readonly endMs: number;
  readonly lengthMs: number;
}

export class StallWatch {
  readonly #stalls: Stall[] = [];
  readonly #timer: NodeJS.Timeout;
  #seenMs: number = performance.now();

  /** Watches until `stop`; keeps no process alive. */
  constructor() {
    this.#timer = setInterval(() => this.#look(), TICK_MS);
    this.#timer.unref();
  }

  /** The sum of all stalls since `fromMs` of `performance.now()`, one that ends right now included. */
  since(fromMs: number): number {
    this.#look();
    return this.#sum(fromMs, Number.POSITIVE_INFINITY);
  }

  /** The most that stalls can have added to something that took `spanMs` and happened at an unknown time of the watch. */
  mostWithin(spanMs: number): number {
    this.#look();
    const ends = this.#stalls.map(({ endMs }) => endMs);
    return Math.max(0, ...ends.map((endMs) => this.#sum(endMs - spanMs, endMs)));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = performance.now();
    const lengthMs = nowMs - this.#seenMs - TICK_MS;
    if (lengthMs > USUAL_MS) {
      this.#stalls.push({ endMs: nowMs, lengthMs });
    }
    this.#seenMs = nowMs;
  }

  #sum(fromMs: number, toMs: number): number {
    const lengths = this.#stalls.map(({ endMs, lengthMs }) => {
      const startMs = Math.max(endMs - lengthMs, fromMs);
      return Math.max(0, Math.min(endMs, toMs) - startMs);
    });
    return lengths.reduce((sum, length) => sum + length, 0);
  }
}
