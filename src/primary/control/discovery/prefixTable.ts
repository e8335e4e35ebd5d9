/**
 * A longest-prefix-match table for the control plane and for per-tunnel identity: built once, read often.
 *
 * One Map per prefix length, probed from the longest: a table here has a handful of lengths, so this beats a trie in
 * both size and clarity. Not for the packet path with thousands of distinct lengths.
 */
import { type IpAddress, maskedPrefix, type Prefix, prefixOf } from '../../../shared/ip/address.ts';

export class PrefixTable<Value> {
  readonly #byFamily: Record<4 | 6, Map<number, Map<string, Value>>> = { 4: new Map(), 6: new Map() };
  /** Prefix lengths in use, longest first. */
  readonly #lengths: Record<4 | 6, number[]> = { 4: [], 6: [] };

  /** Adds or replaces the value of a prefix; its host bits are ignored. */
  set(prefix: Prefix, value: Value): void {
    const family = prefix.address.family;
    let byText = this.#byFamily[family].get(prefix.bits);
    if (byText === undefined) {
      byText = new Map();
      this.#byFamily[family].set(prefix.bits, byText);
      this.#lengths[family].push(prefix.bits);
      this.#lengths[family].sort((a, b) => b - a);
    }
    byText.set(maskedPrefix(prefix).address.text, value);
  }

  /** The value of the longest prefix that contains the address. */
  lookup(address: IpAddress): Value | undefined {
    for (const bits of this.#lengths[address.family]) {
      const network = maskedPrefix(prefixOf(address, bits)).address.text;
      const value = this.#byFamily[address.family].get(bits)?.get(network);
      if (value !== undefined) {
        return value;
      }
    }
    return undefined;
  }

  contains(address: IpAddress): boolean {
    return this.lookup(address) !== undefined;
  }

  get isEmpty(): boolean {
    return this.#lengths[4].length === 0 && this.#lengths[6].length === 0;
  }
}
