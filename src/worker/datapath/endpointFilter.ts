/**
 * Which reported endpoints a lighthouse stores: those that the remote allow lists allow and that are not inside of this
 * node's own networks (Nebula protocol: remote list). Made once per configuration; asking allocates nothing.
 */
import type { Prefix } from '../../shared/ip/address.ts';
import type { AllowRules, RemoteAllowRules } from '../../shared/ip/allowRules.ts';
import { findNetwork, networkWords } from '../../shared/ip/networkWords.ts';

/** The lists, and the node's networks. */
export interface EndpointRules extends RemoteAllowRules {
  readonly ownNetworks: readonly Prefix[];
}

export class EndpointFilter {
  readonly #own: Int32Array;
  readonly #global: WordRules;
  readonly #rangeNetworks: Int32Array;
  readonly #ranges: readonly WordRules[];

  constructor(rules: EndpointRules) {
    this.#own = networkWords(rules.ownNetworks);
    this.#global = new WordRules(rules.remoteAllowList);
    const ranges = longestFirst(rules.remoteAllowRanges);
    this.#rangeNetworks = networkWords(ranges.map((range) => range.network));
    this.#ranges = ranges.map((range) => new WordRules(range.rules));
  }

  /** Whether the host with these vpn addresses (four words each) may be at this underlay address. */
  allows(vpnAddresses: Int32Array, a0: number, a1: number, a2: number, a3: number): boolean {
    if (!this.#global.allows(a0, a1, a2, a3) || findNetwork(this.#own, a0, a1, a2, a3) >= 0) {
      return false;
    }
    if (this.#ranges.length === 0) {
      return true;
    }
    for (let base = 0; base < vpnAddresses.length; base += 4) {
      const range = findNetwork(
        this.#rangeNetworks,
        vpnAddresses[base],
        vpnAddresses[base + 1],
        vpnAddresses[base + 2],
        vpnAddresses[base + 3],
      );
      if (range >= 0 && !this.#ranges[range].allows(a0, a1, a2, a3)) {
        return false;
      }
    }
    return true;
  }
}

/** One allow list, longest prefix first. */
class WordRules {
  readonly #networks: Int32Array;
  readonly #verdicts: readonly boolean[];

  constructor(rules: AllowRules) {
    const sorted = longestFirst(rules);
    this.#networks = networkWords(sorted.map((rule) => rule.network));
    this.#verdicts = sorted.map((rule) => rule.isAllowed);
  }

  allows(a0: number, a1: number, a2: number, a3: number): boolean {
    const rule = findNetwork(this.#networks, a0, a1, a2, a3);
    return rule < 0 || this.#verdicts[rule];
  }
}

/** Of equal networks the last comes first, as it is the one that counts. */
function longestFirst<Entry extends { readonly network: Prefix }>(entries: readonly Entry[]): readonly Entry[] {
  return [...entries].reverse().sort((a, b) => mappedBits(b.network) - mappedBits(a.network));
}

/** In one table of 16-byte prefixes 0.0.0.0/0 is ::ffff:0:0/96, so it stands before ::/0. */
function mappedBits(prefix: Prefix): number {
  return prefix.address.family === 4 ? prefix.bits + 96 : prefix.bits;
}
