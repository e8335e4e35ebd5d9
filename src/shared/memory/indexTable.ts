/**
 * Local index → tunnel slot, in shared memory: written by the primary, read by every process for each packet.
 *
 * Set-associative: an index lives in one bucket of 16 entries, so a lookup reads at most two cache lines and a removal
 * leaves no tombstone. We choose our own indexes, so an index whose bucket is full is simply not chosen (`announce`).
 * An index is announced while its handshake waits for the answer: the peer may send under it before the tunnel is here.
 * An entry is a hint: the reader checks that the row it names carries the same local index (`tunnelTable.ts`).
 */
import { bucketCount } from './buckets.ts';

const BUCKET_ENTRIES = 16;
const ENTRY_WORDS = 2;
const BUCKET_WORDS = BUCKET_ENTRIES * ENTRY_WORDS;

/** Values of an entry; others are a slot plus 1. */
const FREE = 0;
const ANNOUNCED = -1;

export class IndexTable {
  readonly #words: Int32Array;
  readonly #shift: number;

  static byteLength(capacity: number): number {
    return bucketCount(capacity, BUCKET_ENTRIES) * BUCKET_WORDS * 4;
  }

  constructor(buffer: ArrayBufferLike, byteOffset: number, capacity: number) {
    const buckets = bucketCount(capacity, BUCKET_ENTRIES);
    this.#words = new Int32Array(buffer, byteOffset, buckets * BUCKET_WORDS);
    // Below 32, as there are 2 buckets at least.
    this.#shift = 32 - Math.log2(buckets);
  }

  /** The slot registered for `index`, or -1. */
  lookup(index: number): number {
    const words = this.#words;
    const key = index | 0;
    const start = this.#bucket(key);
    for (let entry = start; entry < start + BUCKET_WORDS; entry += ENTRY_WORDS) {
      if (words[entry] === key) {
        const slot = Atomics.load(words, entry + 1) - 1;
        if (slot >= 0) {
          return slot;
        }
      }
    }
    return -1;
  }

  /** Whether `index` is announced: a tunnel may come under it soon. */
  isAnnounced(index: number): boolean {
    const entry = this.#entryOf(index | 0);
    return entry >= 0 && Atomics.load(this.#words, entry + 1) === ANNOUNCED;
  }

  /** Names an index before its tunnel is there. False: 0, in use, or without a free entry in its bucket. Primary only. */
  announce(index: number): boolean {
    return index !== 0 && this.#entryOf(index | 0) < 0 && this.#write(index, ANNOUNCED);
  }

  /** Registers an announced or new index; false when it is in use or its bucket is full. Primary only. */
  insert(index: number, slot: number): boolean {
    const entry = this.#entryOf(index | 0);
    if (entry < 0) {
      return index !== 0 && this.#write(index, slot + 1);
    }
    return Atomics.compareExchange(this.#words, entry + 1, ANNOUNCED, slot + 1) === ANNOUNCED;
  }

  /** Takes back an announcement; an index with a tunnel stays. Primary only. */
  withdraw(index: number): void {
    if (this.isAnnounced(index)) {
      this.remove(index);
    }
  }

  /** Forgets an index; harmless when it is not there. Primary only. */
  remove(index: number): void {
    const entry = this.#entryOf(index | 0);
    if (entry >= 0) {
      Atomics.store(this.#words, entry + 1, FREE);
      Atomics.store(this.#words, entry, 0);
    }
  }

  #write(index: number, value: number): boolean {
    const entry = this.#freeEntry(this.#bucket(index | 0));
    if (entry < 0) {
      return false;
    }
    Atomics.store(this.#words, entry, index | 0);
    Atomics.store(this.#words, entry + 1, value);
    return true;
  }

  /** Where an index stands, with or without a tunnel, or -1. */
  #entryOf(key: number): number {
    const start = this.#bucket(key);
    for (let entry = start; entry < start + BUCKET_WORDS; entry += ENTRY_WORDS) {
      if (this.#words[entry] === key && this.#words[entry + 1] !== FREE) {
        return entry;
      }
    }
    return -1;
  }

  #bucket(key: number): number {
    return (Math.imul(key, 0x9e3779b1) >>> this.#shift) * BUCKET_WORDS;
  }

  #freeEntry(start: number): number {
    for (let entry = start; entry < start + BUCKET_WORDS; entry += ENTRY_WORDS) {
      if (this.#words[entry + 1] === FREE) {
        return entry;
      }
    }
    return -1;
  }
}
