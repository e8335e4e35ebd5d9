/**
 * Generated rule sets and packets for the comparison of weft's firewall with nebula 1.6.1's: seeded, and within what that
 * release understands and where it means the same as later ones. Left out, with what they would show:
 *   - `local_cidr` (since 1.7) and `any` as a cidr (since 1.10): 1.6.1 does not know them;
 *   - a port on a rule for ICMP: since 1.11 it is ignored, in 1.6.1 it makes the rule match nothing;
 *   - ICMP packets with different identifiers: before 1.11 the identifier is not part of the flow, so every echo here has
 *     the same one; and fragments of ICMP;
 *   - an address on somebody else's live flow: before 1.11 conntrack was asked before the certificate;
 *   - IPv6 inside the tunnel (since 1.10).
 * A rule without `local_cidr` covers this node's unsafe networks in 1.6.1, for which later releases want
 * `default_local_cidr_any`.
 */
import { Random } from '../support/random.ts';

export interface FirewallRule {
  readonly port: string | number;
  readonly proto: 'any' | 'tcp' | 'udp' | 'icmp';
  readonly host?: string;
  readonly group?: string;
  readonly groups?: readonly string[];
  readonly cidr?: string;
  readonly ca_name?: string;
  readonly ca_sha?: string;
}

export interface RuleSet {
  readonly inbound: readonly FirewallRule[];
  readonly outbound: readonly FirewallRule[];
}

/** Whose address stands on the packet: the node's own, one of its certificate's unsafe networks, or one of neither. */
export type AddressKind = 'own' | 'unsafe' | 'stray';

/** A packet between the firewall under test (local) and one of its peers (remote). */
export interface FirewallCase {
  readonly incoming: boolean;
  readonly peer: number;
  readonly remote: AddressKind;
  readonly local: AddressKind;
  readonly protocol: number;
  readonly remotePort: number;
  readonly localPort: number;
  readonly isFragment: boolean;
}

/** What rules can name. */
export interface Cast {
  readonly hosts: readonly string[];
  readonly groups: readonly string[];
  readonly cidrs: readonly string[];
  readonly caNames: readonly string[];
  readonly caShas: readonly string[];
  readonly peerCount: number;
  /** The peer whose certificate has an unsafe network, which alone may send from one. */
  readonly gateway: number;
}

const PORTS: readonly number[] = [22, 80, 443, 900, 1000, 1001, 1002, 1010];
const PORT_TEXTS: readonly (string | number)[] = [
  'any',
  'any',
  22,
  80,
  '443',
  900,
  '1000-1002',
  '1001 - 1010',
  '1 - 900',
  'fragment',
];
/** TCP, UDP, ICMP, and GRE for the protocols that only `proto: any` covers. */
const PROTOCOLS: readonly number[] = [6, 6, 6, 17, 17, 17, 1, 47];
const ECHO_IDENTIFIER = 7;
/** The remote port of flows that come back under later rule sets and in both directions. */
const RETURNING_PORT = 900;

export class FirewallCases {
  readonly #random: Random;
  readonly #cast: Cast;
  #lastPort = 10_000;

  constructor(seed: number, cast: Cast) {
    this.#random = new Random(seed);
    this.#cast = cast;
  }

  ruleSet(): RuleSet {
    return { inbound: this.#rules(), outbound: this.#rules() };
  }

  packets(incoming: boolean, count: number): FirewallCase[] {
    return Array.from({ length: count }, () => this.#packet(incoming));
  }

  #rules(): FirewallRule[] {
    return Array.from({ length: 2 + this.#random.below(5) }, () => this.#rule());
  }

  #rule(): FirewallRule {
    const random = this.#random;
    const proto = random.pick(['any', 'tcp', 'tcp', 'udp', 'udp', 'icmp'] as const);
    const port = proto === 'icmp' ? 'any' : random.pick(PORT_TEXTS);
    const peer = random.below(10) === 0 ? {} : this.#peerSelector();
    const authority = random.below(4) === 0 || Object.keys(peer).length === 0 ? this.#authoritySelector() : {};
    return { port, proto, ...peer, ...authority };
  }

  /** One or two of the selectors, of which one has to fit. */
  #peerSelector(): Partial<FirewallRule> {
    const one = this.#oneSelector();
    return this.#random.below(4) === 0 ? { ...this.#oneSelector('cidr'), ...one } : one;
  }

  #oneSelector(wanted?: string): Partial<FirewallRule> {
    const random = this.#random;
    const { hosts, groups, cidrs } = this.#cast;
    switch (wanted ?? random.pick(['host', 'host', 'group', 'groups', 'cidr'])) {
      case 'host':
        return { host: random.pick([...hosts, 'any']) };
      case 'group':
        return { group: random.pick(groups) };
      case 'groups':
        return { groups: [...new Set([random.pick(groups), random.pick(groups)])] };
      default:
        return { cidr: random.pick(cidrs) };
    }
  }

  #authoritySelector(): Partial<FirewallRule> {
    const random = this.#random;
    const name = { ca_name: random.pick(this.#cast.caNames) };
    const sha = { ca_sha: random.pick(this.#cast.caShas) };
    return random.pick([name, name, sha, { ...name, ...sha }]);
  }

  #packet(incoming: boolean): FirewallCase {
    const random = this.#random;
    const protocol = random.pick(PROTOCOLS);
    const isFragment = protocol !== 1 && random.below(8) === 0;
    const remote = this.#addressKind(incoming);
    const peer = remote === 'own' ? random.below(this.#cast.peerCount) : this.#cast.gateway;
    const local = this.#addressKind(incoming);
    const common = { incoming, peer, remote, local, protocol, isFragment };
    if (protocol === 1) {
      return { ...common, remotePort: ECHO_IDENTIFIER, localPort: 0 };
    }
    const named = random.pick(PORTS);
    if (random.below(4) === 0) {
      return { ...common, remotePort: RETURNING_PORT, localPort: named };
    }
    const fresh = ++this.#lastPort;
    return incoming
      ? { ...common, remotePort: fresh, localPort: named }
      : { ...common, remotePort: named, localPort: fresh };
  }

  /** A stray address reaches the firewall only from inside: a peer's own firewall would not let it out. */
  #addressKind(incoming: boolean): AddressKind {
    const roll = this.#random.below(12);
    return roll < 9 ? 'own' : roll < 11 || incoming ? 'unsafe' : 'stray';
  }
}
