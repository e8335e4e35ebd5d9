/**
 * The candidate endpoints of every peer: what was learned from its own packets, what lighthouses and the peer reported,
 * what static hosts' names resolve to, kept apart by owner (who told us) and united on use.
 *
 * Several vpn addresses of one peer share one list. Nothing expires: a list goes when the last tunnel to its peer does
 * (`forget`), except for static hosts (Nebula protocol: remote list). The caller names owners by vpn address: the peer
 * itself for what its packets and its updates say, the lighthouse for its replies, this node for static and calculated
 * entries.
 *
 * Reported and resolved endpoints are filtered when they are used, not when they are stored, so that a reload of the
 * allow lists acts at once. All limits are the protocol's, so a hostile lighthouse cannot make a list grow.
 */
import {
  compareAddresses,
  type Endpoint,
  endpointOf,
  type IpAddress,
  type Prefix,
  prefixContains,
} from '../../../shared/ip/address.ts';
import { RemoteAllowList } from './allowList.ts';
import { sortEndpoints } from './endpointOrder.ts';

/** How many reported endpoints per family, and how many relays, are kept of one message. */
const REPORTED_MAX = 10;

/** What decides which endpoints are used and in which order; reloadable. */
export interface RemotesPolicy {
  /** The networks of this node's certificates: an endpoint inside them would send the tunnel through itself. */
  readonly ownNetworks: readonly Prefix[];
  readonly allowList: RemoteAllowList;
  /** `preferred_ranges`: endpoints inside come first. */
  readonly preferredRanges: readonly Prefix[];
}

/** What one owner said about a peer. */
export interface OwnerEntry {
  readonly owner: IpAddress;
  readonly learned: readonly Endpoint[];
  readonly reported: readonly Endpoint[];
  readonly relays: readonly IpAddress[];
}

/** A name, and why it gave no endpoint. */
export interface UnresolvedName {
  readonly host: string;
  readonly error: string;
}

export class Remotes {
  #policy: RemotesPolicy;
  /** Vpn address → list; addresses of one peer map to one object. */
  readonly #peers: Map<string, PeerRemotes> = new Map();
  #staticHosts: ReadonlySet<string> = new Set();
  /** By vpn address of a static host: names of it that the last lookup did not find. */
  readonly #unresolved: Map<string, readonly UnresolvedName[]> = new Map();

  constructor(policy: RemotesPolicy = { ownNetworks: [], allowList: RemoteAllowList.all, preferredRanges: [] }) {
    this.#policy = policy;
  }

  /** Replaces the policy after a reload; every list is sorted and filtered anew on its next use. */
  applyPolicy(policy: RemotesPolicy): void {
    this.#policy = policy;
    for (const peer of this.#peers.values()) {
      peer.sorted = null;
    }
  }

  /** Says which peers are static hosts; their lists survive `forget`. Replaces what was said before. */
  applyStaticHosts(addresses: readonly IpAddress[]): void {
    this.#staticHosts = new Set(addresses.map((address) => address.text));
    for (const text of [...this.#unresolved.keys()]) {
      if (!this.#staticHosts.has(text)) {
        this.#unresolved.delete(text);
      }
    }
  }

  isStatic(vpnAddress: IpAddress): boolean {
    return this.#staticHosts.has(vpnAddress.text);
  }

  /** Notes the source of an authenticated packet: one endpoint per owner and family, the newest wins. */
  learn(owner: IpAddress, vpnAddress: IpAddress, endpoint: Endpoint): void {
    const peer = this.#peer(vpnAddress);
    const entry = peer.entry(owner);
    // Whom this machine calls later it calls from whichever of its addresses the kernel chooses.
    const learned = endpoint.local === undefined ? endpoint : endpointOf(endpoint.address, endpoint.port);
    if (learned.address.family === 4) {
      entry.learned4 = learned;
    } else {
      entry.learned6 = learned;
    }
    peer.sorted = null;
  }

  /** Replaces all that `owner` reported; only the first ten endpoints per family and the first ten relays count. */
  report(owner: IpAddress, vpnAddress: IpAddress, endpoints: readonly Endpoint[], relays: readonly IpAddress[]): void {
    const peer = this.#peer(vpnAddress);
    const entry = peer.entry(owner);
    const kept = { 4: 0, 6: 0 };
    entry.reported = endpoints.filter((endpoint) => kept[endpoint.address.family]++ < REPORTED_MAX);
    entry.relays = relays.slice(0, REPORTED_MAX);
    peer.sorted = null;
  }

  /** Replaces what the names of a static host resolved to. */
  resolve(vpnAddress: IpAddress, endpoints: readonly Endpoint[]): void {
    const peer = this.#peer(vpnAddress);
    peer.resolved = endpoints;
    peer.sorted = null;
  }

  /** Replaces which names of a static host the last lookup did not find. */
  noteUnresolved(vpnAddress: IpAddress, names: readonly UnresolvedName[]): void {
    if (names.length === 0) {
      this.#unresolved.delete(vpnAddress.text);
    } else {
      this.#unresolved.set(vpnAddress.text, names);
    }
  }

  unresolved(vpnAddress: IpAddress): readonly UnresolvedName[] {
    return this.#unresolved.get(vpnAddress.text) ?? NO_NAMES;
  }

  /** Drops what `owner` said about a peer: used when static or calculated entries of this node go away. */
  retract(owner: IpAddress, vpnAddress: IpAddress): void {
    const peer = this.#peers.get(vpnAddress.text);
    if (peer !== undefined) {
      peer.owners = peer.owners.filter((entry) => entry.owner.text !== owner.text);
      peer.sorted = null;
    }
  }

  /** The endpoints to try, best first, without the blocked ones. The array is shared: read it, do not keep or change it. */
  list(vpnAddress: IpAddress): readonly Endpoint[] {
    const peer = this.#peers.get(vpnAddress.text);
    if (peer === undefined) {
      return NO_ENDPOINTS;
    }
    peer.sorted ??= sortEndpoints(this.#usable(peer), this.#policy.preferredRanges);
    return peer.sorted;
  }

  /** The vpn addresses of hosts that relay to this peer, without duplicates, in numeric order, IPv4 first. */
  relays(vpnAddress: IpAddress): readonly IpAddress[] {
    const unique = new Map<string, IpAddress>();
    for (const entry of this.#peers.get(vpnAddress.text)?.owners ?? []) {
      for (const relay of entry.relays) {
        unique.set(relay.text, relay);
      }
    }
    return [...unique.values()].sort(compareAddresses);
  }

  /** Keeps an endpoint out of the list: another host answered there. */
  block(vpnAddress: IpAddress, endpoint: Endpoint): void {
    const peer = this.#peer(vpnAddress);
    if (!peer.blocked.includes(endpoint.text)) {
      peer.blocked = [...peer.blocked, endpoint.text].slice(-BLOCKED_MAX);
      peer.sorted = null;
    }
  }

  isBlocked(vpnAddress: IpAddress, endpoint: Endpoint): boolean {
    return this.#peers.get(vpnAddress.text)?.blocked.includes(endpoint.text) ?? false;
  }

  /** Forgets all blocked endpoints of a peer. */
  unblock(vpnAddress: IpAddress): void {
    const peer = this.#peers.get(vpnAddress.text);
    if (peer !== undefined && peer.blocked.length > 0) {
      peer.blocked = [];
      peer.sorted = null;
    }
  }

  /**
   * Makes the addresses of one peer, as its certificate has them, share one list with all that was known under any.
   * An address that was joined to one of them before but is not the peer's any more keeps a list of its own.
   */
  join(vpnAddresses: readonly IpAddress[]): void {
    const known = new Set<PeerRemotes>();
    for (const address of vpnAddresses) {
      const peer = this.#peers.get(address.text);
      if (peer !== undefined) {
        known.add(peer);
      }
    }
    const joined = new PeerRemotes(vpnAddresses);
    for (const peer of known) {
      if (known.size === 1 && hasExactly(peer, vpnAddresses)) {
        return;
      }
      joined.absorb(peer);
      peer.addresses = peer.addresses.filter((address) => !vpnAddresses.some((other) => other.text === address.text));
    }
    for (const address of vpnAddresses) {
      this.#peers.set(address.text, joined);
    }
  }

  /** The last tunnel to a peer is gone: drops its list, unless one of its addresses is a static host. */
  forget(vpnAddresses: readonly IpAddress[]): void {
    for (const address of vpnAddresses) {
      const peer = this.#peers.get(address.text);
      if (peer === undefined || peer.addresses.some((other) => this.isStatic(other))) {
        continue;
      }
      for (const other of peer.addresses) {
        this.#peers.delete(other.text);
      }
    }
  }

  has(vpnAddress: IpAddress): boolean {
    return this.#peers.has(vpnAddress.text);
  }

  /** The addresses that share this peer's list, the first one given first; empty when there is none. */
  addressesOf(vpnAddress: IpAddress): readonly IpAddress[] {
    return this.#peers.get(vpnAddress.text)?.addresses ?? [];
  }

  /** Who said what about a peer, for the operator's eyes. */
  entries(vpnAddress: IpAddress): readonly OwnerEntry[] {
    return (this.#peers.get(vpnAddress.text)?.owners ?? []).map((entry) => ({
      owner: entry.owner,
      learned: learnedOf(entry),
      reported: entry.reported,
      relays: entry.relays,
    }));
  }

  /** The addresses of every known peer, one array per peer. */
  peers(): readonly (readonly IpAddress[])[] {
    return [...new Set(this.#peers.values())].map((peer) => peer.addresses);
  }

  #peer(vpnAddress: IpAddress): PeerRemotes {
    let peer = this.#peers.get(vpnAddress.text);
    if (peer === undefined) {
      peer = new PeerRemotes([vpnAddress]);
      this.#peers.set(vpnAddress.text, peer);
    }
    return peer;
  }

  #usable(peer: PeerRemotes): Endpoint[] {
    const usable = new Map<string, Endpoint>();
    const { allowList, ownNetworks } = this.#policy;
    const addFiltered = (endpoint: Endpoint): void => {
      const address = endpoint.address;
      if (allowList.allowsAll(peer.addresses, address) && !ownNetworks.some((net) => prefixContains(net, address))) {
        usable.set(endpoint.text, endpoint);
      }
    };
    for (const entry of peer.owners) {
      for (const endpoint of learnedOf(entry)) {
        usable.set(endpoint.text, endpoint);
      }
      entry.reported.forEach(addFiltered);
    }
    peer.resolved.forEach(addFiltered);
    for (const text of peer.blocked) {
      usable.delete(text);
    }
    return [...usable.values()];
  }
}

class Entry {
  readonly owner: IpAddress;
  learned4: Endpoint | null = null;
  learned6: Endpoint | null = null;
  reported: readonly Endpoint[] = NO_ENDPOINTS;
  relays: readonly IpAddress[] = NO_RELAYS;

  constructor(owner: IpAddress) {
    this.owner = owner;
  }
}

class PeerRemotes {
  addresses: readonly IpAddress[];
  /** A few at most, so an array: a lighthouse may keep a hundred thousand of these lists. */
  owners: readonly Entry[] = [];
  /** Texts of endpoints, the oldest first. */
  blocked: readonly string[] = [];
  resolved: readonly Endpoint[] = NO_ENDPOINTS;
  /** The list as last computed; null when something changed since. */
  sorted: readonly Endpoint[] | null = null;

  constructor(addresses: readonly IpAddress[]) {
    this.addresses = addresses;
  }

  entry(owner: IpAddress): Entry {
    const known = this.owners.find((entry) => entry.owner.text === owner.text);
    if (known !== undefined) {
      return known;
    }
    const entry = new Entry(owner);
    this.owners = [...this.owners, entry];
    return entry;
  }

  /** Takes over what another list of the same peer has; where both have something, this one's stays. */
  absorb(other: PeerRemotes): void {
    for (const theirs of other.owners) {
      const ours = this.entry(theirs.owner);
      ours.learned4 ??= theirs.learned4;
      ours.learned6 ??= theirs.learned6;
      ours.reported = ours.reported.length > 0 ? ours.reported : theirs.reported;
      ours.relays = ours.relays.length > 0 ? ours.relays : theirs.relays;
    }
    this.blocked = [...new Set([...this.blocked, ...other.blocked])].slice(-BLOCKED_MAX);
    this.resolved = this.resolved.length > 0 ? this.resolved : other.resolved;
  }
}

function hasExactly(peer: PeerRemotes, addresses: readonly IpAddress[]): boolean {
  return (
    peer.addresses.length === addresses.length &&
    peer.addresses.every((address, index) => address.text === addresses[index].text)
  );
}

function learnedOf(entry: Entry): readonly Endpoint[] {
  return [entry.learned4, entry.learned6].filter((endpoint) => endpoint !== null);
}

/** More blocked endpoints than a list can hold honest ones; the oldest give way. */
const BLOCKED_MAX = 64;
const NO_ENDPOINTS: readonly Endpoint[] = [];
const NO_NAMES: readonly UnresolvedName[] = [];
const NO_RELAYS: readonly IpAddress[] = [];
