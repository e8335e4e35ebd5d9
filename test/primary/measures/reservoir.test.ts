import { expect } from 'chai';
import { describe, it } from 'mocha';
import { DurationHistogram } from '../../../src/primary/measures/durationHistogram.ts';
import { Reservoir } from '../../../src/primary/measures/reservoir.ts';
import { Random } from '../../support/random.ts';

describe('a decaying reservoir', () => {
  it('is all zeros while it is empty', () => {
    const { count, sum, min, max, mean, variance, percentile } = new Reservoir().snapshot();
    expect([count, sum, min, max, mean, variance, percentile(0.99)]).to.deep.equal([0, 0, 0, 0, 0, 0, 0]);
  });

  it('keeps everything while there is room, and tells between values', () => {
    const reservoir = new Reservoir();
    for (let value = 1; value <= 99; value++) {
      reservoir.add(value, 0, 0.5);
    }
    const all = reservoir.snapshot();
    expect([all.count, all.sum, all.min, all.max, all.mean]).to.deep.equal([99, 4950, 1, 99, 50]);
    expect(all.variance).to.be.closeTo((99 ** 2 - 1) / 12, 1e-9);
    expect([0.5, 0.75, 0.995].map(all.percentile)).to.deep.equal([50, 75, 99]);
    expect(new Reservoir().snapshot().percentile(0.5)).to.equal(0);
  });

  it('forgets the old for the new, and counts them all', () => {
    const reservoir = new Reservoir();
    const random = new Random(7);
    const draw = (): number => (random.u32() + 1) / 2 ** 32;
    for (let value = 0; value < 5000; value++) {
      reservoir.add(1, value, draw());
    }
    // An hour later as many of another kind.
    for (let value = 0; value < 5000; value++) {
      reservoir.add(2, 8600 + value, draw());
    }
    const { count, min } = reservoir.snapshot();
    expect([count, min]).to.deep.equal([10_000, 2]);
  });

  it('weighs by time alone: after days as on the first second', () => {
    const reservoir = new Reservoir();
    for (let value = 0; value < 2000; value++) {
      reservoir.add(value, 1e9, 1 - value / 4000);
    }
    expect(reservoir.snapshot().mean).to.be.greaterThan(1200);
  });
});

describe('a histogram of durations', () => {
  it('counts in buckets that contain the smaller ones', () => {
    const histogram = new DurationHistogram();
    for (const durationMs of [0.2, 1, 3, 60_000]) {
      histogram.add(durationMs);
    }
    const counts = new Map(histogram.buckets().map(({ bound, count }) => [bound, count]));
    const bounds = [0.001, 0.0025, 0.005, 10, Number.POSITIVE_INFINITY];
    expect(bounds.map((bound) => counts.get(bound))).to.deep.equal([2, 2, 3, 3, 4]);
    expect(histogram.sumSeconds).to.be.closeTo(60.0042, 1e-9);
    expect(histogram.count).to.equal(4);
  });
});
