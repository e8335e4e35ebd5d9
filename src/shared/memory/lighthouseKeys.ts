/**
 * vpn address → row of the lighthouse table, in shared memory: written by the primary, read for each query.
 *
 * A bucket is 8 entries: one byte of the address's hash each, tested 4 at a time, and a row each in another array. An
 * entry is only a hint: the row has the addresses, and the reader compares them (`lighthouseTable.ts`). So the bytes of
 * 100 000 hosts (512 KiB) stay in a core's cache, and a query for an unknown host touches nothing else.
 *
 * Entries of a full bucket stand in the next ones; a bucket is packed, so its last entry tells whether it is full.
 * Removals move entries; `moves` is odd meanwhile, and a reader that found nothing looks again if it changed.
 */
import { bucketCount } from './buckets.ts';

const BUCKET_ENTRIES = 8;
/** In front of the buckets, on a line of its own: word 0 counts moves, word 1 entries in use. */
const MOVES_WORDS = 16;
const USED = 1;
const ONES = 0x01010101;
const HIGHS = 0x80808080 | 0;

export class LighthouseKeys {
  readonly #moves: Int32Array;
  /** 0 for a free entry, else 1 to 255. */
  readonly #tags: Uint8Array;
  readonly #tagWords: Int32Array;
  readonly #rows: Int32Array;
  /** The primary's: where an entry belongs. */
  readonly #hashes: Int32Array;
  readonly #mask: number;

  static byteLength(capacity: number): number {
    return MOVES_WORDS * 4 + bucketCount(capacity, BUCKET_ENTRIES) * BUCKET_ENTRIES * 9;
  }

  constructor(buffer: ArrayBufferLike, byteOffset: number, capacity: number) {
    const buckets = bucketCount(capacity, BUCKET_ENTRIES);
    const entries = buckets * BUCKET_ENTRIES;
    const tagsOffset = byteOffset + MOVES_WORDS * 4;
    this.#moves = new Int32Array(buffer, byteOffset, MOVES_WORDS);
    this.#tags = new Uint8Array(buffer, tagsOffset, entries);
    this.#tagWords = new Int32Array(buffer, tagsOffset, entries / 4);
    this.#rows = new Int32Array(buffer, tagsOffset + entries, entries);
    this.#hashes = new Int32Array(buffer, tagsOffset + entries * 5, entries);
    this.#mask = buckets - 1;
  }

  /**
   * The position of the next entry at or behind `from` that may be of this hash; -1 when there is none. Start with
   * `home`, go on with the position plus 1. Use the row of the position only after comparing its addresses.
   */
  next(hash: number, from: number): number {
    const tag = tagOf(hash);
    const pattern = Math.imul(tag, ONES);
    // Behind the last entry comes the first.
    let position = from & (this.#mask * BUCKET_ENTRIES + BUCKET_ENTRIES - 1);
    for (let visited = 0; visited <= this.#mask; visited++) {
      const bucket = position >>> 3;
      const low = this.#tagWords[bucket * 2] ^ pattern;
      const high = this.#tagWords[bucket * 2 + 1] ^ pattern;
      // A byte of the difference is zero where the tags are equal (a well-known test for zero bytes in a word).
      if (((((low - ONES) & ~low) | ((high - ONES) & ~high)) & HIGHS) !== 0) {
        for (const end = (bucket + 1) * BUCKET_ENTRIES; position < end; position++) {
          if (this.#tags[position] === tag) {
            return position;
          }
        }
      }
      if (this.#tags[bucket * BUCKET_ENTRIES + BUCKET_ENTRIES - 1] === 0) {
        return -1;
      }
      position = ((bucket + 1) & this.#mask) * BUCKET_ENTRIES;
    }
    return -1;
  }

  /** Where the search for a hash starts. */
  home(hash: number): number {
    return (hash & this.#mask) * BUCKET_ENTRIES;
  }

  /** The row of an entry; stale when the entry has just been removed. */
  row(position: number): number {
    return this.#rows[position];
  }

  /** Take it before a search; a search that found nothing is final when `hasMoved` says no. */
  moves(): number {
    return this.#moves[0];
  }

  hasMoved(moves: number): boolean {
    return (moves & 1) === 1 || Atomics.load(this.#moves, 0) !== moves;
  }

  /** Primary only. False when it is full: one entry stays free, so that every search ends. */
  insert(hash: number, row: number): boolean {
    if (this.#moves[USED] === this.#rows.length - 1) {
      return false;
    }
    this.#moves[USED]++;
    return this.#place(hash, row);
  }

  /** Primary only. Removes the entry of this hash and row, if there is one. */
  remove(hash: number, row: number): void {
    let position = this.next(hash, this.home(hash));
    while (position >= 0 && (this.#rows[position] !== row || this.#hashes[position] !== hash)) {
      position = this.next(hash, position + 1);
    }
    if (position < 0) {
      return;
    }
    const bucket = position >>> 3;
    const last = bucket * BUCKET_ENTRIES + BUCKET_ENTRIES - 1;
    const wasFull = this.#tags[last] !== 0;
    this.#moves[USED]--;
    Atomics.add(this.#moves, 0, 1);
    this.#pack(position, last);
    if (wasFull) {
      this.#settle((bucket + 1) & this.#mask);
    }
    Atomics.add(this.#moves, 0, 1);
  }

  /** Takes the first free entry from home on; false when there is none. */
  #place(hash: number, row: number): boolean {
    const count = this.#rows.length;
    const home = this.home(hash);
    for (let step = 0; step < count; step++) {
      const position = (home + step) & (count - 1);
      if (this.#tags[position] === 0) {
        this.#rows[position] = row;
        this.#hashes[position] = hash;
        Atomics.store(this.#tags, position, tagOf(hash));
        return true;
      }
    }
    return false;
  }

  /** Fills the hole with the last entry of its bucket. */
  #pack(hole: number, end: number): void {
    let last = end;
    while (this.#tags[last] === 0) {
      last--;
    }
    this.#rows[hole] = this.#rows[last];
    this.#hashes[hole] = this.#hashes[last];
    this.#tags[hole] = this.#tags[last];
    this.#tags[last] = 0;
  }

  /** Inserts anew what stands in the buckets from `first` to one that is not full: some may now be nearer to home. */
  #settle(first: number): void {
    const entries: { readonly hash: number; readonly row: number }[] = [];
    let bucket = first;
    for (let visited = 0; visited < this.#mask; visited++) {
      const start = bucket * BUCKET_ENTRIES;
      const wasFull = this.#tags[start + BUCKET_ENTRIES - 1] !== 0;
      for (let position = start; position < start + BUCKET_ENTRIES && this.#tags[position] !== 0; position++) {
        entries.push({ hash: this.#hashes[position], row: this.#rows[position] });
        this.#tags[position] = 0;
      }
      if (!wasFull) {
        break;
      }
      bucket = (bucket + 1) & this.#mask;
    }
    for (const entry of entries) {
      this.#place(entry.hash, entry.row);
    }
  }
}

/** Bits that the bucket does not depend on, in tables of up to a million entries. */
function tagOf(hash: number): number {
  return hash >>> 24 || 1;
}
