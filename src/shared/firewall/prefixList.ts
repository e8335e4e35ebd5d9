/**
 * A few prefixes as words, searched in order by the packet path; IPv4 and IPv6 apart, so that `::/0` is no IPv4 prefix.
 *
 * Certificates and rules have a handful of prefixes each, and searching four takes less than hashing once. Built cold;
 * `find` allocates nothing.
 */
import type { Prefix } from '../ip/address.ts';
import { findNetwork, networkWords } from '../ip/networkWords.ts';
import type { PacketTuple } from '../ip/packetTuple.ts';

export class PrefixList {
  readonly isEmpty: boolean;
  /** Network and mask in turn. */
  readonly #words4: Int32Array;
  /** As `networkWords` makes them. */
  readonly #words6: Int32Array;
  readonly #values4: Int32Array;
  readonly #values6: Int32Array;

  /** Every prefix has a value of 0 or less (its meaning to the caller); the first match in the given order wins. */
  constructor(prefixes: readonly Prefix[], values: readonly number[]) {
    const positions = prefixes.map((_, index) => index);
    const positions4 = positions.filter((index) => prefixes[index].address.family === 4);
    const positions6 = positions.filter((index) => prefixes[index].address.family === 6);
    this.isEmpty = prefixes.length === 0;
    this.#words4 = Int32Array.from(positions4.flatMap((index) => ipv4Words(prefixes[index])));
    this.#words6 = networkWords(positions6.map((index) => prefixes[index]));
    this.#values4 = Int32Array.from(positions4, (index) => values[index]);
    this.#values6 = Int32Array.from(positions6, (index) => values[index]);
  }

  /** The value of the first prefix with the remote address, or `none`. */
  findRemote(tuple: PacketTuple, none: number): number {
    return tuple.version === 4
      ? this.#find4(tuple.remote3, none)
      : this.#find6(tuple.remote0, tuple.remote1, tuple.remote2, tuple.remote3, none);
  }

  /** The value of the first prefix with the local address, or `none`. */
  findLocal(tuple: PacketTuple, none: number): number {
    return tuple.version === 4
      ? this.#find4(tuple.local3, none)
      : this.#find6(tuple.local0, tuple.local1, tuple.local2, tuple.local3, none);
  }

  #find4(word: number, none: number): number {
    const words = this.#words4;
    for (let at = 0; at < words.length; at += 2) {
      if ((word & words[at + 1]) === words[at]) {
        return this.#values4[at >> 1];
      }
    }
    return none;
  }

  #find6(word0: number, word1: number, word2: number, word3: number, none: number): number {
    const at = findNetwork(this.#words6, word0, word1, word2, word3);
    return at < 0 ? none : this.#values6[at];
  }
}

/** A list in which every prefix means the same: found is 0. */
export function prefixSet(prefixes: readonly Prefix[]): PrefixList {
  return new PrefixList(
    prefixes,
    prefixes.map(() => 0),
  );
}

function ipv4Words(prefix: Prefix): number[] {
  const words = networkWords([prefix]);
  return [words[3], words[7]];
}
