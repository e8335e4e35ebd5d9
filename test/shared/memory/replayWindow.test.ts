import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  REPLAY_WINDOW_COUNTERS,
  REPLAY_WINDOW_WORDS,
  Replay,
  resetReplayWindow,
} from '../../../src/shared/memory/replayWindow.ts';
import { check, claim } from '../../support/counters.ts';
import { Random } from '../../support/random.ts';

function freshWindow(last = 2): Int32Array {
  const words = new Int32Array(REPLAY_WINDOW_WORDS + 2);
  resetReplayWindow(words, 1, last);
  return words;
}

const accept = (words: Int32Array, counter: number): boolean =>
  check(words, 1, counter) === Replay.Fresh && claim(words, 1, counter) >= 0;

describe('replay window', () => {
  it('refuses what the handshake used and accepts what follows', () => {
    const words = freshWindow();
    for (const counter of [0, 1, 2]) {
      expect(check(words, 1, counter)).to.equal(Replay.Duplicate);
      expect(claim(words, 1, counter)).to.equal(Replay.Duplicate);
    }
    for (const counter of [3, 8191, 8192, 9000]) {
      expect(check(words, 1, counter)).to.equal(Replay.Fresh);
    }
  });

  it('starts behind any counter as it would have come there', () => {
    for (const last of [2, 7, 8, 8191, 8192, 20_005]) {
      const direct = freshWindow(last);
      const walked = freshWindow(0);
      for (let counter = 1; counter <= last; counter++) {
        expect(accept(walked, counter)).to.equal(true);
      }
      expect(direct).to.deep.equal(walked);
    }
  });

  it('a check claims nothing', () => {
    const words = freshWindow();
    expect(check(words, 1, 5)).to.equal(Replay.Fresh);
    expect(check(words, 1, 5)).to.equal(Replay.Fresh);
    expect(claim(words, 1, 5)).to.equal(0);
    expect(check(words, 1, 5)).to.equal(Replay.Duplicate);
  });

  it('takes the same sequences as Nebula, as long as they stay within its narrower window', () => {
    // Nebula protocol vectors, replay window.
    const words = freshWindow(0);
    expect([1, 2, 2, 25, 24].map((counter) => accept(words, counter))).to.deep.equal([true, true, false, true, true]);
    const shuffled = freshWindow(0);
    const order = [4, 1, 9, 2, 3, 5, 6, 7, 10, 11, 14, 25, 12, 13, 15, 16];
    expect(order.every((counter) => accept(shuffled, counter))).to.equal(true);
    expect(order.some((counter) => accept(shuffled, counter))).to.equal(false);
  });

  it('refuses what is older than the window once the newer lap has come', () => {
    const words = freshWindow();
    expect(accept(words, 100)).to.equal(true);
    expect(accept(words, 100 + 8192)).to.equal(true);
    expect(check(words, 1, 101)).to.equal(Replay.TooOld);
    expect(claim(words, 1, 101)).to.equal(Replay.TooOld);
  });

  it('counts what never arrived', () => {
    const words = freshWindow(0);
    let lost = 0;
    for (let counter = 1; counter < 8192 * 3; counter++) {
      if (counter % 10 !== 0) {
        const claimed = claim(words, 1, counter);
        expect(claimed).to.be.at.least(0);
        lost += claimed;
      }
    }
    // The blocks of the first two laps are complete: every tenth counter below 16384 is missing, but 0 was marked.
    expect(lost).to.equal(1638);
  });

  it('never accepts a counter twice and never refuses a new one inside the window (against a naive reference)', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = new Random(seed);
      const words = freshWindow();
      const seen = new Set<number>([0, 1, 2]);
      const base = seed % 3 === 0 ? 2 ** 37 - 20000 : seed % 3 === 1 ? 0 : 2 ** 32 - 20000;
      let highest = base + 2;
      if (base > 0) {
        // A tunnel that came this far has touched every word in the lap before.
        words.fill(((Math.floor(base / 8192) - 1) << 8) | 0xff, 1, 1 + REPLAY_WINDOW_WORDS);
        expect(accept(words, highest)).to.equal(true);
        seen.add(highest);
      }
      for (let step = 0; step < 20000; step++) {
        const jump = random.below(50) === 0 ? random.below(20000) : random.below(4);
        const counter = random.below(3) === 0 ? Math.max(0, highest - random.below(12000)) : highest + jump;
        const isAccepted = accept(words, counter);
        if (seen.has(counter)) {
          expect(isAccepted, `${counter} twice`).to.equal(false);
        } else if (counter > Math.max(base, highest - REPLAY_WINDOW_COUNTERS)) {
          expect(isAccepted, `${counter} of ${highest}`).to.equal(true);
        }
        if (isAccepted) {
          seen.add(counter);
        }
        highest = Math.max(highest, isAccepted ? counter : highest);
      }
    }
  });
});
