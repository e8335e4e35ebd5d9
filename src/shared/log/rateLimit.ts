/**
 * Limits log lines that a hostile sender could cause: a bucket of `burst` lines that refills with `perSecond`. The time
 * is an argument, so the state machines can use it. Counters, not this, tell how often something happened.
 */
export class RateLimit {
  readonly #burst: number;
  readonly #perMs: number;
  #tokens: number;
  #lastMs: number = Number.NaN;
  #suppressedCount = 0;

  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1000;
    this.#tokens = burst;
  }

  /** Whether one more line may be printed at `nowMs` (any monotonic clock); a refusal is counted. */
  allow(nowMs: number): boolean {
    // The first call has no earlier one: NaN compares false and leaves the bucket full.
    if (nowMs > this.#lastMs) {
      this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#lastMs) * this.#perMs);
    }
    this.#lastMs = nowMs;
    if (this.#tokens < 1) {
      this.#suppressedCount++;
      return false;
    }
    this.#tokens -= 1;
    return true;
  }

  /** How many lines were refused since the last call: a field for the next line that is allowed. */
  takeSuppressed(): number {
    const count = this.#suppressedCount;
    this.#suppressedCount = 0;
    return count;
  }
}
