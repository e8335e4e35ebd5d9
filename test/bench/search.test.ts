/** The search for the highest rate without loss, on links whose limit is known. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { highestRate, type SearchPlan, type Trial } from './search.ts';

const PLAN: SearchPlan = { first: 40_000, highest: 640_000, lossMax: 0.005, precision: 0.02, attempts: 2 };

/** Carries all up to its limit and drops the rest; every `hiccup`-th trial loses a tenth on the way, whatever the rate. */
class Link {
  readonly asked: number[] = [];
  readonly #limit: number;
  readonly #hiccup: number;

  constructor(limit: number, hiccup: number = 0) {
    this.#limit = limit;
    this.#hiccup = hiccup;
  }

  readonly trial = async (rate: number): Promise<Trial> => {
    this.asked.push(rate);
    const isDisturbed = this.#hiccup > 0 && this.asked.length % this.#hiccup === 0;
    return { sent: rate, received: Math.min(rate, this.#limit) * (isDisturbed ? 0.9 : 1) };
  };
}

describe('search for the highest rate', () => {
  for (const limit of [3_000, 39_000, 41_000, 187_000, 600_000]) {
    it(`finds ${limit} to within its precision and never more`, async () => {
      const link = new Link(limit);
      const found = await highestRate(link.trial, PLAN);
      // A trial that loses less than 0.5 % passes: it may lie that much above the limit.
      expect(found).to.be.within(limit * 0.98, limit);
      expect(link.asked.length).to.be.below(30);
    });
  }

  it('does not fall for one disturbed trial', async () => {
    expect(await highestRate(new Link(187_000, 3).trial, PLAN)).to.be.within(187_000 * 0.98, 187_000);
  });

  it('ends at the highest rate of the plan on a link without a limit', async () => {
    const link = new Link(Number.POSITIVE_INFINITY);
    expect(await highestRate(link.trial, PLAN)).to.equal(PLAN.highest);
    expect(link.asked).to.deep.equal([40_000, 80_000, 160_000, 320_000, 640_000]);
  });

  it('counts a rate that the sender does not reach as too high', async () => {
    const trial = async (rate: number): Promise<Trial> => {
      const sent = Math.min(rate, 100_000);
      return { sent, received: sent };
    };
    expect(await highestRate(trial, PLAN)).to.be.within(97_000, 100_000);
  });

  it('answers 0 for a link that carries nothing, after a bounded number of trials', async () => {
    const link = new Link(0);
    expect(await highestRate(link.trial, PLAN)).to.equal(0);
    expect(link.asked.length).to.be.below(20);
  });

  it('lets a loss below the limit pass, and none at it', async () => {
    const lossy =
      (share: number) =>
      async (rate: number): Promise<Trial> => ({ sent: rate, received: rate * (1 - share) });
    expect(await highestRate(lossy(0.004), PLAN)).to.be.above(630_000);
    expect(await highestRate(lossy(0.005), PLAN)).to.equal(0);
  });
});
