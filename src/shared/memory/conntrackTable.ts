/**
 * The connection table that all workers share: flow → expiry, direction, rules version.
 *
 * Any worker inserts, finds, refreshes and deletes; the primary sweeps. Lookups take no lock. Changes take the lock of
 * one bucket, for a few hundred nanoseconds. A process may die at any instruction: a lock names its owner, so the
 * primary can break it (`lockAudit.ts`) and a worker started with the same owner number takes it over; a row whose
 * writing was cut short has an odd generation and no tag, so it counts as empty.
 *
 *     header   64 bytes: seed, evictions, lock time-outs
 *     bucket   64 bytes: lock, 8 tags (a flow's hash, 0 = empty)      } repeated
 *              8 rows of 64 bytes: generation, key, value             }
 *
 * A reader finds the tag, then reads generation, key, value and generation again: an odd or a changed generation means
 * that the row was being written. A row carries its flow's hash too.
 *
 * Which flow gives way in a full bucket is `conntrackShares.ts`.
 *
 * Times are whole seconds of a clock that all processes share (CLOCK_MONOTONIC) and come in as arguments. A flow
 * matches while `nowSeconds <= expiry`, so it lives for its timeout and at most a second more.
 * Nothing here allocates except `flows`.
 */
import type { PacketTuple } from '../ip/packetTuple.ts';
import { BucketLocks } from './bucketLocks.ts';
import {
  EXPIRY,
  FlowRecord,
  hasHash,
  holdsKey,
  MARK,
  ORIGIN,
  originOf,
  ownerInOrigin,
  ROW_WORDS,
  RULE,
  readRow,
  writeKey,
} from './conntrackRow.ts';
import { rowToGive } from './conntrackShares.ts';
import { fenceReads } from './loadFence.ts';

/** What `insert` did. */
export const ConntrackInsert = {
  /** The bucket's lock was not to be had; nothing was written. */
  Busy: -1,
  Added: 0,
  /** Another process had added the flow meanwhile: its expiry was raised. */
  Exists: 1,
  /** Added in place of a live flow of the peer with the most rows in the bucket. */
  Evicted: 2,
} as const;

export class ConntrackTable {
  readonly bucketCount: number;
  /** Filled by `find` when it returns true. */
  foundIncoming: boolean = false;
  foundVersion: number = 0;
  foundExpiry: number = 0;
  foundRule: number = 0;
  readonly #words: Int32Array;
  readonly #mask: number;
  readonly #owner: number;
  readonly #locks: BucketLocks;
  #foundRow: number = 0;
  #foundGeneration: number = 0;
  #foundMark: number = 0;
  #foundOrigin: number = 0;

  /** Bytes for a table that holds `capacity` flows without more than an occasional eviction. */
  static byteLength(capacity: number): number {
    return (HEADER_WORDS + bucketsFor(capacity) * BUCKET_WORDS) * 4;
  }

  /** `byteOffset` is a multiple of 64; `owner` is a positive number that no other live process uses (worker + 1). */
  constructor(buffer: ArrayBufferLike, byteOffset: number, capacity: number, owner: number) {
    if (owner <= 0) {
      throw new RangeError(`a conntrack owner is a positive number, not ${owner}`);
    }
    this.bucketCount = bucketsFor(capacity);
    this.#mask = this.bucketCount - 1;
    this.#words = new Int32Array(buffer, byteOffset, ConntrackTable.byteLength(capacity) / 4);
    this.#owner = owner;
    this.#locks = new BucketLocks(this.#words, owner, BUSY);
  }

  /** The primary's first act on fresh (zeroed) memory: a random seed, so peers cannot aim at a bucket. */
  initialize(seed: number): void {
    Atomics.store(this.#words, SEED, seed | 0);
  }

  /** For `hashTuple`. */
  get seed(): number {
    return Atomics.load(this.#words, SEED);
  }

  /** The process that added the found flow. */
  get foundOwner(): number {
    return ownerInOrigin(this.#foundOrigin);
  }

  /** Live flows that had to give way since the start. */
  get evictionCount(): number {
    return Atomics.load(this.#words, EVICTIONS) >>> 0;
  }

  /** Changes that were given up because a bucket stayed locked. */
  get busyCount(): number {
    return Atomics.load(this.#words, BUSY) >>> 0;
  }

  /** Looks a flow up without a lock; true fills the `found…` fields, which the `…Found` methods then act on. */
  find(tuple: PacketTuple, hash: number, nowSeconds: number): boolean {
    const words = this.#words;
    const bucket = this.#bucketOf(hash);
    for (let way = 0; way < WAYS; way++) {
      if (words[bucket + TAGS + way] !== hash) {
        continue;
      }
      const row = bucket + BUCKET_HEADER_WORDS + way * ROW_WORDS;
      const generation = Atomics.load(words, row);
      if ((generation & 1) !== 0 || !holdsKey(words, row, tuple, hash)) {
        continue;
      }
      const expiry = words[row + EXPIRY];
      const mark = words[row + MARK];
      this.foundRule = words[row + RULE];
      this.#foundOrigin = words[row + ORIGIN];
      fenceReads();
      if (Atomics.load(words, row) !== generation || expiry < nowSeconds) {
        continue;
      }
      this.foundExpiry = expiry;
      this.foundVersion = mark >> 1;
      this.foundIncoming = (mark & 1) !== 0;
      this.#foundRow = row;
      this.#foundGeneration = generation;
      this.#foundMark = mark;
      return true;
    }
    return false;
  }

  /** Moves the found flow's expiry. Costs nothing when it is already that: a flow is written once a second at most. */
  refreshFound(expirySeconds: number): void {
    if (expirySeconds === this.foundExpiry) {
      return;
    }
    // One attempt: if the lock is taken, the next packet of the flow refreshes it.
    const bucket = bucketOfRow(this.#foundRow);
    if (this.#locks.tryTake(bucket + LOCK)) {
      if (this.#words[this.#foundRow] === this.#foundGeneration) {
        Atomics.store(this.#words, this.#foundRow + EXPIRY, expirySeconds);
      }
      this.#locks.release(bucket + LOCK);
    }
  }

  /** After a re-check that passed: the found flow now belongs to these rules. */
  confirmFound(rulesVersion: number, rule: number): void {
    const bucket = bucketOfRow(this.#foundRow);
    if (this.#locks.take(bucket + LOCK)) {
      if (this.#isStillFound()) {
        this.#words[this.#foundRow + RULE] = rule;
        Atomics.store(this.#words, this.#foundRow + MARK, (rulesVersion << 1) | (this.#foundMark & 1));
      }
      this.#locks.release(bucket + LOCK);
    }
  }

  /** After a re-check that failed: deletes the found flow, unless another process has replaced or confirmed it. */
  removeFound(): void {
    const bucket = bucketOfRow(this.#foundRow);
    if (this.#locks.take(bucket + LOCK)) {
      if (this.#isStillFound()) {
        this.#clearRow(bucket, this.#foundRow);
      }
      this.#locks.release(bucket + LOCK);
    }
  }

  /** Adds a flow of the peer with the tag `peer` (`PeerIdentity.tag`); the result is a `ConntrackInsert`. */
  insert(
    tuple: PacketTuple,
    hash: number,
    incoming: boolean,
    rulesVersion: number,
    rule: number,
    nowSeconds: number,
    expirySeconds: number,
    peer: number,
  ): number {
    const bucket = this.#bucketOf(hash);
    if (!this.#locks.take(bucket + LOCK)) {
      return ConntrackInsert.Busy;
    }
    const words = this.#words;
    const row = this.#chooseRow(bucket, tuple, hash, nowSeconds, peer);
    const isTagged = words[tagOfRow(bucket, row)] !== 0;
    const isLive = isTagged && words[row + EXPIRY] >= nowSeconds;
    let result: number = ConntrackInsert.Added;
    if (isLive && holdsKey(words, row, tuple, hash)) {
      Atomics.store(words, row + EXPIRY, expirySeconds);
      result = ConntrackInsert.Exists;
    } else {
      if (isLive) {
        Atomics.add(words, EVICTIONS, 1);
        result = ConntrackInsert.Evicted;
      }
      const generation = this.#openRow(bucket, row);
      writeKey(words, row, tuple, hash);
      words[row + EXPIRY] = expirySeconds;
      words[row + MARK] = (rulesVersion << 1) | (incoming ? 1 : 0);
      words[row + RULE] = rule;
      words[row + ORIGIN] = originOf(peer, this.#owner);
      Atomics.store(words, row, (generation + 1) | 0);
      Atomics.store(words, tagOfRow(bucket, row), hash);
    }
    this.#locks.release(bucket + LOCK);
    return result;
  }

  /** Deletes a flow; false when it was not there (or its bucket stayed locked). */
  remove(tuple: PacketTuple, hash: number): boolean {
    const bucket = this.#bucketOf(hash);
    if (!this.#locks.take(bucket + LOCK)) {
      return false;
    }
    let isRemoved = false;
    for (let way = 0; way < WAYS; way++) {
      const row = rowOf(bucket, way);
      if (this.#words[bucket + TAGS + way] === hash && holdsKey(this.#words, row, tuple, hash)) {
        this.#clearRow(bucket, row);
        isRemoved = true;
      }
    }
    this.#locks.release(bucket + LOCK);
    return isRemoved;
  }

  /**
   * Deletes the expired flows of `bucketLimit` buckets from `fromBucket` on, and rows that no honest worker leaves: those
   * that would outlive `latestSeconds`, and those that no lookup finds. Returns the bucket to go on with (0 after the
   * last). The primary's, in steps: the lookups do not depend on it, it only gives room back. It waits for no lock.
   */
  sweep(nowSeconds: number, latestSeconds: number, fromBucket: number, bucketLimit: number): number {
    const end = Math.min(fromBucket + bucketLimit, this.bucketCount);
    for (let index = fromBucket; index < end; index++) {
      const bucket = bucketAt(index);
      for (let way = 0; way < WAYS; way++) {
        if (!this.#isOver(bucket, way, nowSeconds, latestSeconds) || !this.#locks.tryTake(bucket + LOCK)) {
          continue;
        }
        if (this.#isOver(bucket, way, nowSeconds, latestSeconds)) {
          this.#clearRow(bucket, rowOf(bucket, way));
        }
        this.#locks.release(bucket + LOCK);
      }
    }
    return end === this.bucketCount ? 0 : end;
  }

  /** One per bucket. */
  get lockCount(): number {
    return this.bucketCount;
  }

  /** Who holds a bucket's lock: an owner number, 0 for nobody, anything else for nobody that there is. */
  lockHolder(bucket: number): number {
    return this.#locks.holder(bucketAt(bucket) + LOCK);
  }

  /** Frees a bucket that `holder` left locked, for certain or as good as; false when it does not hold it. */
  breakLock(bucket: number, holder: number): boolean {
    return this.#locks.breakOf(holder, bucketAt(bucket) + LOCK);
  }

  /** Rows in use, expired ones not yet swept included. Walks the tags: for metrics, not for the packet path. */
  size(): number {
    let count = 0;
    for (let index = 0; index < this.bucketCount; index++) {
      const tags = bucketAt(index) + TAGS;
      for (let way = 0; way < WAYS; way++) {
        count += this.#words[tags + way] === 0 ? 0 : 1;
      }
    }
    return count;
  }

  /** Every live flow. The record is one object, overwritten at the next step: copy what must stay. */
  *flows(nowSeconds: number): Generator<FlowRecord, void, undefined> {
    const record = new FlowRecord();
    for (let index = 0; index < this.bucketCount; index++) {
      const bucket = bucketAt(index);
      for (let way = 0; way < WAYS; way++) {
        if (
          readRow(this.#words, rowOf(bucket, way), bucket + TAGS + way, record) &&
          record.expirySeconds >= nowSeconds
        ) {
          yield record;
        }
      }
    }
  }

  /** With the bucket locked: the flow's own row, else an empty or expired one, else the one that must give way. */
  #chooseRow(bucket: number, tuple: PacketTuple, hash: number, nowSeconds: number, peer: number): number {
    const words = this.#words;
    let free = -1;
    // From behind, so that the first empty row is taken: lookups go from the front.
    for (let way = WAYS - 1; way >= 0; way--) {
      const row = rowOf(bucket, way);
      const tag = words[bucket + TAGS + way];
      if (tag === hash && holdsKey(words, row, tuple, hash)) {
        return row;
      }
      if (tag === 0 || words[row + EXPIRY] < nowSeconds) {
        free = row;
      }
    }
    return free < 0 ? rowToGive(words, rowOf(bucket, 0), WAYS, peer) : free;
  }

  #isOver(bucket: number, way: number, nowSeconds: number, latestSeconds: number): boolean {
    const words = this.#words;
    const row = rowOf(bucket, way);
    const tag = words[bucket + TAGS + way];
    if (tag === 0) {
      return false;
    }
    const expiry = words[row + EXPIRY];
    return expiry < nowSeconds || expiry > latestSeconds || !hasHash(words, row, tag);
  }

  /** Hides a row from new readers and makes its generation odd; returns that. A death in between leaves it empty. */
  #openRow(bucket: number, row: number): number {
    const generation = (this.#words[row] + 1) | 1;
    Atomics.store(this.#words, tagOfRow(bucket, row), 0);
    // An exchange, because what is written next may not be seen before it, and a store would not say so everywhere.
    Atomics.exchange(this.#words, row, generation);
    return generation;
  }

  #clearRow(bucket: number, row: number): void {
    const generation = this.#openRow(bucket, row);
    Atomics.store(this.#words, row, (generation + 1) | 0);
  }

  #isStillFound(): boolean {
    const row = this.#foundRow;
    return this.#words[row] === this.#foundGeneration && this.#words[row + MARK] === this.#foundMark;
  }

  #bucketOf(hash: number): number {
    return HEADER_WORDS + ((hash >>> 7) & this.#mask) * BUCKET_WORDS;
  }
}

/** Twice the rows that are asked for: at full load a bucket then averages four of its eight. */
function bucketsFor(capacity: number): number {
  let buckets = 1;
  while (buckets * WAYS < capacity * 2) {
    buckets *= 2;
  }
  return buckets;
}

function bucketAt(index: number): number {
  return HEADER_WORDS + index * BUCKET_WORDS;
}

function rowOf(bucket: number, way: number): number {
  return bucket + BUCKET_HEADER_WORDS + way * ROW_WORDS;
}

function tagOfRow(bucket: number, row: number): number {
  return bucket + TAGS + ((row - bucket - BUCKET_HEADER_WORDS) >> 4);
}

function bucketOfRow(row: number): number {
  return row - ((row - HEADER_WORDS) % BUCKET_WORDS);
}

/** Words of the table's header. */
const SEED = 0;
const EVICTIONS = 1;
const BUSY = 2;
const HEADER_WORDS = 16;

/** Words of a bucket: its header, then its rows. */
const LOCK = 0;
const TAGS = 8;
const WAYS = 8;
const BUCKET_HEADER_WORDS = 16;
const BUCKET_WORDS = BUCKET_HEADER_WORDS + WAYS * ROW_WORDS;
