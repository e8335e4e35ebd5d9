import { expect } from 'chai';
import { describe, it } from 'mocha';
import { lastReservedCounter, resetSendCounter, SEND_COUNTER_MAX } from '../../../src/shared/memory/sendCounter.ts';
import { reserve } from '../../support/counters.ts';
import { Random } from '../../support/random.ts';

describe('send counter', () => {
  it('starts behind the counters that the handshake used', () => {
    const words = new Int32Array(4);
    resetSendCounter(words, 1, 2);
    expect(reserve(words, 1, 1)).to.equal(3);
    expect(reserve(words, 1, 64)).to.equal(4);
    expect(reserve(words, 1, 1)).to.equal(68);
    expect(lastReservedCounter(words, 1)).to.equal(68);
    expect([words[0], words[3]]).to.deep.equal([0, 0]);
  });

  it('counts exactly across every half-turn of the low word', () => {
    const random = new Random(7);
    for (const halves of [1, 2, 3, 4, 1023, 2 ** 20]) {
      const words = new Int32Array(2);
      let expected = halves * 2 ** 31 - 5000;
      resetSendCounter(words, 0, expected);
      for (let step = 0; step < 400; step++) {
        const count = 1 + random.below(64);
        expect(reserve(words, 0, count)).to.equal(expected + 1);
        expected += count;
        expect(lastReservedCounter(words, 0)).to.equal(expected);
      }
      expect(expected).to.be.greaterThan(halves * 2 ** 31);
    }
  });

  it('is exact while the half-turn word lags by one', () => {
    const words = new Int32Array(2);
    resetSendCounter(words, 0, 3 * 2 ** 31 + 10);
    words[1] = 2;
    expect(lastReservedCounter(words, 0)).to.equal(3 * 2 ** 31 + 10);
    expect(reserve(words, 0, 1)).to.equal(3 * 2 ** 31 + 11);
    expect(words[1]).to.equal(3);
  });

  it('refuses to go on at the limit and never returns a counter again', () => {
    const words = new Int32Array(2);
    resetSendCounter(words, 0, SEND_COUNTER_MAX - 3);
    expect(reserve(words, 0, 1)).to.equal(SEND_COUNTER_MAX - 2);
    expect(reserve(words, 0, 4)).to.equal(-1);
    expect(reserve(words, 0, 1)).to.equal(-1);
  });
});
