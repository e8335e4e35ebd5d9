/**
 * Our names for tunnels and pending handshakes: 32-bit numbers that peers put into the headers they send us. One set
 * for both, so that a tunnel keeps the index its handshake was started with. The workers hear of each: a peer that has
 * answered sends at once, and its packets may come before this process has made the tunnel.
 */

/** Where workers look indexes up; the tunnel store. */
export interface IndexBoard {
  /** Names an index under which a tunnel may come soon. False: there is no room for it, draw another. */
  announceIndex(index: number): boolean;
  /** No tunnel comes after all. Nothing happens when one has come. */
  withdrawIndex(index: number): void;
}

export class LocalIndexes {
  readonly #taken = new Set<number>();
  readonly #random: (byteCount: number) => Uint8Array;
  readonly #board: IndexBoard;

  constructor(random: (byteCount: number) => Uint8Array, board: IndexBoard) {
    this.#random = random;
    this.#board = board;
  }

  /** A fresh index, never 0, taken from now on; null when 32 draws hit taken ones (practically: a broken generator). */
  draw(): number | null {
    for (let attempt = 0; attempt < DRAW_MAX; attempt++) {
      const bytes = this.#random(4);
      const index = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
      if (index !== 0 && !this.#taken.has(index) && this.#board.announceIndex(index)) {
        this.#taken.add(index);
        return index;
      }
    }
    return null;
  }

  release(index: number): void {
    this.#taken.delete(index);
    this.#board.withdrawIndex(index);
  }

  get size(): number {
    return this.#taken.size;
  }
}

const DRAW_MAX = 32;
