/**
 * A worker's own cache of flows, in front of the shared conntrack table.
 *
 * A flow enters after its first hit in the shared table. From then on its packets pass without touching shared memory,
 * without a refresh and without the clock, until the primary's next tick empties the cache and forces one look at the
 * table. The firewall checks both addresses before it asks here, so the flow alone is key enough.
 *
 * Emptying is one increment: an entry counts only while its stamp is the current one. The entries are a fixed array of
 * pairs, so a port scan cannot make it grow. When ticks stop coming the cache turns itself off
 * (`beginBatch`), because nothing would end its entries. Touches no clock: the loop passes the time once per batch.
 */
import type { PacketTuple } from '../../shared/ip/packetTuple.ts';
import { holdsFlow, writeFlow } from '../../shared/memory/flowKey.ts';

/** Tick periods without a tick after which the cache is off. */
const MISSED_TICKS_MAX = 3;

/** 8192 entries of 64 bytes: half a megabyte, which second-level processor caches hold. */
export const ROUTINE_CACHE_ENTRIES = 8192;

export class RoutineCache {
  /** Entries since the last emptying. */
  entryCount: number = 0;
  /** Ticks that found entries to empty. */
  emptyingCount: number = 0;
  /** Whether it answers at all now. Kept by `tick` and `beginBatch`. */
  isOn: boolean = false;
  readonly periodMs: number;
  readonly #words: Int32Array;
  readonly #mask: number;
  #stamp = 1;
  #version = -1;
  #lastTickMs = 0;

  /** `periodMs` 0 makes a cache that never answers; `entries` is a power of two. */
  constructor(periodMs: number, entries: number = ROUTINE_CACHE_ENTRIES) {
    if (entries < 2 || (entries & (entries - 1)) !== 0) {
      throw new RangeError(`a routine cache has a power of two of entries, not ${entries}`);
    }
    this.periodMs = periodMs;
    this.#words = new Int32Array(periodMs > 0 ? entries * ENTRY_WORDS : 0);
    this.#mask = entries - 1;
  }

  /**
   * The primary's tick arrived. A version other than the last one empties the cache. Returns the number of entries that
   * went, which the caller logs (at debug level) when it is not 0.
   */
  tick(version: number, nowMs: number): number {
    if (this.periodMs <= 0) {
      return 0;
    }
    this.#lastTickMs = nowMs;
    this.isOn = true;
    if (version === this.#version) {
      return 0;
    }
    this.#version = version;
    const count = this.empty();
    this.emptyingCount += count > 0 ? 1 : 0;
    return count;
  }

  /** Called once per batch: without ticks for three periods the cache turns off until the next one. */
  beginBatch(nowMs: number): void {
    if (this.isOn && nowMs - this.#lastTickMs > MISSED_TICKS_MAX * this.periodMs) {
      this.isOn = false;
      this.empty();
    }
  }

  /** Forgets every flow; returns how many there were. */
  empty(): number {
    const count = this.entryCount;
    this.entryCount = 0;
    if (this.#stamp === STAMP_MAX) {
      this.#words.fill(0);
      this.#stamp = 0;
    }
    this.#stamp++;
    return count;
  }

  /** Whether the flow was seen in the shared table since the last tick. Only while `isOn`. */
  has(tuple: PacketTuple, hash: number): boolean {
    const words = this.#words;
    const first = (hash & this.#mask) * ENTRY_WORDS;
    return (
      (words[first + HASH] === hash && words[first] === this.#stamp && holdsFlow(words, first + KEY, tuple)) ||
      this.#isInSecond(first ^ ENTRY_WORDS, tuple, hash)
    );
  }

  /**
   * After a hit in the shared table, never after a rule. Only while `isOn`. Where both places are taken the flow stays
   * out until the next tick: with more flows than entries, replacing would cost every packet and gain none.
   */
  add(tuple: PacketTuple, hash: number): void {
    const words = this.#words;
    const first = (hash & this.#mask) * ENTRY_WORDS;
    const second = first ^ ENTRY_WORDS;
    const entry = words[first] !== this.#stamp ? first : second;
    if (words[entry] === this.#stamp) {
      return;
    }
    this.entryCount++;
    words[entry] = this.#stamp;
    words[entry + HASH] = hash;
    writeFlow(words, entry + KEY, tuple);
  }

  #isInSecond(entry: number, tuple: PacketTuple, hash: number): boolean {
    const words = this.#words;
    return words[entry + HASH] === hash && words[entry] === this.#stamp && holdsFlow(words, entry + KEY, tuple);
  }
}

/** Words of an entry behind its stamp (word 0); one cache line. */
const HASH = 1;
const KEY = 2;
const ENTRY_WORDS = 16;

const STAMP_MAX = 0x7fff_ffff;
