/**
 * A tunnel's send counter: one 64-bit cell in shared memory from which every process of the node reserves nonces.
 *
 * The cell is two words. `low` counts packets modulo 2^32 and is the only word that reservations add to, so a
 * reservation is one `Atomics.add` and can neither be lost nor handed out twice, even when its process is killed right
 * after. `half` says in which half-turn (2^31 packets) `low` is; it may lag by one, and the top bit of `low`, which is
 * the parity of the half-turn, tells whether it does. This gives exact 64-bit arithmetic without a BigInt per packet
 * (a BigInt `Atomics.add` allocates; measured 10 ns and 24 bytes each).
 *
 * Why it is exact: `half` only grows. If it reads the same before and after the add, then it had that value at the add,
 * and the true half-turn is that value or one more, which the parity decides. If it changed in between (once in 2^31
 * packets) the reservation is thrown away: unused counters do no harm, a counter used twice would.
 *
 * Every worker can write the cell, so a value that no tunnel can reach counts as exhausted, and a `half` that goes on
 * changing is given up: the tunnel then sends nothing, and the control plane replaces it.
 */

/**
 * One counter as two words, high and low half. As a Number it would be boxed at nearly every call from 2^31 on; words,
 * being signed, never are.
 */
export type CounterWords = Int32Array;

export function counterWords(): CounterWords {
  return new Int32Array(2);
}

/** Counters stop here, far above any re-handshake threshold (2^34) and within what a Number holds exactly. */
export const SEND_COUNTER_MAX: number = 2 ** 52;

const HALF_TURN = 2 ** 31;
const LOW = 0;
const HALF = 1;

/** Sets the cell so that the next reservation starts at `last + 1`. Only before the tunnel is published. */
export function resetSendCounter(words: Int32Array, cell: number, last: number): void {
  Atomics.store(words, cell + LOW, last | 0);
  Atomics.store(words, cell + HALF, Math.floor(last / HALF_TURN));
}

/**
 * Reserves `count` consecutive counters and writes the first into `first`; false when the tunnel is exhausted.
 * Reserve only what is sent at once: released Nebula nodes accept the newest 1024 counters only.
 */
export function reserveCounters(words: Int32Array, cell: number, count: number, first: CounterWords): boolean {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const half = Atomics.load(words, cell + HALF);
    const low = Atomics.add(words, cell + LOW, count);
    if (Atomics.load(words, cell + HALF) !== half) {
      continue;
    }
    const parity = low >>> 31;
    const trueHalf = (half & 1) === parity ? half : half + 1;
    if (trueHalf !== half) {
      Atomics.compareExchange(words, cell + HALF, half, trueHalf);
    }
    first[0] = trueHalf >>> 1;
    first[1] = low;
    nextCounter(first);
    return trueHalf >= 0 && trueHalf * HALF_TURN + (low & 0x7fffffff) + 1 + count <= SEND_COUNTER_MAX;
  }
  return false;
}

/** Makes a counter the one that follows. */
export function nextCounter(counter: CounterWords): void {
  const low = (counter[1] + 1) | 0;
  counter[1] = low;
  if (low === 0) {
    counter[0]++;
  }
}

/**
 * The last counter handed out: what `print-tunnel` shows and the re-handshake threshold is compared with. The maximum when
 * the cell holds what no tunnel can reach.
 */
export function lastReservedCounter(words: Int32Array, cell: number): number {
  const half = Atomics.load(words, cell + HALF);
  const low = Atomics.load(words, cell + LOW) >>> 0;
  const trueHalf = (half & 1) === low >>> 31 ? half : half + 1;
  const last = trueHalf * HALF_TURN + (low & 0x7fffffff);
  return last < 0 || last > SEND_COUNTER_MAX ? SEND_COUNTER_MAX : last;
}

/** `half` changes once in 2^31 packets. */
const TRIES_MAX = 64;
