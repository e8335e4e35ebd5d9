/** Message counters as Numbers, for tests; the packet path has them as words, which are never boxed. */
import { checkCounter, claimCounter, type Replay } from '../../src/shared/memory/replayWindow.ts';
import { counterWords, reserveCounters } from '../../src/shared/memory/sendCounter.ts';

/** The first of `count` reserved counters, or -1 when there are none left. */
export function reserve(words: Int32Array, cell: number, count: number): number {
  const first = counterWords();
  return reserveCounters(words, cell, count, first) ? first[0] * 2 ** 32 + (first[1] >>> 0) : -1;
}

/** Odd counters go in with a signed low half, as the packet path gives it, even ones unsigned. */
function halves(counter: number): [number, number] {
  const low = counter >>> 0;
  return [Math.floor(counter / 2 ** 32), (counter & 1) === 0 ? low : low | 0];
}

export function check(words: Int32Array, window: number, counter: number): Replay {
  return checkCounter(words, window, ...halves(counter));
}

export function claim(words: Int32Array, window: number, counter: number): number {
  return claimCounter(words, window, ...halves(counter));
}
