/**
 * Equal cells of memory with stable addresses that are taken and given back: for what a cipher library derives from a
 * key, which has to lie aligned, live as long as its tunnel and leave nothing behind.
 *
 * Cells come out of chunks that are mapped when needed, left out of core dumps and never unmapped, so tunnels that come
 * and go take no more memory than the most that lived at once. A cell is zero when it is taken and wiped when it is
 * given back. Not for the packet path.
 */
import { viewMemory } from './libc.ts';
import { lowMapping } from './mapping.ts';

const CELLS_PER_CHUNK = 128;
/** Cells start on cache lines. */
const ALIGN_BYTES = 64;

export class Slab {
  readonly cellBytes: number;
  /** Addresses of cells that nobody has, the lowest of the first chunk last. */
  readonly #free: number[] = [];
  /** By the address of the chunk's first byte. */
  readonly #chunks = new Map<number, Uint8Array>();

  /** `cellBytes` is rounded up to whole cache lines. */
  constructor(cellBytes: number) {
    this.cellBytes = Math.ceil(cellBytes / ALIGN_BYTES) * ALIGN_BYTES;
  }

  /** Bytes mapped so far. */
  get mappedBytes(): number {
    return this.#chunks.size * CELLS_PER_CHUNK * this.cellBytes;
  }

  /** The address of a zeroed cell. Throws SysError when the kernel has no memory left. */
  take(): number {
    if (this.#free.length === 0) {
      this.#grow();
    }
    return this.#free.pop() as number;
  }

  /** Wipes a cell and gives it back; nobody may use its address afterwards. */
  giveBack(address: number): void {
    for (const [start, bytes] of this.#chunks) {
      const offset = address - start;
      if (offset >= 0 && offset < bytes.length) {
        bytes.fill(0, offset, offset + this.cellBytes);
        this.#free.push(address);
        return;
      }
    }
    throw new RangeError('a cell is given back to a slab that it does not belong to');
  }

  #grow(): void {
    const byteLength = CELLS_PER_CHUNK * this.cellBytes;
    const start = lowMapping(byteLength);
    this.#chunks.set(start, new Uint8Array(viewMemory(start, byteLength)));
    for (let cell = CELLS_PER_CHUNK - 1; cell >= 0; cell--) {
      this.#free.push(start + cell * this.cellBytes);
    }
  }
}
