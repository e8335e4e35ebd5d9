/**
 * The tunnels: one row per slot with everything a worker needs to seal, open and send, plus the peer's certificate; and
 * beside it the slot's cells, which workers write.
 *
 * The primary writes rows, in memory that workers can only read; workers add to the send counter, claim in the replay
 * window and set traffic marks, in memory that the primary does not believe. Workers keep contexts (cipher state, socket
 * address) derived from a row and valid for one (slot, generation). The generation is odd while the row is written or
 * free; `endpointGeneration` does the same for the endpoint alone, which changes when a peer roams. Keys are wiped on
 * removal. Offsets inside a row stand here, those of the regions in `layout.ts`.
 *
 *   row    words 0..23   generation, indexes, cipher, certificate, keys
 *          words 24..30  endpoint; of which packets the primary wants to hear
 *          words 32..35  the address of this machine that the peer uses, zero when it is all the same
 *   cells  words 0..3    send counter, traffic marks
 */
import type { Region } from './region.ts';
import { REPLAY_WINDOW_WORDS, resetReplayWindow } from './replayWindow.ts';
import { lastReservedCounter, resetSendCounter } from './sendCounter.ts';

/** Whole cache lines. */
const ROW_WORDS = 48;

const GENERATION = 0;
const LOCAL_INDEX = 1;
const REMOTE_INDEX = 2;
const CIPHER = 3;
const CERTIFICATE_VERSION = 4;
const CERTIFICATE_BYTES = 5;
const ORDINAL = 6;
const SEND_KEY = 8;
const RECEIVE_KEY = 16;
const ENDPOINT_GENERATION = 24;
const ENDPOINT_PORT = 25;
const ENDPOINT_ADDRESS = 26;
const WANTED_PROOF = 30;
const LOCAL_ADDRESS = 32;

/** One cache line: two tunnels' counters share none. */
const CELL_WORDS = 16;

const SEND_COUNTER = 0;
const TRAFFIC_IN = 2;
const TRAFFIC_OUT = 3;

/** A peer's certificate may not be larger: Nebula's own packet buffers (9001 bytes) allow no more in a handshake. */
export const CERTIFICATE_BYTES_MAX = 9216;

const KEY_BYTES = 32;

/** What is to come through a tunnel before it counts. */
export const Proof = {
  None: 0,
  /** Any authentic packet: the peer has the keys. */
  Packet: 1,
  /** One that a peer sends only when it has had one of ours, so any but a test request: it keeps the tunnel. */
  Answer: 2,
} as const;

/** What the primary writes to a row. Buffers are copied. */
export interface TunnelRow {
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly cipher: number;
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** The peer's certificate as in its PEM block. */
  readonly certificate: Uint8Array;
  readonly certificateVersion: 1 | 2;
  /** Grows with every tunnel of this node, so that packets of an older tunnel sort first. */
  readonly ordinal: number;
  /** The counters that the handshake used in each direction. */
  readonly lastCounter: number;
}

export class TunnelTable {
  readonly capacity: number;
  /** Cells of all slots; public for the send counter (`counterCell`) only. */
  readonly cells: Int32Array;
  /** Replay windows; slot s starts at `window(s)`. */
  readonly windows: Int32Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #certificates: Uint8Array;

  /** Of the rows, with their certificates. */
  static rowsByteLength(capacity: number): number {
    return capacity * (ROW_WORDS * 4 + CERTIFICATE_BYTES_MAX);
  }

  /** Of the cells, with the replay windows. */
  static cellsByteLength(capacity: number): number {
    return capacity * (CELL_WORDS + REPLAY_WINDOW_WORDS) * 4;
  }

  constructor(rows: Region, cells: Region, capacity: number) {
    const rowBytes = capacity * ROW_WORDS * 4;
    const cellBytes = capacity * CELL_WORDS * 4;
    this.capacity = capacity;
    this.cells = new Int32Array(cells.buffer, cells.byteOffset, capacity * CELL_WORDS);
    this.windows = new Int32Array(cells.buffer, cells.byteOffset + cellBytes, capacity * REPLAY_WINDOW_WORDS);
    this.#words = new Int32Array(rows.buffer, rows.byteOffset, capacity * ROW_WORDS);
    this.#bytes = new Uint8Array(rows.buffer, rows.byteOffset, rowBytes);
    this.#certificates = new Uint8Array(rows.buffer, rows.byteOffset + rowBytes, capacity * CERTIFICATE_BYTES_MAX);
  }

  // Read by every process.

  /** Even and not 0 while the row is live. Changes when the slot is reused. */
  generation(slot: number): number {
    return Atomics.load(this.#words, slot * ROW_WORDS + GENERATION);
  }

  isLive(slot: number): boolean {
    const generation = this.generation(slot);
    return generation !== 0 && (generation & 1) === 0;
  }

  localIndex(slot: number): number {
    return this.#words[slot * ROW_WORDS + LOCAL_INDEX] >>> 0;
  }

  remoteIndex(slot: number): number {
    return this.#words[slot * ROW_WORDS + REMOTE_INDEX] >>> 0;
  }

  cipher(slot: number): number {
    return this.#words[slot * ROW_WORDS + CIPHER];
  }

  ordinal(slot: number): number {
    return this.#words[slot * ROW_WORDS + ORDINAL];
  }

  /** A copy; the caller wipes it after use. */
  copySendKey(slot: number): Uint8Array {
    return this.#copyKey(slot, SEND_KEY);
  }

  /** A copy; the caller wipes it after use. */
  copyReceiveKey(slot: number): Uint8Array {
    return this.#copyKey(slot, RECEIVE_KEY);
  }

  /** A `Proof`: of which packets of the tunnel the primary wants to hear. */
  wantedProof(slot: number): number {
    return Atomics.load(this.#words, slot * ROW_WORDS + WANTED_PROOF);
  }

  certificateVersion(slot: number): 1 | 2 {
    return this.#words[slot * ROW_WORDS + CERTIFICATE_VERSION] === 2 ? 2 : 1;
  }

  copyCertificate(slot: number): Uint8Array {
    const start = slot * CERTIFICATE_BYTES_MAX;
    return this.#certificates.slice(start, start + this.#words[slot * ROW_WORDS + CERTIFICATE_BYTES]);
  }

  /** Index into `cells` of the tunnel's send counter, for `reserveCounters`. */
  counterCell(slot: number): number {
    return slot * CELL_WORDS + SEND_COUNTER;
  }

  /** Index into `windows` of the tunnel's replay window. */
  window(slot: number): number {
    return slot * REPLAY_WINDOW_WORDS;
  }

  lastSentCounter(slot: number): number {
    return lastReservedCounter(this.cells, this.counterCell(slot));
  }

  /** Odd while the endpoint is being changed; a cached socket address is valid for one even value. */
  endpointGeneration(slot: number): number {
    return Atomics.load(this.#words, slot * ROW_WORDS + ENDPOINT_GENERATION);
  }

  /** 0 when the tunnel has no direct endpoint. Check `endpointGeneration` before and after. */
  endpointPort(slot: number): number {
    return this.#words[slot * ROW_WORDS + ENDPOINT_PORT];
  }

  /** Copies the endpoint's 16-byte address into `target`. Check `endpointGeneration` before and after. */
  copyEndpointAddress(slot: number, target: Uint8Array, offset: number): void {
    this.#copyAddress(slot, ENDPOINT_ADDRESS, target, offset);
  }

  /** The same for the address of this machine that the peer uses. */
  copyLocalAddress(slot: number, target: Uint8Array, offset: number): void {
    this.#copyAddress(slot, LOCAL_ADDRESS, target, offset);
  }

  // Written by workers.

  /** Marks inbound traffic. A plain read first: the line stays shared while the mark is set. */
  markIn(slot: number): void {
    const word = slot * CELL_WORDS + TRAFFIC_IN;
    if (this.cells[word] === 0) {
      Atomics.store(this.cells, word, 1);
    }
  }

  markOut(slot: number): void {
    const word = slot * CELL_WORDS + TRAFFIC_OUT;
    if (this.cells[word] === 0) {
      Atomics.store(this.cells, word, 1);
    }
  }

  // Written by the primary.

  /** Traffic marks since the last call: bit 1 in, bit 2 out. */
  takeTraffic(slot: number): number {
    const isIn = Atomics.exchange(this.cells, slot * CELL_WORDS + TRAFFIC_IN, 0) !== 0;
    const isOut = Atomics.exchange(this.cells, slot * CELL_WORDS + TRAFFIC_OUT, 0) !== 0;
    return (isIn ? 1 : 0) | (isOut ? 2 : 0);
  }

  /**
   * Fills a free row and makes it live under `generation`: even, not 0, and not yet used with this slot. The caller knows
   * what is free, and publishes the index and the host afterwards. Throws when the certificate is too long.
   */
  write(slot: number, generation: number, row: TunnelRow): void {
    const base = slot * ROW_WORDS;
    const cells = slot * CELL_WORDS;
    const words = this.#words;
    if (row.certificate.length > CERTIFICATE_BYTES_MAX) {
      throw new RangeError(`a peer's certificate has ${row.certificate.length} bytes, over ${CERTIFICATE_BYTES_MAX}`);
    }
    Atomics.store(words, base + GENERATION, generation - 1);
    this.#certificates.set(row.certificate, slot * CERTIFICATE_BYTES_MAX);
    words[base + LOCAL_INDEX] = row.localIndex;
    words[base + REMOTE_INDEX] = row.remoteIndex;
    words[base + CIPHER] = row.cipher;
    words[base + CERTIFICATE_VERSION] = row.certificateVersion;
    words[base + CERTIFICATE_BYTES] = row.certificate.length;
    words[base + ORDINAL] = row.ordinal;
    words[base + WANTED_PROOF] = Proof.None;
    this.cells[cells + TRAFFIC_IN] = 0;
    this.cells[cells + TRAFFIC_OUT] = 0;
    words[base + ENDPOINT_PORT] = 0;
    this.#bytes.set(row.sendKey, (base + SEND_KEY) * 4);
    this.#bytes.set(row.receiveKey, (base + RECEIVE_KEY) * 4);
    resetSendCounter(this.cells, this.counterCell(slot), row.lastCounter);
    resetReplayWindow(this.windows, this.window(slot), row.lastCounter);
    Atomics.store(words, base + GENERATION, generation);
  }

  /** None is wanted of a row that has been written; the contrary is to be said before its index is published. */
  wantProof(slot: number, proof: number): void {
    Atomics.store(this.#words, slot * ROW_WORDS + WANTED_PROOF, proof);
  }

  /** Changes the endpoint; port 0 (and any address) means none. `local` is the address of this machine that it uses. */
  writeEndpoint(slot: number, address: Uint8Array, port: number, local: Uint8Array): void {
    const base = slot * ROW_WORDS;
    Atomics.add(this.#words, base + ENDPOINT_GENERATION, 1);
    this.#words[base + ENDPOINT_PORT] = port;
    this.#bytes.set(address, (base + ENDPOINT_ADDRESS) * 4);
    this.#bytes.set(local, (base + LOCAL_ADDRESS) * 4);
    Atomics.add(this.#words, base + ENDPOINT_GENERATION, 1);
  }

  /**
   * Ends the life of a row written with `generation` and wipes its keys. The slot may be written again only after every
   * worker turned its loop.
   */
  clear(slot: number, generation: number): void {
    const base = slot * ROW_WORDS;
    Atomics.store(this.#words, base + GENERATION, generation + 1);
    this.#bytes.fill(0, (base + SEND_KEY) * 4, (base + RECEIVE_KEY) * 4 + KEY_BYTES);
  }

  #copyAddress(slot: number, word: number, target: Uint8Array, offset: number): void {
    const start = (slot * ROW_WORDS + word) * 4;
    for (let index = 0; index < 16; index++) {
      target[offset + index] = this.#bytes[start + index];
    }
  }

  #copyKey(slot: number, word: number): Uint8Array {
    const start = (slot * ROW_WORDS + word) * 4;
    return this.#bytes.slice(start, start + KEY_BYTES);
  }
}
