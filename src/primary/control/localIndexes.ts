/**
 * Our names for tunnels and pending handshakes: 32-bit numbers that peers put into the headers they send us. One set
 * for both, so that a tunnel keeps the index its handshake was started with.
 */
export class LocalIndexes {
  readonly #taken = new Set<number>();
  readonly #random: (byteCount: number) => Uint8Array;

  constructor(random: (byteCount: number) => Uint8Array) {
    this.#random = random;
  }

  /** A fresh index, never 0, taken from now on; null when 32 draws hit taken ones (practically: a broken generator). */
  draw(): number | null {
    for (let attempt = 0; attempt < DRAW_MAX; attempt++) {
      const bytes = this.#random(4);
      const index = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
      if (index !== 0 && !this.#taken.has(index)) {
        this.#taken.add(index);
        return index;
      }
    }
    return null;
  }

  release(index: number): void {
    this.#taken.delete(index);
  }

  get size(): number {
    return this.#taken.size;
  }
}

const DRAW_MAX = 32;
