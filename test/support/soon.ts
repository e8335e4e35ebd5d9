/**
 * Waiting in place, without the event loop, for what is nearly always there already: a datagram on the loopback device is
 * delivered by the call that sends it, unless a thread of the kernel has to do that and waits for a processor.
 */

/** Returns when `condition` holds, or when it has taken too long: what the caller expects then tells the rest. */
export function soon(condition: () => boolean): void {
  const endMs = performance.now() + PATIENCE_MS;
  while (!condition() && performance.now() < endMs) {
    Atomics.wait(sleeper, 0, 0, 1);
  }
}

const PATIENCE_MS = 5_000;
const sleeper = new Int32Array(new SharedArrayBuffer(4));
