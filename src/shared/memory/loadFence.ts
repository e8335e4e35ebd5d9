/** For readers without a lock, who check a generation before and after they read what it vouches for. */

/** x86-64 never lets a read happen after a later one; elsewhere an atomic read orders only what follows it. */
const REORDERS_READS = process.arch !== 'x64';

/** Of this process alone, so nobody waits for it. */
const ownWord = new Int32Array(1);

/**
 * Keeps the plain reads before it from happening after the atomic read behind it: what was read could else be newer than
 * the generation that vouches for it. Free on x86-64.
 */
export function fenceReads(): void {
  if (REORDERS_READS) {
    Atomics.add(ownWord, 0, 1);
  }
}
