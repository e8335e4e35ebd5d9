/**
 * What a lighthouse knows of its hosts, in shared memory: vpn address → endpoints and relays, ready encoded.
 *
 * A row has two halves with a writer and a generation each. The primary's half: the host's vpn addresses and the
 * endpoints seen on its own packets. The reported half belongs to whichever worker received the host's last update,
 * under the row's lock, which names its worker so that the primary can break it when that worker died. Readers take no
 * lock: they encode from the row and look again whether a generation moved meanwhile.
 *
 * Endpoints and relays are stored as they stand in a reply (Nebula protocol: NebulaMeta), so an answer copies words
 * instead of encoding. Rows are dense from the first, 256 bytes each, and the usual host touches the first two cache
 * lines; what of a long report does not fit goes to the row's tail, in a region that stays untouched, so without
 * memory, as long as reports are short.
 *
 * Keys and the life of rows are the primary's alone (`src/primary/lighthouseHosts.ts`): it publishes a row's keys after
 * the row, removes them before, and gives a row away again only when no worker can still hold it (`workerTurns.ts`).
 */
import {
  beginDetails,
  finishMessage,
  writeRelaysV1,
  writeRelaysV2,
  writeTargetV1,
  writeTargetV2,
  writeV4Endpoint,
  writeV4Endpoints,
  writeV6Endpoint,
  writeV6Endpoints,
} from '../wire/lighthouseEncoder.ts';
import type { LighthouseMessage } from '../wire/lighthouseMessage.ts';
import { alignToLine, hashOfAddress } from './buckets.ts';
import { LighthouseKeys } from './lighthouseKeys.ts';
import {
  ADDRESS_COUNT_SHIFT,
  GENERATIONS,
  HAS_REPORTED,
  IS_VERSION_2,
  LEARNED_MASK,
  LEARNED_V4,
  LEARNED_V6,
  LEARNED_V6_SHIFT,
  LIGHTHOUSE_ADDRESSES_MAX,
  LighthouseRows,
  LOCK,
  PRIMARY_LENGTHS,
  REPORTED_LENGTHS,
  REPORTED_WORDS_MAX,
  ROW_WORDS,
  SLOT,
  V1_SHIFT,
  V2_SHIFT,
  V6_SHIFT,
  wordsOf,
} from './lighthouseRows.ts';
import { fenceReads } from './loadFence.ts';

/** What `encode` returns when there is no message. */
export const LighthouseRead = {
  /** The row is not (any more) of that host, or the host has no endpoint and never reported. */
  Unknown: -1,
  /** The row kept changing, which only a writer that died in the middle causes; the primary repairs it. */
  Busy: -2,
} as const;

/** Of a row: where the host's packets come from, or what it said about itself. */
export const LighthouseSection = { Learned: 0, Reported: 1 } as const;
export type LighthouseSection = (typeof LighthouseSection)[keyof typeof LighthouseSection];

/** One step of the generation in the high half. */
const PRIMARY_STEP = 0x10000;
const BEING_WRITTEN = 0x10001;
/** A write takes less than a microsecond; who meets one looks again so often before giving up. */
const TRIES_MAX = 1000;

export class LighthouseTable {
  readonly capacity: number;
  readonly #keys: LighthouseKeys;
  readonly #store: LighthouseRows;
  /** The words of `#store`. */
  readonly #rows: Int32Array;
  /** What the next report is encoded into before the row is locked. */
  readonly #draft = new Int32Array(REPORTED_WORDS_MAX);
  readonly #draftBytes = new Uint8Array(this.#draft.buffer);

  static byteLength(capacity: number): number {
    return alignToLine(LighthouseKeys.byteLength(capacity)) + LighthouseRows.byteLength(capacity);
  }

  /** `byteOffset` is a multiple of 64, so that rows and buckets do not straddle cache lines. */
  constructor(buffer: ArrayBufferLike, byteOffset: number, capacity: number) {
    this.capacity = capacity;
    this.#keys = new LighthouseKeys(buffer, byteOffset, capacity);
    this.#store = new LighthouseRows(buffer, byteOffset + alignToLine(LighthouseKeys.byteLength(capacity)), capacity);
    this.#rows = this.#store.words;
  }

  // Any process.

  /** The row of a host by any of its vpn addresses, or -1. Valid until the caller's turn ends. */
  lookup(a0: number, a1: number, a2: number, a3: number): number {
    const keys = this.#keys;
    const hash = hashOfAddress(a0, a1, a2, a3);
    const home = keys.home(hash);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const moves = keys.moves();
      for (let entry = keys.next(hash, home); entry >= 0; entry = keys.next(hash, entry + 1)) {
        const row = keys.row(entry);
        if (this.#store.hasAddress(row, a0, a1, a2, a3)) {
          return row;
        }
      }
      if (!keys.hasMoved(moves)) {
        return -1;
      }
    }
    return -1;
  }

  /**
   * Encodes all that is known of the host with address a0..a3, which `lookup` found in `row`, as a message at `start` of
   * `bytes` (`view` is over the same memory): a reply or a punch notification of this form that names n0..n3. Up to
   * three bytes behind the message are overwritten. Returns its length, or a `LighthouseRead`. Both halves are whole,
   * each as one write left it.
   */
  encode(
    row: number,
    a0: number,
    a1: number,
    a2: number,
    a3: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    type: number,
    version: number,
    n0: number,
    n1: number,
    n2: number,
    n3: number,
  ): number {
    const rows = this.#rows;
    const base = row * ROW_WORDS;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const generations = Atomics.load(rows, base + GENERATIONS);
      if ((generations & BEING_WRITTEN) !== 0) {
        continue;
      }
      const reported = rows[base + REPORTED_LENGTHS];
      const learned = rows[base + PRIMARY_LENGTHS];
      const isKnown = reported !== 0 || (learned & LEARNED_MASK) !== 0;
      const isHost = this.#store.hasAddress(row, a0, a1, a2, a3);
      let at = beginDetails(bytes, start, type);
      if (version === 1) {
        at = writeTargetV1(bytes, at, n3);
      }
      at = this.#store.copyEndpoints(base, row, reported, learned, view, at);
      if (version === 1) {
        at = this.#store.copyRelays(row, reported, 1, view, at);
      } else {
        at = writeTargetV2(bytes, at, n0, n1, n2, n3);
        at = this.#store.copyRelays(row, reported, 2, view, at);
      }
      fenceReads();
      if (Atomics.load(rows, base + GENERATIONS) === generations) {
        return isHost && isKnown ? finishMessage(bytes, start, at) - start : LighthouseRead.Unknown;
      }
    }
    return LighthouseRead.Busy;
  }

  /** The slot of the primary tunnel to the host of a row. */
  slot(row: number): number {
    return this.#rows[row * ROW_WORDS + SLOT];
  }

  /** The version of the host's certificate in that tunnel: the form of messages to it. */
  version(row: number): 1 | 2 {
    return (this.#rows[row * ROW_WORDS + PRIMARY_LENGTHS] & IS_VERSION_2) === 0 ? 1 : 2;
  }

  /**
   * Replaces what a host reported by the lists of `message`. `writer` is the worker's number plus 1. False when another
   * writer holds the row for too long; the host reports again in a few seconds.
   */
  writeReported(row: number, writer: number, message: LighthouseMessage): boolean {
    const draft = this.#draftBytes;
    const v4Bytes = writeV4Endpoints(message, draft, 0);
    const v6Start = wordsOf(v4Bytes) * 4;
    const v6Bytes = writeV6Endpoints(message, draft, v6Start) - v6Start;
    const v1Start = v6Start + wordsOf(v6Bytes) * 4;
    const v1Bytes = message.relayCount === 0 ? 0 : writeRelaysV1(message, draft, v1Start) - v1Start;
    const v2Start = v1Start + wordsOf(v1Bytes) * 4;
    const v2Bytes = message.relayCount === 0 ? 0 : writeRelaysV2(message, draft, v2Start) - v2Start;
    const base = row * ROW_WORDS;
    if (!this.#lock(base, writer)) {
      return false;
    }
    const rows = this.#rows;
    this.#stepReported(base);
    rows[base + REPORTED_LENGTHS] =
      v4Bytes | (v6Bytes << V6_SHIFT) | (v1Bytes << V1_SHIFT) | (v2Bytes << V2_SHIFT) | HAS_REPORTED;
    this.#store.copyDraft(row, this.#draft, v2Start / 4 + wordsOf(v2Bytes));
    this.#stepReported(base);
    Atomics.store(rows, base + LOCK, 0);
    return true;
  }

  // The primary only.

  /** Empties a row for a new host. No key may name the row, no worker hold it. */
  assign(row: number): void {
    const rows = this.#rows;
    const base = row * ROW_WORDS;
    rows[base + LOCK] = 0;
    rows[base + GENERATIONS] = (rows[base + GENERATIONS] + BEING_WRITTEN) & ~BEING_WRITTEN;
    rows[base + REPORTED_LENGTHS] = 0;
    rows[base + PRIMARY_LENGTHS] = 0;
  }

  /**
   * Writes who the host is: its vpn addresses (four words each; the first `LIGHTHOUSE_ADDRESSES_MAX` count), the slot of
   * its primary tunnel and the version of its certificate there.
   */
  identify(row: number, words: Int32Array, slot: number, version: 1 | 2): void {
    const rows = this.#rows;
    const base = row * ROW_WORDS;
    const count = Math.min(words.length / 4, LIGHTHOUSE_ADDRESSES_MAX);
    Atomics.add(rows, base + GENERATIONS, PRIMARY_STEP);
    for (let index = 0; index < count; index++) {
      const target = index < 2 ? rows : this.#store.tails;
      target.set(words.subarray(index * 4, index * 4 + 4), this.#store.addressWord(row, index));
    }
    rows[base + SLOT] = slot;
    rows[base + PRIMARY_LENGTHS] =
      (rows[base + PRIMARY_LENGTHS] & LEARNED_MASK) |
      (count << ADDRESS_COUNT_SHIFT) |
      (version === 2 ? IS_VERSION_2 : 0);
    Atomics.add(rows, base + GENERATIONS, PRIMARY_STEP);
  }

  /** Makes a row findable under one of its addresses; false when the keys are full. */
  addKey(a0: number, a1: number, a2: number, a3: number, row: number): boolean {
    return this.#keys.insert(hashOfAddress(a0, a1, a2, a3), row);
  }

  removeKey(a0: number, a1: number, a2: number, a3: number, row: number): void {
    this.#keys.remove(hashOfAddress(a0, a1, a2, a3), row);
  }

  /** Notes where the host's own packets come from; the other family's endpoint stays. */
  learnV4(row: number, address: number, port: number): void {
    const base = row * ROW_WORDS;
    const at = (base + LEARNED_V4) * 4;
    Atomics.add(this.#rows, base + GENERATIONS, PRIMARY_STEP);
    const length = writeV4Endpoint(this.#store.bytes, at, address, port) - at;
    this.#rows[base + PRIMARY_LENGTHS] = (this.#rows[base + PRIMARY_LENGTHS] & ~0xf) | length;
    Atomics.add(this.#rows, base + GENERATIONS, PRIMARY_STEP);
  }

  learnV6(row: number, a0: number, a1: number, a2: number, a3: number, port: number): void {
    const base = row * ROW_WORDS;
    const at = (base + LEARNED_V6) * 4;
    Atomics.add(this.#rows, base + GENERATIONS, PRIMARY_STEP);
    const length = writeV6Endpoint(this.#store.bytes, at, a0, a1, a2, a3, port) - at;
    const others = this.#rows[base + PRIMARY_LENGTHS] & ~(0x1f << LEARNED_V6_SHIFT);
    this.#rows[base + PRIMARY_LENGTHS] = others | (length << LEARNED_V6_SHIFT);
    Atomics.add(this.#rows, base + GENERATIONS, PRIMARY_STEP);
  }

  /** Frees a row that a dead worker (`writer` is its number plus 1) left locked; its half-written report is dropped. */
  breakLock(row: number, writer: number): boolean {
    const rows = this.#rows;
    const base = row * ROW_WORDS;
    if (Atomics.load(rows, base + LOCK) !== writer) {
      return false;
    }
    if ((Atomics.load(rows, base + GENERATIONS) & 1) === 1) {
      rows[base + REPORTED_LENGTHS] = 0;
      this.#stepReported(base);
    }
    Atomics.store(rows, base + LOCK, 0);
    return true;
  }

  /**
   * Copies the encoded endpoints of one half, and with Reported the relays, as fields of a message's details; returns
   * where they end in `bytes`, or `LighthouseRead.Busy`. For the operator's eyes.
   */
  copySection(row: number, section: LighthouseSection, bytes: Uint8Array, start: number): number {
    const base = row * ROW_WORDS;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const generations = Atomics.load(this.#rows, base + GENERATIONS);
      if ((generations & BEING_WRITTEN) !== 0) {
        continue;
      }
      const reported = section === LighthouseSection.Reported ? this.#rows[base + REPORTED_LENGTHS] : 0;
      const learned = section === LighthouseSection.Learned ? this.#rows[base + PRIMARY_LENGTHS] : 0;
      const at = this.#store.copyEndpoints(base, row, reported, learned, view, start);
      const end = this.#store.copyRelays(row, reported, 2, view, at);
      fenceReads();
      if (Atomics.load(this.#rows, base + GENERATIONS) === generations) {
        return end;
      }
    }
    return LighthouseRead.Busy;
  }

  #lock(base: number, writer: number): boolean {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (Atomics.compareExchange(this.#rows, base + LOCK, 0, writer) === 0) {
        return true;
      }
    }
    return false;
  }

  /** Steps the low half only, whatever the primary does to the high half meanwhile. Only under the lock. */
  #stepReported(base: number): void {
    const low = this.#rows[base + GENERATIONS] & 0xffff;
    Atomics.xor(this.#rows, base + GENERATIONS, low ^ ((low + 1) & 0xffff));
  }
}
