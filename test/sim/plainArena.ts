/** An arena in memory of the collector's: for many small ones that come and go, as no mapping does. Sums in JavaScript. */
import { Arena } from '../../src/shared/sys/arena.ts';
import { addressOf } from '../../src/shared/sys/libc.ts';

export function plainArena(byteLength: number): Arena {
  // Stays where it is, as it was allocated as such and is not small.
  const buffer = new ArrayBuffer(byteLength);
  return new Arena(byteLength, { address: addressOf(buffer), buffer, makeSum: () => null });
}
