/**
 * Token buckets by underlay address: what one sender may cost, however many ports it uses. An IPv6 sender is its /64.
 *
 * A fixed number of buckets; addresses meet in one by a seeded hash, so nobody can aim at the bucket of another.
 * Allocates nothing.
 */

import { MAPPED_WORD } from '../../shared/ip/networkWords.ts';
import { Quotas } from '../../shared/ipc/quotas.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import { SocketFamily } from '../../shared/tunnel/socketAddress.ts';

/** A power of two. */
const BUCKETS = 8192;

export class SourceQuotas {
  readonly #arena: Arena;
  readonly #family: SocketFamily;
  readonly #seed: number;
  readonly #quotas: Quotas;

  constructor(arena: Arena, family: SocketFamily, seed: number, perSecond: number, burst: number) {
    this.#arena = arena;
    this.#family = family;
    this.#seed = seed;
    this.#quotas = new Quotas(BUCKETS, perSecond, burst);
  }

  /** Takes a token of the sender at socket address `source`; false when it has none. */
  admit(source: number, nowMs: number): boolean {
    return this.#quotas.admit(this.#hash(source) & (BUCKETS - 1), nowMs);
  }

  #hash(source: number): number {
    const { view } = this.#arena;
    if (this.#family === SocketFamily.Ipv4) {
      return mix(mix(this.#seed, MAPPED_WORD), view.getInt32(source + 4));
    }
    const [w0, w1] = [view.getInt32(source + 8), view.getInt32(source + 12)];
    const isMapped = w0 === 0 && w1 === 0 && view.getInt32(source + 16) === MAPPED_WORD;
    return isMapped ? mix(mix(this.#seed, MAPPED_WORD), view.getInt32(source + 20)) : mix(mix(this.#seed, w0), w1);
  }
}

function mix(state: number, word: number): number {
  const mixed = Math.imul(state ^ word ^ (word >>> 16), 0x21f0aaad);
  return mixed ^ (mixed >>> 15);
}
