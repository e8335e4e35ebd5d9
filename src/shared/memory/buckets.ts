/**
 * What the tables of buckets have in common: how many buckets there are, which one an address belongs to, and that
 * none shares a cache line with another.
 */

/** A power of two with four entries for each that is asked for, so that full buckets are rare; 2 at least. */
export function bucketCount(capacity: number, bucketEntries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, (capacity * 4) / bucketEntries)));
}

/** The hash of an address; its low bits choose the bucket. */
export function hashOfAddress(a0: number, a1: number, a2: number, a3: number): number {
  let mixed = Math.imul(a3, 0x9e3779b1) ^ Math.imul(a2, 0x85ebca6b) ^ Math.imul(a1, 0xc2b2ae35) ^ a0;
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x2c1b3c6d);
  return mixed ^ (mixed >>> 13);
}

/** The next offset at which a cache line starts. */
export function alignToLine(byteOffset: number): number {
  return Math.ceil(byteOffset / LINE_BYTES) * LINE_BYTES;
}

const LINE_BYTES = 64;
