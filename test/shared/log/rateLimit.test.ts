import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RateLimit } from '../../../src/shared/log/rateLimit.ts';

function allowedOf(limit: RateLimit, times: readonly number[]): readonly boolean[] {
  return times.map((time) => limit.allow(time));
}

describe('rate limit', () => {
  it('allows a burst, then what refills', () => {
    const limit = new RateLimit(3, 1);
    expect(allowedOf(limit, [0, 0, 0, 0, 0])).to.deep.equal([true, true, true, false, false]);
    expect(limit.takeSuppressed()).to.equal(2);
    expect(limit.takeSuppressed()).to.equal(0);
    expect(allowedOf(limit, [999, 1000, 1001])).to.deep.equal([false, true, false]);
    expect(limit.takeSuppressed()).to.equal(2);
  });

  it('saves up no more than a burst', () => {
    const limit = new RateLimit(2, 10);
    allowedOf(limit, [0, 0]);
    expect(allowedOf(limit, [1e9, 1e9, 1e9])).to.deep.equal([true, true, false]);
  });

  it('does not mind a clock that starts anywhere, stands or goes back', () => {
    const limit = new RateLimit(1, 1);
    expect(allowedOf(limit, [5e12, 5e12, 4e12, 4e12 + 999])).to.deep.equal([true, false, false, false]);
    expect(limit.allow(4e12 + 1001)).to.equal(true);
  });

  it('holds the rate over a long flood', () => {
    const limit = new RateLimit(5, 2);
    let allowed = 0;
    for (let ms = 0; ms < 60_000; ms++) {
      allowed += Number(limit.allow(ms));
    }
    expect(allowed).to.be.within(5 + 118, 5 + 120);
    expect(limit.takeSuppressed()).to.equal(60_000 - allowed);
  });
});
