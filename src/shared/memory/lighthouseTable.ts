/**
 * What a lighthouse knows of its hosts, in shared memory: vpn address → endpoints and relays, ready encoded.
 *
 * A row has two halves with a writer and a generation each. The fact is the primary's, in memory that workers can only
 * read: the host's vpn addresses and the endpoints seen on its own packets. The report belongs to whichever worker
 * received the host's last update, under the row's lock, which names its worker so that the primary can break it when
 * that worker died. Readers take no lock: they encode from the row and look again whether a generation moved meanwhile.
 * A report is only believed as far as it fits (`reportedLengths`): any worker can write anything there.
 *
 * Endpoints and relays are stored as they stand in a reply (Nebula protocol: NebulaMeta), so an answer copies words
 * instead of encoding. Rows are dense from the first, 128 bytes of facts and 192 of report, and the usual host touches
 * one cache line of each; what of a long report does not fit goes to the row's tail, in a region that stays untouched,
 * so without memory, as long as reports are short.
 *
 * Keys and the life of rows are the primary's alone (`src/primary/lighthouse/hosts.ts`): it publishes a row's keys after
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
  FACT_WORDS,
  GENERATION,
  HAS_REPORTED,
  IS_VERSION_2,
  LEARNED_MASK,
  LEARNED_V4,
  LEARNED_V6,
  LEARNED_V6_SHIFT,
  LENGTHS,
  LIGHTHOUSE_ADDRESSES_MAX,
  LighthouseRows,
  LOCK,
  REPORT_WORDS,
  REPORTED_LENGTHS,
  REPORTED_WORDS_MAX,
  SLOT,
  V1_SHIFT,
  V2_SHIFT,
  V6_SHIFT,
  wordsOf,
} from './lighthouseRows.ts';
import { fenceReads } from './loadFence.ts';
import type { Region } from './region.ts';

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

/** A write takes less than a microsecond; who meets one looks again so often before giving up. */
const TRIES_MAX = 1000;

export class LighthouseTable {
  readonly capacity: number;
  readonly #keys: LighthouseKeys;
  readonly #store: LighthouseRows;
  /** The words of `#store`. */
  readonly #facts: Int32Array;
  readonly #reports: Int32Array;
  /** What the next report is encoded into before the row is locked. */
  readonly #draft = new Int32Array(REPORTED_WORDS_MAX);
  readonly #draftBytes = new Uint8Array(this.#draft.buffer);

  /** Of keys and facts. */
  static factsByteLength(capacity: number): number {
    return alignToLine(LighthouseKeys.byteLength(capacity)) + LighthouseRows.factsByteLength(capacity);
  }

  static reportsByteLength(capacity: number): number {
    return LighthouseRows.reportsByteLength(capacity);
  }

  constructor(facts: Region, reports: Region, capacity: number) {
    const { buffer, byteOffset } = facts;
    const behindKeys = byteOffset + alignToLine(LighthouseKeys.byteLength(capacity));
    this.capacity = capacity;
    this.#keys = new LighthouseKeys(buffer, byteOffset, capacity);
    this.#store = new LighthouseRows({ buffer, byteOffset: behindKeys }, reports, capacity);
    this.#facts = this.#store.facts;
    this.#reports = this.#store.reports;
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
    const facts = this.#facts;
    const reports = this.#reports;
    const fact = row * FACT_WORDS;
    const report = row * REPORT_WORDS;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const factGeneration = Atomics.load(facts, fact + GENERATION);
      const reportGeneration = Atomics.load(reports, report + GENERATION);
      if (((factGeneration | reportGeneration) & 1) !== 0) {
        continue;
      }
      const reported = this.#store.reportedLengths(row);
      const learned = facts[fact + LENGTHS];
      const isKnown = reported !== 0 || (learned & LEARNED_MASK) !== 0;
      const isHost = this.#store.hasAddress(row, a0, a1, a2, a3);
      let at = beginDetails(bytes, start, type);
      if (version === 1) {
        at = writeTargetV1(bytes, at, n3);
      }
      at = this.#store.copyEndpoints(row, reported, learned, view, at);
      if (version === 1) {
        at = this.#store.copyRelays(row, reported, 1, view, at);
      } else {
        at = writeTargetV2(bytes, at, n0, n1, n2, n3);
        at = this.#store.copyRelays(row, reported, 2, view, at);
      }
      fenceReads();
      if (
        Atomics.load(facts, fact + GENERATION) === factGeneration &&
        Atomics.load(reports, report + GENERATION) === reportGeneration
      ) {
        return isHost && isKnown ? finishMessage(bytes, start, at) - start : LighthouseRead.Unknown;
      }
    }
    return LighthouseRead.Busy;
  }

  /** The slot of the primary tunnel to the host of a row. */
  slot(row: number): number {
    return this.#facts[row * FACT_WORDS + SLOT];
  }

  /** The version of the host's certificate in that tunnel: the form of messages to it. */
  version(row: number): 1 | 2 {
    return (this.#facts[row * FACT_WORDS + LENGTHS] & IS_VERSION_2) === 0 ? 1 : 2;
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
    const base = row * REPORT_WORDS;
    if (!this.#lock(base, writer)) {
      return false;
    }
    const reports = this.#reports;
    const generation = beginWrite(reports, base);
    reports[base + REPORTED_LENGTHS] =
      v4Bytes | (v6Bytes << V6_SHIFT) | (v1Bytes << V1_SHIFT) | (v2Bytes << V2_SHIFT) | HAS_REPORTED;
    this.#store.copyDraft(row, this.#draft, v2Start / 4 + wordsOf(v2Bytes));
    endWrite(reports, base, generation);
    Atomics.store(reports, base + LOCK, 0);
    return true;
  }

  // The primary only.

  /** Empties a row for a new host. No key may name the row, no worker hold it. */
  assign(row: number): void {
    this.#facts[row * FACT_WORDS + LENGTHS] = 0;
    this.#forget(row);
    Atomics.store(this.#reports, row * REPORT_WORDS + LOCK, 0);
  }

  /**
   * Writes who the host is: its vpn addresses (four words each; the first `LIGHTHOUSE_ADDRESSES_MAX` count), the slot of
   * its primary tunnel and the version of its certificate there.
   */
  identify(row: number, words: Int32Array, slot: number, version: 1 | 2): void {
    const facts = this.#facts;
    const base = row * FACT_WORDS;
    const count = Math.min(words.length / 4, LIGHTHOUSE_ADDRESSES_MAX);
    const generation = beginWrite(facts, base);
    for (let index = 0; index < count; index++) {
      const target = index < 2 ? facts : this.#store.factTails;
      target.set(words.subarray(index * 4, index * 4 + 4), this.#store.addressWord(row, index));
    }
    facts[base + SLOT] = slot;
    facts[base + LENGTHS] =
      (facts[base + LENGTHS] & LEARNED_MASK) | (count << ADDRESS_COUNT_SHIFT) | (version === 2 ? IS_VERSION_2 : 0);
    endWrite(facts, base, generation);
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
    const base = row * FACT_WORDS;
    const at = (base + LEARNED_V4) * 4;
    const generation = beginWrite(this.#facts, base);
    const length = writeV4Endpoint(this.#store.factBytes, at, address, port) - at;
    this.#facts[base + LENGTHS] = (this.#facts[base + LENGTHS] & ~0xf) | length;
    endWrite(this.#facts, base, generation);
  }

  learnV6(row: number, a0: number, a1: number, a2: number, a3: number, port: number): void {
    const base = row * FACT_WORDS;
    const at = (base + LEARNED_V6) * 4;
    const generation = beginWrite(this.#facts, base);
    const length = writeV6Endpoint(this.#store.factBytes, at, a0, a1, a2, a3, port) - at;
    const others = this.#facts[base + LENGTHS] & ~(0x1f << LEARNED_V6_SHIFT);
    this.#facts[base + LENGTHS] = others | (length << LEARNED_V6_SHIFT);
    endWrite(this.#facts, base, generation);
  }

  /** One per row. */
  get lockCount(): number {
    return this.capacity;
  }

  /** Who holds a row's lock: a worker's number plus 1, 0 for nobody, anything else for nobody that there is. */
  lockHolder(row: number): number {
    return Atomics.load(this.#reports, row * REPORT_WORDS + LOCK);
  }

  /**
   * Frees a row that `holder` left locked, for certain or as good as, and drops the report if it is half written. False
   * when somebody else holds it by now.
   */
  breakLock(row: number, holder: number): boolean {
    const reports = this.#reports;
    const base = row * REPORT_WORDS;
    if (Atomics.compareExchange(reports, base + LOCK, holder, BREAKER) !== holder) {
      return false;
    }
    if ((Atomics.load(reports, base + GENERATION) & 1) === 1) {
      this.#forget(row);
    }
    Atomics.store(reports, base + LOCK, 0);
    return true;
  }

  /**
   * Copies the encoded endpoints of one half, and with Reported the relays, as fields of a message's details; returns
   * where they end in `bytes`, or `LighthouseRead.Busy`. For the operator's eyes.
   */
  copySection(row: number, section: LighthouseSection, bytes: Uint8Array, start: number): number {
    const isReport = section === LighthouseSection.Reported;
    const words = isReport ? this.#reports : this.#facts;
    const base = row * (isReport ? REPORT_WORDS : FACT_WORDS);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const generation = Atomics.load(words, base + GENERATION);
      if ((generation & 1) !== 0) {
        continue;
      }
      const reported = isReport ? this.#store.reportedLengths(row) : 0;
      const learned = isReport ? 0 : this.#facts[base + LENGTHS];
      const at = this.#store.copyEndpoints(row, reported, learned, view, start);
      const end = this.#store.copyRelays(row, reported, 2, view, at);
      fenceReads();
      if (Atomics.load(words, base + GENERATION) === generation) {
        return end;
      }
    }
    return LighthouseRead.Busy;
  }

  /** A lock with our own number was left by a predecessor that died: nobody else uses the number, so it is ours. */
  #lock(base: number, writer: number): boolean {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const holder = Atomics.compareExchange(this.#reports, base + LOCK, 0, writer);
      if (holder === 0 || holder === writer) {
        return true;
      }
    }
    return false;
  }

  /** Under the lock, or while nobody knows the row: nothing is reported. */
  #forget(row: number): void {
    const base = row * REPORT_WORDS;
    const generation = beginWrite(this.#reports, base);
    this.#reports[base + REPORTED_LENGTHS] = 0;
    endWrite(this.#reports, base, generation);
  }
}

/** Makes a row's generation odd, whatever it was; returns it. */
function beginWrite(words: Int32Array, base: number): number {
  const generation = words[base + GENERATION] | 1;
  // An exchange, because what is written next may not be seen before it, and a store would not say so everywhere.
  Atomics.exchange(words, base + GENERATION, generation);
  return generation;
}

function endWrite(words: Int32Array, base: number, generation: number): void {
  Atomics.store(words, base + GENERATION, (generation + 1) | 0);
}

/** The primary's number in a lock while it repairs a row. */
const BREAKER = -1;
