/** How long the handshakes that this node started took: as Nebula keeps it, and as a histogram. */
import { DurationHistogram } from './durationHistogram.ts';
import { Reservoir } from './reservoir.ts';

export class HandshakeTimes {
  /** In nanoseconds. */
  readonly sample: Reservoir = new Reservoir();
  readonly durations: DurationHistogram = new DurationHistogram();

  add(durationMs: number): void {
    this.durations.add(durationMs);
    this.sample.add(Math.round(durationMs * 1e6), performance.now() / 1000, 1 - Math.random());
  }
}
