/**
 * Token buckets by number, each one number of a typed array: what one peer, one address or one kind may ask of the
 * primary. A bucket holds the time at which it will be full again, so it starts full, costs no timer and no allocation.
 * Times are monotonic milliseconds, not before 0.
 */
export class Quotas {
  readonly count: number;
  readonly #fullAtMs: Float64Array;
  readonly #intervalMs: number;
  readonly #allowanceMs: number;

  /** `count` buckets, each of `burst` tokens that come back at `perSecond`. */
  constructor(count: number, perSecond: number, burst: number) {
    this.count = count;
    this.#fullAtMs = new Float64Array(count);
    this.#intervalMs = 1000 / perSecond;
    this.#allowanceMs = (burst - 1) * this.#intervalMs;
  }

  /** Takes a token of a bucket; false when it has none. */
  admit(bucket: number, nowMs: number): boolean {
    const fullAtMs = Math.max(this.#fullAtMs[bucket], nowMs);
    if (fullAtMs - nowMs > this.#allowanceMs + ROUNDING_MS) {
      return false;
    }
    this.#fullAtMs[bucket] = fullAtMs + this.#intervalMs;
    return true;
  }
}

/** Sums of intervals are not exact. */
const ROUNDING_MS = 1e-6;
