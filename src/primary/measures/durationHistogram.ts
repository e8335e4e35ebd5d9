/** How long things took, counted in fixed buckets: a histogram as Prometheus has it. Pure. */

/** Upper bounds in seconds: from a peer in the same room to the last attempt of a handshake. */
const BOUNDS: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class DurationHistogram {
  readonly #counts = new Float64Array(BOUNDS.length + 1);
  #sumSeconds = 0;

  add(durationMs: number): void {
    const seconds = durationMs / 1000;
    const bucket = BOUNDS.findIndex((bound) => seconds <= bound);
    this.#counts[bucket < 0 ? BOUNDS.length : bucket]++;
    this.#sumSeconds += seconds;
  }

  get sumSeconds(): number {
    return this.#sumSeconds;
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** How many took no longer than each bound; the last one has none. */
  buckets(): readonly { readonly bound: number; readonly count: number }[] {
    let count = 0;
    return [...BOUNDS, Number.POSITIVE_INFINITY].map((bound, index) => {
      count += this.#counts[index];
      return { bound, count };
    });
  }
}
