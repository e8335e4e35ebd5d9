import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RateLimit } from '../../src/shared/log/rateLimit.ts';
import { Quotas } from '../../src/worker/quotas.ts';
import { Random } from '../support/random.ts';

describe('quotas', () => {
  it('are buckets that start full and refill, each by itself', () => {
    const quotas = new Quotas(2, 10, 3);
    const admitted = [0, 0, 0, 0, 99, 101, 102].map((ms) => quotas.admit(0, 5e9 + ms));
    expect(admitted).to.deep.equal([true, true, true, false, false, true, false]);
    expect(quotas.admit(1, 5e9 + 102)).to.equal(true);
    expect([1, 2, 3, 4].map(() => quotas.admit(0, 9e9))).to.deep.equal([true, true, true, false]);
  });

  it('agree with a bucket that counts tokens', () => {
    for (let seed = 1; seed < 20; seed++) {
      const random = new Random(seed);
      // Powers of two, so that both count exactly.
      const [perSecond, burst] = [1000 / 2 ** random.below(6), 1 + random.below(20)];
      const [quotas, limit] = [new Quotas(1, perSecond, burst), new RateLimit(burst, perSecond)];
      for (let ms = 0, step = 0; step < 3000; step++) {
        ms += random.below(random.pick([2, 50]));
        expect(quotas.admit(0, ms), `seed ${seed}, ${ms} ms`).to.equal(limit.allow(ms));
      }
    }
  });
});
