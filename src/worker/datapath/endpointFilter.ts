/**
 * Which reported endpoints a lighthouse stores: those that the remote allow lists allow and that are not inside of this
 * node's own networks (Nebula protocol: remote list). Made once per configuration; asking allocates nothing.
 */
import { type Prefix, parsePrefix } from '../../shared/ip/address.ts';
import type { FlatRules, RemoteAllowRules } from '../../shared/ip/allowRules.ts';
import { findNetwork, networkWords } from '../../shared/ip/networkWords.ts';

/** The lists, and the node's networks as prefixes. */
export interface EndpointRules extends RemoteAllowRules {
  readonly ownNetworks: readonly string[];
}

export class EndpointFilter {
  readonly #own: Int32Array;
  readonly #global: WordRules;
  readonly #rangeNetworks: Int32Array;
  readonly #ranges: readonly WordRules[];

  constructor(rules: EndpointRules) {
    this.#own = networkWords(rules.ownNetworks.map(prefixOf));
    this.#global = new WordRules(rules.remoteAllowList);
    const ranges = rules.remoteAllowRanges
      .map(([network, list]) => ({ network: prefixOf(network), list }))
      .sort((a, b) => mappedBits(b.network) - mappedBits(a.network));
    this.#rangeNetworks = networkWords(ranges.map((range) => range.network));
    this.#ranges = ranges.map((range) => new WordRules(range.list));
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

  constructor(rules: FlatRules) {
    const sorted = rules
      .map(([text, isAllowed]) => ({ network: prefixOf(text), isAllowed }))
      .sort((a, b) => mappedBits(b.network) - mappedBits(a.network));
    this.#networks = networkWords(sorted.map((rule) => rule.network));
    this.#verdicts = sorted.map((rule) => rule.isAllowed);
  }

  allows(a0: number, a1: number, a2: number, a3: number): boolean {
    const rule = findNetwork(this.#networks, a0, a1, a2, a3);
    return rule < 0 || this.#verdicts[rule];
  }
}

/** In one table of 16-byte prefixes 0.0.0.0/0 is ::ffff:0:0/96, so it stands before ::/0. */
function mappedBits(prefix: Prefix): number {
  return prefix.address.family === 4 ? prefix.bits + 96 : prefix.bits;
}

function prefixOf(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === null) {
    throw new RangeError(`not a prefix: ${text}`);
  }
  return prefix;
}
