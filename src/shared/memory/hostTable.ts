/**
 * vpn address → slot of the peer's primary tunnel, in shared memory: written by the primary, read for each packet.
 *
 * Set-associative with 8 entries a bucket, a quarter full at capacity. An entry that finds its bucket full goes to the
 * next ones; `overflow` of its home bucket counts such entries, so a lookup goes on only where it must, and a removal
 * leaves no tombstone. Another slot for a known address, and a removal, are one store. An entry that is written for a
 * new address has an odd generation meanwhile, and a reader that saw the generation change has not found its address.
 */
import { bucketCount, hashOfAddress } from './buckets.ts';

const BUCKET_ENTRIES = 8;
const ENTRY_WORDS = 8;
const BUCKET_WORDS = BUCKET_ENTRIES * ENTRY_WORDS;

/** Entry words. */
const GENERATION = 0;
const SLOT = 1;
const KEY = 2;
const HOME = 6;

export class HostTable {
  readonly #entries: Int32Array;
  readonly #overflow: Int32Array;
  readonly #mask: number;

  static byteLength(capacity: number): number {
    return bucketCount(capacity, BUCKET_ENTRIES) * (BUCKET_WORDS + 1) * 4;
  }

  constructor(buffer: ArrayBufferLike, byteOffset: number, capacity: number) {
    const buckets = bucketCount(capacity, BUCKET_ENTRIES);
    this.#entries = new Int32Array(buffer, byteOffset, buckets * BUCKET_WORDS);
    this.#overflow = new Int32Array(buffer, byteOffset + buckets * BUCKET_WORDS * 4, buckets);
    this.#mask = buckets - 1;
  }

  /** The slot of the primary tunnel to an address given as four words (IPv4 as ::ffff:a.b.c.d), or -1. */
  lookup(a0: number, a1: number, a2: number, a3: number): number {
    const home = this.#home(a0, a1, a2, a3);
    let remaining = Atomics.load(this.#overflow, home);
    let bucket = home;
    for (;;) {
      const slot = this.#lookupIn(bucket, a0 | 0, a1 | 0, a2 | 0, a3 | 0);
      if (slot >= 0) {
        return slot;
      }
      if (remaining <= 0) {
        return -1;
      }
      bucket = (bucket + 1) & this.#mask;
      if (bucket === home) {
        return -1;
      }
      remaining -= this.#guestsOf(home, bucket);
    }
  }

  /** Names the primary tunnel of an address; false when the table is full. Primary only. */
  set(a0: number, a1: number, a2: number, a3: number, slot: number): boolean {
    const words = this.#entries;
    const home = this.#home(a0, a1, a2, a3);
    const known = this.#find(home, a0 | 0, a1 | 0, a2 | 0, a3 | 0);
    if (known >= 0) {
      Atomics.store(words, known + SLOT, slot + 1);
      return true;
    }
    const entry = this.#freeEntry(home);
    if (entry < 0) {
      return false;
    }
    Atomics.add(words, entry + GENERATION, 1);
    words[entry + KEY] = a0;
    words[entry + KEY + 1] = a1;
    words[entry + KEY + 2] = a2;
    words[entry + KEY + 3] = a3;
    words[entry + HOME] = home;
    words[entry + SLOT] = slot + 1;
    Atomics.add(words, entry + GENERATION, 1);
    if (Math.floor(entry / BUCKET_WORDS) !== home) {
      Atomics.add(this.#overflow, home, 1);
    }
    return true;
  }

  /** Forgets an address; harmless when it is not there. Primary only. */
  remove(a0: number, a1: number, a2: number, a3: number): void {
    const home = this.#home(a0, a1, a2, a3);
    const entry = this.#find(home, a0 | 0, a1 | 0, a2 | 0, a3 | 0);
    if (entry < 0) {
      return;
    }
    Atomics.store(this.#entries, entry + SLOT, 0);
    if (Math.floor(entry / BUCKET_WORDS) !== home) {
      Atomics.sub(this.#overflow, home, 1);
    }
  }

  #lookupIn(bucket: number, a0: number, a1: number, a2: number, a3: number): number {
    const words = this.#entries;
    const start = bucket * BUCKET_WORDS;
    for (let entry = start; entry < start + BUCKET_WORDS; entry += ENTRY_WORDS) {
      // The last word differs most often between two hosts, so it is compared first.
      if (words[entry + KEY + 3] !== a3 || words[entry + KEY + 2] !== a2) {
        continue;
      }
      const before = Atomics.load(words, entry + GENERATION);
      const isSame =
        words[entry + KEY] === a0 &&
        words[entry + KEY + 1] === a1 &&
        words[entry + KEY + 2] === a2 &&
        words[entry + KEY + 3] === a3;
      const slot = words[entry + SLOT] - 1;
      if (isSame && slot >= 0 && (before & 1) === 0 && Atomics.load(words, entry + GENERATION) === before) {
        return slot;
      }
    }
    return -1;
  }

  /** How many entries of `bucket` belong to another bucket, `home`. */
  #guestsOf(home: number, bucket: number): number {
    let count = 0;
    const start = bucket * BUCKET_WORDS;
    for (let entry = start; entry < start + BUCKET_WORDS; entry += ENTRY_WORDS) {
      if (this.#entries[entry + SLOT] !== 0 && this.#entries[entry + HOME] === home) {
        count++;
      }
    }
    return count;
  }

  #find(home: number, a0: number, a1: number, a2: number, a3: number): number {
    const words = this.#entries;
    const buckets = this.#overflow[home] === 0 ? 1 : this.#mask + 1;
    for (let step = 0; step < buckets; step++) {
      const start = ((home + step) & this.#mask) * BUCKET_WORDS;
      for (let entry = start; entry < start + BUCKET_WORDS; entry += ENTRY_WORDS) {
        if (
          words[entry + SLOT] !== 0 &&
          words[entry + KEY] === a0 &&
          words[entry + KEY + 1] === a1 &&
          words[entry + KEY + 2] === a2 &&
          words[entry + KEY + 3] === a3
        ) {
          return entry;
        }
      }
    }
    return -1;
  }

  #freeEntry(home: number): number {
    for (let step = 0; step <= this.#mask; step++) {
      const start = ((home + step) & this.#mask) * BUCKET_WORDS;
      for (let entry = start; entry < start + BUCKET_WORDS; entry += ENTRY_WORDS) {
        if (this.#entries[entry + SLOT] === 0) {
          return entry;
        }
      }
    }
    return -1;
  }

  #home(a0: number, a1: number, a2: number, a3: number): number {
    return hashOfAddress(a0, a1, a2, a3) & this.#mask;
  }
}
