/**
 * The memory in which packets lie, as segmentation and coalescing need it: bytes, a view of them, and checksum sums.
 *
 * A worker's arena is one, with sums by WebAssembly where that works; any bytes become one by `plainMemory`.
 */
import { sumBytes } from './checksum.ts';

/** One's-complement sum of `length` (up to 65,535) bytes at `offset`, as `sumBytes` of `checksum.ts` gives it. */
export type SumFunction = (offset: number, length: number) => number;

export interface PacketMemory {
  readonly bytes: Uint8Array;
  /** Of the same bytes. */
  readonly view: DataView;
  /** The fastest there is for this memory. Take it once, at construction: asking for it may build it. */
  readonly sum: SumFunction;
}

/** Packet memory over bytes anywhere, with sums in plain JavaScript. */
export function plainMemory(bytes: Uint8Array): PacketMemory {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { bytes, view, sum: (offset, length) => sumBytes(view, offset, length) };
}
