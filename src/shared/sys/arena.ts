/**
 * A block of memory with a stable address, carved up once at start.
 *
 * The packet path names memory by offset into its worker's one arena: views read and write it, system calls and cipher
 * libraries get `address + offset`. A JavaScript typed array would not do, as the collector may move its bytes. Pages
 * are this process's own, zero, lazily backed (a generous arena costs nothing until touched), below 2^31 where there is
 * room (`mapping.ts` says why) and left out of core dumps, because plaintext passes through them. There is no free: an
 * arena lives as long as its process.
 */
import { sumBytes } from '../ip/checksum.ts';
import { instantiateSum, WASM_PAGE_BYTES } from '../ip/checksumModule.ts';
import type { PacketMemory, SumFunction } from '../ip/packetMemory.ts';
import { viewMemory } from './libc.ts';
import { giveBackPages, lowMapping } from './mapping.ts';
import { aliasedMemory } from './wasmAlias.ts';

/** Zeroed bytes that do not move. */
export interface ArenaMemory {
  /** Of the first byte. */
  readonly address: number;
  readonly buffer: ArrayBuffer;
  /** Sums over them by other means than JavaScript; null where there are none. */
  makeSum(): SumFunction | null;
}

export class Arena implements PacketMemory {
  /** Address of offset 0. */
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #memory: ArenaMemory;
  #sum: SumFunction | null = null;
  #used = 0;

  /** `memory`, when given, has the bytes; else they are mapped, which throws a SysError when the kernel refuses. */
  constructor(byteLength: number, memory: ArenaMemory = mappedMemory(byteLength)) {
    this.address = memory.address;
    this.bytes = new Uint8Array(memory.buffer, 0, byteLength);
    this.view = new DataView(memory.buffer, 0, byteLength);
    this.#memory = memory;
  }

  /** Reserves zeroed bytes for good and returns their offset, a multiple of `align` (a power of two). */
  allocate(byteLength: number, align: number = 8): number {
    const offset = Math.ceil(this.#used / align) * align;
    if (offset + byteLength > this.bytes.length) {
      throw new RangeError(
        `arena of ${this.bytes.length} bytes is too small: ${byteLength} more wanted, ${this.#used} in use`,
      );
    }
    this.#used = offset + byteLength;
    return offset;
  }

  /**
   * Lets the kernel take back the pages from one offset to another, as far as they are whole: they read as zeros then. Only
   * where the arena has mapped its memory itself.
   */
  giveBack(start: number, end: number): void {
    giveBackPages(this.address + start, this.address + end);
  }

  /**
   * Copies bytes that come from elsewhere to an arena offset with room for `room` bytes; false, and nothing is copied,
   * when they are more. A plain `bytes.set` would write on into what lies behind.
   */
  copyIn(source: Uint8Array, offset: number, room: number): boolean {
    if (source.length > room) {
      return false;
    }
    this.bytes.set(source, offset);
    return true;
  }

  /** Writes a pointer to arena offset `offset` at arena offset `field`. Runs per packet: no allocation. */
  writePointer(field: number, offset: number): void {
    const { view } = this;
    const target = this.address + offset;
    view.setUint32(field, target % TWO_POW_32, true);
    view.setUint32(field + 4, Math.floor(target / TWO_POW_32), true);
  }

  /** Bytes handed out so far, alignment included. */
  get usedBytes(): number {
    return this.#used;
  }

  /** Checksum sums over this arena; made when first asked for, by WebAssembly where it can be shown the arena. */
  get sum(): SumFunction {
    const { view } = this;
    this.#sum ??= this.#memory.makeSum() ?? ((offset, length) => sumBytes(view, offset, length));
    return this.#sum;
  }
}

function mappedMemory(byteLength: number): ArenaMemory {
  const mappedBytes = Math.ceil(byteLength / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;
  const address = lowMapping(mappedBytes);
  return {
    address,
    buffer: viewMemory(address, byteLength),
    makeSum: () => {
      const memory = aliasedMemory(address, mappedBytes);
      return memory && instantiateSum(memory);
    },
  };
}

const TWO_POW_32 = 2 ** 32;
