/**
 * Keys that count for a fixed time after they were last noted. Bounded: where there are too many, the oldest go first.
 */
export class RecentKeys {
  readonly #lifeMs: number;
  readonly #max: number;
  /** Until when each counts, the one noted longest ago first. */
  readonly #untilMs = new Map<string, number>();

  constructor(lifeMs: number, max: number) {
    this.#lifeMs = lifeMs;
    this.#max = max;
  }

  note(nowMs: number, key: string): void {
    // Anew at the end, which keeps the order.
    this.#untilMs.delete(key);
    this.#untilMs.set(key, nowMs + this.#lifeMs);
    for (const [oldest, untilMs] of this.#untilMs) {
      if (untilMs >= nowMs && this.#untilMs.size <= this.#max) {
        break;
      }
      this.#untilMs.delete(oldest);
    }
  }

  /** Monotonic milliseconds until which a key counts; before all time when it was never noted or went. */
  untilMs(key: string): number {
    return this.#untilMs.get(key) ?? Number.NEGATIVE_INFINITY;
  }

  forget(key: string): void {
    this.#untilMs.delete(key);
  }
}
