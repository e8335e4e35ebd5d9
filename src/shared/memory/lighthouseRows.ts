/**
 * The layout of the lighthouse table's rows, and what copies between a row and a buffer. No locks and no generations here:
 * `lighthouseTable.ts` decides when a copy is whole.
 *
 *   fact, 32 words, written by the primary           report, 48 words, written by workers
 *   word 0      generation, odd while being written  word 0      generation, odd while being written
 *   word 1      lengths                              word 1      lock: number of the writing worker plus 1
 *   word 2      slot of the primary tunnel           word 2      lengths
 *   4..7        first vpn address                    3..47       IPv4, IPv6, relays v1, relays v2, each from a word on
 *   8..10       learned IPv4 endpoint                tail        the rest
 *   12..18      learned IPv6 endpoint
 *   20..23      second vpn address
 *   tail        six more vpn addresses
 */
import {
  V1_RELAYS_BYTES_MAX,
  V2_RELAY_BYTES_MAX,
  V4_ENDPOINT_BYTES_MAX,
  V6_ENDPOINT_BYTES_MAX,
} from '../wire/lighthouseEncoder.ts';
import { LIGHTHOUSE_LIST_MAX } from '../wire/lighthouseMessage.ts';
import type { Region } from './region.ts';

/** vpn addresses by which a host can be found; a certificate may name more. */
export const LIGHTHOUSE_ADDRESSES_MAX = 8;

export const FACT_WORDS = 32;
export const LENGTHS = 1;
export const SLOT = 2;
const FIRST_ADDRESS = 4;
export const LEARNED_V4 = 8;
export const LEARNED_V6 = 12;
const SECOND_ADDRESS = 20;
const FACT_TAIL_WORDS = (LIGHTHOUSE_ADDRESSES_MAX - 2) * 4;

export const REPORT_WORDS = 48;
export const LOCK = 1;
export const REPORTED_LENGTHS = 2;
const REPORTED = 3;
const HEAD_WORDS = REPORT_WORDS - REPORTED;

/** Of a fact and of a report. */
export const GENERATION = 0;

const V4_BYTES_MAX = LIGHTHOUSE_LIST_MAX * V4_ENDPOINT_BYTES_MAX;
const V6_BYTES_MAX = LIGHTHOUSE_LIST_MAX * V6_ENDPOINT_BYTES_MAX;
const V2_BYTES_MAX = LIGHTHOUSE_LIST_MAX * V2_RELAY_BYTES_MAX;
export const REPORTED_WORDS_MAX: number =
  wordsOf(V4_BYTES_MAX) + wordsOf(V6_BYTES_MAX) + wordsOf(V1_RELAYS_BYTES_MAX) + wordsOf(V2_BYTES_MAX);
const REPORT_TAIL_WORDS = REPORTED_WORDS_MAX - HEAD_WORDS;

/** Of REPORTED_LENGTHS: bytes of IPv4 (7 bits), IPv6 (9), relays v1 (6), relays v2 (8); one store, so never torn. */
export const V6_SHIFT = 7;
export const V1_SHIFT = 16;
export const V2_SHIFT = 22;
export const HAS_REPORTED: number = 1 << 30;
/** Of LENGTHS: bytes of the learned IPv4 endpoint (4 bits), of IPv6 (5), vpn addresses (4), form 2 or 1 (1). */
export const LEARNED_V6_SHIFT = 4;
export const ADDRESS_COUNT_SHIFT = 9;
export const IS_VERSION_2: number = 1 << 13;
export const LEARNED_MASK: number = (1 << ADDRESS_COUNT_SHIFT) - 1;

export class LighthouseRows {
  readonly facts: Int32Array;
  /** The bytes of `facts`. */
  readonly factBytes: Uint8Array;
  readonly factTails: Int32Array;
  readonly reports: Int32Array;
  readonly #reportTails: Int32Array;

  static factsByteLength(capacity: number): number {
    return capacity * (FACT_WORDS + FACT_TAIL_WORDS) * 4;
  }

  static reportsByteLength(capacity: number): number {
    return capacity * (REPORT_WORDS + REPORT_TAIL_WORDS) * 4;
  }

  constructor(facts: Region, reports: Region, capacity: number) {
    const factsBytes = capacity * FACT_WORDS * 4;
    const reportsBytes = capacity * REPORT_WORDS * 4;
    this.facts = new Int32Array(facts.buffer, facts.byteOffset, capacity * FACT_WORDS);
    this.factBytes = new Uint8Array(facts.buffer, facts.byteOffset, factsBytes);
    this.factTails = new Int32Array(facts.buffer, facts.byteOffset + factsBytes, capacity * FACT_TAIL_WORDS);
    this.reports = new Int32Array(reports.buffer, reports.byteOffset, capacity * REPORT_WORDS);
    this.#reportTails = new Int32Array(reports.buffer, reports.byteOffset + reportsBytes, capacity * REPORT_TAIL_WORDS);
  }

  /**
   * The lengths of a report, or 0 when no writer of this table can have left them: then the worker that did is broken or
   * hostile, and nothing has been reported. What is returned fits a message.
   */
  reportedLengths(row: number): number {
    const lengths = this.reports[row * REPORT_WORDS + REPORTED_LENGTHS];
    return (lengths & 0x7f) <= V4_BYTES_MAX &&
      ((lengths >>> V6_SHIFT) & 0x1ff) <= V6_BYTES_MAX &&
      ((lengths >>> V1_SHIFT) & 0x3f) <= V1_RELAYS_BYTES_MAX &&
      ((lengths >>> V2_SHIFT) & 0xff) <= V2_BYTES_MAX
      ? lengths
      : 0;
  }

  /** Learned before reported within a family, IPv4 before IPv6, as Nebula answers. */
  copyEndpoints(row: number, reported: number, learned: number, view: DataView, start: number): number {
    const v4Bytes = reported & 0x7f;
    const v6Bytes = (reported >>> V6_SHIFT) & 0x1ff;
    const base = row * FACT_WORDS;
    let at = start;
    if ((learned & 0xf) !== 0) {
      at = copyWords(this.facts, base + LEARNED_V4, learned & 0xf, view, at);
    }
    at = copyWords(this.reports, row * REPORT_WORDS + REPORTED, v4Bytes, view, at);
    if ((learned >>> LEARNED_V6_SHIFT) & 0x1f) {
      at = copyWords(this.facts, base + LEARNED_V6, (learned >>> LEARNED_V6_SHIFT) & 0x1f, view, at);
    }
    return v6Bytes === 0 ? at : this.copyReported(row, wordsOf(v4Bytes), v6Bytes, view, at);
  }

  copyRelays(row: number, reported: number, version: 1 | 2, view: DataView, at: number): number {
    const v1Bytes = (reported >>> V1_SHIFT) & 0x3f;
    const v2Bytes = (reported >>> V2_SHIFT) & 0xff;
    const byteCount = version === 1 ? v1Bytes : v2Bytes;
    if (byteCount === 0) {
      return at;
    }
    const v1Word = wordsOf(reported & 0x7f) + wordsOf((reported >>> V6_SHIFT) & 0x1ff);
    return this.copyReported(row, version === 1 ? v1Word : v1Word + wordsOf(v1Bytes), byteCount, view, at);
  }

  /** A section of the report, which starts at its `word`, wherever that stands. */
  copyReported(row: number, word: number, byteCount: number, view: DataView, at: number): number {
    const head = row * REPORT_WORDS + REPORTED;
    if (word + wordsOf(byteCount) <= HEAD_WORDS) {
      return copyWords(this.reports, head + word, byteCount, view, at);
    }
    const tail = row * REPORT_TAIL_WORDS - HEAD_WORDS;
    for (let copied = 0; copied < byteCount; copied += 4) {
      const source = word + copied / 4;
      const value = source < HEAD_WORDS ? this.reports[head + source] : this.#reportTails[tail + source];
      view.setInt32(at + copied, value, IS_LITTLE_ENDIAN);
    }
    return at + byteCount;
  }

  copyDraft(row: number, draft: Int32Array, wordCount: number): void {
    const headCount = Math.min(wordCount, HEAD_WORDS);
    const head = row * REPORT_WORDS + REPORTED;
    for (let word = 0; word < headCount; word++) {
      this.reports[head + word] = draft[word];
    }
    const tail = row * REPORT_TAIL_WORDS - HEAD_WORDS;
    for (let word = headCount; word < wordCount; word++) {
      this.#reportTails[tail + word] = draft[word];
    }
  }

  hasAddress(row: number, a0: number, a1: number, a2: number, a3: number): boolean {
    const facts = this.facts;
    const first = row * FACT_WORDS + FIRST_ADDRESS;
    if (
      facts[first + 3] === (a3 | 0) &&
      facts[first + 2] === (a2 | 0) &&
      facts[first + 1] === (a1 | 0) &&
      facts[first] === (a0 | 0)
    ) {
      return true;
    }
    const count = (facts[row * FACT_WORDS + LENGTHS] >>> ADDRESS_COUNT_SHIFT) & 0xf;
    for (let index = 1; index < count; index++) {
      const words = index < 2 ? facts : this.factTails;
      const at = this.addressWord(row, index);
      if (
        words[at + 3] === (a3 | 0) &&
        words[at + 2] === (a2 | 0) &&
        words[at + 1] === (a1 | 0) &&
        words[at] === (a0 | 0)
      ) {
        return true;
      }
    }
    return false;
  }

  /** Where address `index` stands: in the fact, or from the third on in its tail. */
  addressWord(row: number, index: number): number {
    if (index >= 2) {
      return row * FACT_TAIL_WORDS + (index - 2) * 4;
    }
    return row * FACT_WORDS + (index === 0 ? FIRST_ADDRESS : SECOND_ADDRESS);
  }
}

/** Word by word: no view of the source has to be made, and it takes a third of the time of bytes. */
function copyWords(words: Int32Array, word: number, byteCount: number, view: DataView, at: number): number {
  let source = word;
  for (let copied = 0; copied < byteCount; copied += 4) {
    view.setInt32(at + copied, words[source++], IS_LITTLE_ENDIAN);
  }
  return at + byteCount;
}

/** Words that hold so many bytes. */
export function wordsOf(byteCount: number): number {
  return (byteCount + 3) >>> 2;
}

/** Words in memory have the machine's byte order, and are copied as bytes. */
const IS_LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
