/**
 * The layout of the lighthouse table's rows, and what copies between a row and a buffer. No locks and no generations here:
 * `lighthouseTable.ts` decides when a copy is whole.
 *
 *   word 0      generations: reported in the low half, primary's in the high half; odd while being written
 *   word 1      lock: number of the writing worker plus 1
 *   words 2, 3  lengths of the reported half; lengths of the primary's half
 *   words 4..7  first vpn address           words 8..10  learned IPv4 endpoint
 *   word 11     slot of the primary tunnel
 *   12..52      reported: IPv4, IPv6, relays v1, relays v2, each from a word on; then in the tail
 *   53..56      second vpn address          57..63       learned IPv6 endpoint
 *   tail        six more vpn addresses, then the rest of the report
 */
import {
  V1_RELAYS_BYTES_MAX,
  V2_RELAY_BYTES_MAX,
  V4_ENDPOINT_BYTES_MAX,
  V6_ENDPOINT_BYTES_MAX,
} from '../wire/lighthouseEncoder.ts';
import { LIGHTHOUSE_LIST_MAX } from '../wire/lighthouseMessage.ts';

/** vpn addresses by which a host can be found; a certificate may name more. */
export const LIGHTHOUSE_ADDRESSES_MAX = 8;

export const ROW_WORDS = 64;
export const GENERATIONS = 0;
export const LOCK = 1;
export const REPORTED_LENGTHS = 2;
export const PRIMARY_LENGTHS = 3;
const FIRST_ADDRESS = 4;
export const LEARNED_V4 = 8;
export const SLOT = 11;
const REPORTED = 12;
const SECOND_ADDRESS = 53;
export const LEARNED_V6 = 57;
const HEAD_WORDS = SECOND_ADDRESS - REPORTED;

const MORE_ADDRESSES_WORDS = (LIGHTHOUSE_ADDRESSES_MAX - 2) * 4;
export const REPORTED_WORDS_MAX: number =
  wordsOf(LIGHTHOUSE_LIST_MAX * V4_ENDPOINT_BYTES_MAX) +
  wordsOf(LIGHTHOUSE_LIST_MAX * V6_ENDPOINT_BYTES_MAX) +
  wordsOf(V1_RELAYS_BYTES_MAX) +
  wordsOf(LIGHTHOUSE_LIST_MAX * V2_RELAY_BYTES_MAX);
const TAIL_WORDS = MORE_ADDRESSES_WORDS + REPORTED_WORDS_MAX - HEAD_WORDS;

/** Of REPORTED_LENGTHS: bytes of IPv4 (7 bits), IPv6 (9), relays v1 (6), relays v2 (8); one store, so never torn. */
export const V6_SHIFT = 7;
export const V1_SHIFT = 16;
export const V2_SHIFT = 22;
export const HAS_REPORTED: number = 1 << 30;
/** Of PRIMARY_LENGTHS: bytes of the learned IPv4 endpoint (4 bits), of IPv6 (5), vpn addresses (4), form 2 or 1 (1). */
export const LEARNED_V6_SHIFT = 4;
export const ADDRESS_COUNT_SHIFT = 9;
export const IS_VERSION_2: number = 1 << 13;
export const LEARNED_MASK: number = (1 << ADDRESS_COUNT_SHIFT) - 1;

export class LighthouseRows {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly tails: Int32Array;

  static byteLength(capacity: number): number {
    return capacity * (ROW_WORDS + TAIL_WORDS) * 4;
  }

  constructor(buffer: ArrayBufferLike, byteOffset: number, capacity: number) {
    const rowsBytes = capacity * ROW_WORDS * 4;
    this.words = new Int32Array(buffer, byteOffset, capacity * ROW_WORDS);
    this.bytes = new Uint8Array(buffer, byteOffset, rowsBytes);
    this.tails = new Int32Array(buffer, byteOffset + rowsBytes, capacity * TAIL_WORDS);
  }

  /** Learned before reported within a family, IPv4 before IPv6, as Nebula answers. */
  copyEndpoints(base: number, row: number, reported: number, learned: number, view: DataView, start: number): number {
    const v4Bytes = reported & 0x7f;
    const v6Bytes = (reported >>> V6_SHIFT) & 0x1ff;
    let at = start;
    if ((learned & 0xf) !== 0) {
      at = this.copyHead(base + LEARNED_V4, learned & 0xf, view, at);
    }
    at = this.copyHead(base + REPORTED, v4Bytes, view, at);
    if ((learned >>> LEARNED_V6_SHIFT) & 0x1f) {
      at = this.copyHead(base + LEARNED_V6, (learned >>> LEARNED_V6_SHIFT) & 0x1f, view, at);
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
    const head = row * ROW_WORDS + REPORTED;
    if (word + wordsOf(byteCount) <= HEAD_WORDS) {
      return this.copyHead(head + word, byteCount, view, at);
    }
    const tail = row * TAIL_WORDS + MORE_ADDRESSES_WORDS - HEAD_WORDS;
    for (let copied = 0; copied < byteCount; copied += 4) {
      const source = word + copied / 4;
      const value = source < HEAD_WORDS ? this.words[head + source] : this.tails[tail + source];
      view.setInt32(at + copied, value, IS_LITTLE_ENDIAN);
    }
    return at + byteCount;
  }

  /** Word by word: no view of the source has to be made, and it takes a third of the time of bytes. */
  copyHead(word: number, byteCount: number, view: DataView, at: number): number {
    const rows = this.words;
    let source = word;
    for (let copied = 0; copied < byteCount; copied += 4) {
      view.setInt32(at + copied, rows[source++], IS_LITTLE_ENDIAN);
    }
    return at + byteCount;
  }

  copyDraft(row: number, draft: Int32Array, wordCount: number): void {
    const headCount = Math.min(wordCount, HEAD_WORDS);
    const head = row * ROW_WORDS + REPORTED;
    for (let word = 0; word < headCount; word++) {
      this.words[head + word] = draft[word];
    }
    const tail = row * TAIL_WORDS + MORE_ADDRESSES_WORDS - HEAD_WORDS;
    for (let word = headCount; word < wordCount; word++) {
      this.tails[tail + word] = draft[word];
    }
  }

  hasAddress(row: number, a0: number, a1: number, a2: number, a3: number): boolean {
    const rows = this.words;
    const first = row * ROW_WORDS + FIRST_ADDRESS;
    if (
      rows[first + 3] === (a3 | 0) &&
      rows[first + 2] === (a2 | 0) &&
      rows[first + 1] === (a1 | 0) &&
      rows[first] === (a0 | 0)
    ) {
      return true;
    }
    const count = (rows[row * ROW_WORDS + PRIMARY_LENGTHS] >>> ADDRESS_COUNT_SHIFT) & 0xf;
    for (let index = 1; index < count; index++) {
      const words = index < 2 ? rows : this.tails;
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

  /** Where address `index` stands: in the row, or from the third on in its tail. */
  addressWord(row: number, index: number): number {
    if (index >= 2) {
      return row * TAIL_WORDS + (index - 2) * 4;
    }
    return row * ROW_WORDS + (index === 0 ? FIRST_ADDRESS : SECOND_ADDRESS);
  }
}

/** Words that hold so many bytes. */
export function wordsOf(byteCount: number): number {
  return (byteCount + 3) >>> 2;
}

/** Words in memory have the machine's byte order, and are copied as bytes. */
const IS_LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
