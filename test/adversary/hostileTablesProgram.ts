/**
 * A worker that was taken over, as far as memory goes: maps the descriptors that the worker with the given number has,
 * tries to write the primary's tables, and fills everything that it can write with garbage, round after round.
 *
 *   argv: seed, rounds; fd 3: facts, fd 4: common memory, fd 5: the worker's own
 */
import { Errno, SysError } from '../../src/shared/sys/libc.ts';
import { mapSharedMemory } from '../../src/shared/sys/sharedMemory.ts';
import { Random } from '../support/random.ts';

const [seed, rounds] = process.argv.slice(2).map(Number);
const random = new Random(seed);

/** Words that mislead: locks in somebody's name, odd generations, times that never come, lengths beyond everything. */
const ROUNDS: readonly (() => number)[] = [
  () => random.u32(),
  () => -1,
  () => 1,
  () => 2,
  () => 0x7fffffff,
  () => (random.below(8) === 0 ? random.u32() : 0),
];

try {
  new Int32Array(mapSharedMemory(3).buffer).fill(-1);
  console.log('wrote the facts');
} catch (error) {
  console.log(`facts: ${error instanceof SysError && error.errno === Errno.EPERM ? 'refused' : String(error)}`);
}
const memories = [4, 5].map((fd) => new Int32Array(mapSharedMemory(fd).buffer));
for (let round = 0; round < rounds; round++) {
  const word = ROUNDS[round % ROUNDS.length];
  for (const words of memories) {
    for (let index = 0; index < words.length; index++) {
      words[index] = word();
    }
  }
}
console.log('done');
