/**
 * The clock that all processes of a node share: CLOCK_MONOTONIC.
 *
 * `performance.now()` counts from each process's own start; expiries in shared memory must mean the same everywhere and
 * must not move when the wall clock is set.
 */

const OFFSET_SECONDS: number = Number(process.hrtime.bigint()) / 1e9 - performance.now() / 1000;

/** What to add to a `performance.now()` of this process for CLOCK_MONOTONIC in milliseconds. */
export const MONOTONIC_OFFSET_MS: number = OFFSET_SECONDS * 1000;

/** CLOCK_MONOTONIC in whole seconds at a `performance.now()` of this process. */
export function monotonicSeconds(performanceMs: number): number {
  return Math.floor(performanceMs / 1000 + OFFSET_SECONDS);
}
