/**
 * A block of memory with a stable address, carved up once at start.
 *
 * The packet path names memory by offset into its worker's one arena: views read and write it, system calls and cipher
 * libraries get `address + offset`. A JavaScript typed array would not do, as the collector may move its bytes. Pages
 * are private, zero, lazily backed (a generous arena costs nothing until touched) and left out of core dumps, because
 * plaintext passes through them. There is no free: an arena lives as long as its process.
 */
import { viewMemory } from './libc.ts';
import { anonymousMapping } from './mapping.ts';

export class Arena {
  /** Address of offset 0. */
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  #used = 0;

  /** Throws a SysError when the kernel refuses the mapping. */
  constructor(byteLength: number) {
    this.address = anonymousMapping(byteLength);
    const buffer = viewMemory(this.address, byteLength);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
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

  /** Bytes handed out so far, alignment included. */
  get usedBytes(): number {
    return this.#used;
  }
}
