/**
 * What `measure` gives, or the least of three tries when that is not below `limit`: what the machine finishes late (a
 * compilation in the background, for want of a processor) falls into some of them, what the code does falls into all.
 */
export function least(limit: number, measure: () => number): number {
  let value = measure();
  for (let attempt = 1; attempt < ATTEMPTS && value >= limit; attempt++) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    value = Math.min(value, measure());
  }
  return value;
}

const ATTEMPTS = 3;
/** For the compiler's threads. */
const PAUSE_MS = 200;
