/**
 * A sample of fixed size in which newer values outweigh older ones: forward decay, as in Nebula's `handshakes`
 * (Nebula protocol: stats; 1028 values, alpha 0.015). Pure: the time and the draw are arguments.
 *
 * A value of time t has the priority e^(alpha × t) / u with u from (0, 1]; the values of the highest priorities stay.
 * Priorities are kept as logarithms, so that time may go on for as long as it likes.
 */

const SIZE = 1028;
const ALPHA = 0.015;

export interface ReservoirSnapshot {
  /** Of all values ever added; the rest is of those in the sample, and 0 when it is empty. */
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly variance: number;
  readonly deviation: number;
  /** `share` from 0 to 1. */
  percentile(share: number): number;
}

interface Weighted {
  readonly priority: number;
  readonly value: number;
}

export class Reservoir {
  readonly #sample: Weighted[] = [];
  #count = 0;

  /** `draw`: uniform, above 0 and up to 1. */
  add(value: number, nowSeconds: number, draw: number): void {
    this.#count++;
    const entry = { priority: ALPHA * nowSeconds - Math.log(draw), value };
    if (this.#sample.length < SIZE) {
      this.#sample.push(entry);
      return;
    }
    let lowest = 0;
    for (const [index, { priority }] of this.#sample.entries()) {
      lowest = priority < this.#sample[lowest].priority ? index : lowest;
    }
    if (entry.priority > this.#sample[lowest].priority) {
      this.#sample[lowest] = entry;
    }
  }

  snapshot(): ReservoirSnapshot {
    const values = Float64Array.from(this.#sample, ({ value }) => value).sort();
    const sum = values.reduce((total, value) => total + value, 0);
    const mean = values.length === 0 ? 0 : sum / values.length;
    const squares = values.reduce((total, value) => total + (value - mean) ** 2, 0);
    const variance = values.length === 0 ? 0 : squares / values.length;
    return {
      count: this.#count,
      sum,
      min: values[0] ?? 0,
      max: values[values.length - 1] ?? 0,
      mean,
      variance,
      deviation: Math.sqrt(variance),
      percentile: (share) => percentileOf(values, share),
    };
  }
}

/** Between the two nearest values by the distance to each. */
function percentileOf(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length + 1);
  const below = Math.floor(position);
  if (sorted.length === 0 || below < 1) {
    return sorted[0] ?? 0;
  }
  if (below >= sorted.length) {
    return sorted[sorted.length - 1];
  }
  return sorted[below - 1] + (position - below) * (sorted[below] - sorted[below - 1]);
}
