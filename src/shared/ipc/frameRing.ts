/**
 * A ring of frames in memory that one worker and the primary share: the worker writes, the primary reads.
 *
 *   line 0      the head, written by the worker
 *   line 1      the tail, written by the primary
 *   4096 …      frames, back to back, wrapping at the end
 *
 * Head and tail count bytes modulo 2^32; used bytes are their difference. Each side keeps its own word in private memory
 * and reads back only the other's. What the primary reads is checked before it is used and copied before it is looked
 * at: the worker may write anything at any time. A full ring refuses, it never waits and never grows.
 */
import {
  FRAME_ALIGN,
  FRAME_BODY_BYTES_MAX,
  FRAME_HEAD_BYTES,
  type FrameKind,
  frameBodyLength,
  frameBytes,
  writeFrameHead,
} from './frames.ts';

/** Room for a good second of what a worker may punt; more would only be answered too late. */
export const RING_BYTES = 512 * 1024;
const DATA_OFFSET = 4096;
/** Size of the memory that holds a ring. */
export const CHANNEL_BYTES: number = DATA_OFFSET + RING_BYTES;

/** Where both words begin: like the jiffies of Linux, so that their overflow is no rarity. */
const START: number = -RING_BYTES | 0;

const Word = { Head: 0, Tail: 16 } as const;

/** Worker only; one per process, on a ring that the primary has reset. */
export class FrameWriter {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #head: number = START;
  #publishedHead: number = START;

  constructor(buffer: ArrayBufferLike) {
    this.#words = new Int32Array(buffer, 0, DATA_OFFSET / 4);
    this.#bytes = new Uint8Array(buffer, DATA_OFFSET, RING_BYTES);
    this.#view = new DataView(buffer, DATA_OFFSET, RING_BYTES);
  }

  get freeBytes(): number {
    return RING_BYTES - ((this.#head - Atomics.load(this.#words, Word.Tail)) >>> 0);
  }

  /**
   * Appends a frame; the primary sees it after `publish`. False, and nothing is written, when it has no room or its body
   * is too long. `address` has 16 bytes; the body is `length` bytes at `offset` of `source`.
   */
  write(
    kind: FrameKind,
    indexOrSlot: number,
    generation: number,
    port: number,
    address: Uint8Array,
    local: Uint8Array,
    source: Uint8Array,
    offset: number,
    length: number,
  ): boolean {
    const size = frameBytes(length);
    if (length > FRAME_BODY_BYTES_MAX || size > this.freeBytes) {
      return false;
    }
    const at = this.#head & (RING_BYTES - 1);
    writeFrameHead(this.#view, at, kind, length, indexOrSlot, generation, port, address, local);
    if (length > 0) {
      const start = (at + FRAME_HEAD_BYTES) & (RING_BYTES - 1);
      const first = Math.min(length, RING_BYTES - start);
      this.#bytes.set(source.subarray(offset, offset + first), start);
      if (first < length) {
        this.#bytes.set(source.subarray(offset + first, offset + length), 0);
      }
    }
    this.#head = (this.#head + size) | 0;
    return true;
  }

  /**
   * Shows the primary what was written. True when it has to be woken: when it had read everything else, so that it may
   * have stopped looking. (It stores its tail before it looks at the head again, so one of the two sees the other.)
   */
  publish(): boolean {
    const before = this.#publishedHead;
    if (this.#head === before) {
      return false;
    }
    this.#publishedHead = this.#head;
    Atomics.store(this.#words, Word.Head, this.#head);
    return Atomics.load(this.#words, Word.Tail) === before;
  }
}

/** Primary only; for one worker after another. */
export class FrameReader {
  /** The frame that `read` copied. */
  readonly #frame: Uint8Array = new Uint8Array(FRAME_HEAD_BYTES + FRAME_BODY_BYTES_MAX);
  readonly #frameView: DataView = new DataView(this.#frame.buffer);
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  #tail: number = START;

  /** Resets the ring. */
  constructor(buffer: ArrayBufferLike) {
    this.#words = new Int32Array(buffer, 0, DATA_OFFSET / 4);
    this.#bytes = new Uint8Array(buffer, DATA_OFFSET, RING_BYTES);
    this.reset();
  }

  /** Empties the ring for a new worker; the old one must be dead. */
  reset(): void {
    this.#tail = START;
    this.#words.fill(0);
    this.#words[Word.Head] = START;
    this.#words[Word.Tail] = START;
  }

  /**
   * The next frame without its padding, or null when there is none; as text, what is wrong with the ring. The bytes are
   * a private copy, valid until the next call. After a fault nothing may be read before `reset`.
   */
  read(): Uint8Array | null | string {
    const used = (Atomics.load(this.#words, Word.Head) - this.#tail) >>> 0;
    if (used === 0) {
      return null;
    }
    if (used > RING_BYTES || used % FRAME_ALIGN !== 0) {
      return `a ring that holds ${used} bytes`;
    }
    const at = this.#tail & (RING_BYTES - 1);
    this.#frame.set(this.#bytes.subarray(at, at + FRAME_HEAD_BYTES), 0);
    const bodyLength = frameBodyLength(this.#frameView, 0);
    const size = frameBytes(bodyLength);
    if (bodyLength > FRAME_BODY_BYTES_MAX || size > used) {
      return `a frame whose body has ${bodyLength} bytes`;
    }
    const start = (at + FRAME_HEAD_BYTES) & (RING_BYTES - 1);
    const first = Math.min(bodyLength, RING_BYTES - start);
    this.#frame.set(this.#bytes.subarray(start, start + first), FRAME_HEAD_BYTES);
    if (first < bodyLength) {
      this.#frame.set(this.#bytes.subarray(0, bodyLength - first), FRAME_HEAD_BYTES + first);
    }
    this.#tail = (this.#tail + size) | 0;
    Atomics.store(this.#words, Word.Tail, this.#tail);
    return this.#frame.subarray(0, FRAME_HEAD_BYTES + bodyLength);
  }
}
