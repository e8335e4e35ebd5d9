/**
 * The rules of one table that can match one peer, indexed by direction, protocol and port.
 *
 * Everything in a rule that depends on the certificates alone is decided when this is built: authority, groups, host,
 * and every `cidr` or `local_cidr` that covers all or none of the addresses the identity checks let through. What is
 * left per packet is a binary search for the port's segment and, for the rare rule that covers some of the addresses,
 * a comparison with its prefix. So the cost of a packet does not depend on the rules that cannot match its peer, and
 * hardly on those that can.
 *
 * A segment's list is in the order of the configuration and ends with its first unconditional rule, so the rule found
 * is the first that matches: that is the one counted and named by `weft why`. Source: Nebula protocol, rule matching.
 */

import { type Prefix, prefixContains } from '../ip/address.ts';
import { IpProtocol } from '../ip/headers.ts';
import type { PacketTuple } from '../ip/packetTuple.ts';
import type { OwnIdentity, PeerIdentity } from './identity.ts';
import { type PrefixList, prefixSet } from './prefixList.ts';
import { acceptsAnyPeer, type Rule, RuleProto } from './rule.ts';
import type { RuleTable } from './ruleTable.ts';

export class PeerRules {
  readonly #incoming: DirectionRules;
  readonly #outgoing: DirectionRules;

  /** Cold: walks all rules of the table once. */
  constructor(table: RuleTable, peer: PeerIdentity, own: OwnIdentity) {
    const local = defaultLocalPrefixes(table, own);
    this.#incoming = new DirectionRules(selectRules(table.inbound, peer, own, local));
    this.#outgoing = new DirectionRules(selectRules(table.outbound, peer, own, local));
  }

  /** Index of the first rule that matches, in its direction's list, or -1. The identity checks must have passed. */
  match(tuple: PacketTuple, incoming: boolean): number {
    const rules = incoming ? this.#incoming : this.#outgoing;
    const port = incoming ? tuple.localPort : tuple.remotePort;
    switch (tuple.protocol) {
      case IpProtocol.Tcp:
        return firstMatch(rules.tcp.listFor(port, tuple.isFragment), tuple);
      case IpProtocol.Udp:
        return firstMatch(rules.udp.listFor(port, tuple.isFragment), tuple);
      case IpProtocol.Icmp:
      case IpProtocol.Icmpv6:
        return firstMatch(rules.icmp, tuple);
      default:
        return firstMatch(rules.other.listFor(port, tuple.isFragment), tuple);
    }
  }
}

/** What `local_cidr` means where a rule has none: null is any local address, else only our own VPN networks. */
export function defaultLocalPrefixes(table: RuleTable, own: OwnIdentity): readonly Prefix[] | null {
  const isAny = table.defaultLocalCidrAny || own.certificate.unsafeNetworks.length === 0;
  return isAny ? null : own.certificate.networks;
}

/** A rule of which only the addresses are left to check; an empty list: nothing is left. */
class Candidate {
  readonly rule: Rule;
  readonly remote: PrefixList;
  readonly local: PrefixList;

  constructor(rule: Rule, remote: readonly Prefix[], local: readonly Prefix[]) {
    this.rule = rule;
    this.remote = prefixSet(remote);
    this.local = prefixSet(local);
  }

  get isUnconditional(): boolean {
    return this.remote.isEmpty && this.local.isEmpty;
  }
}

class DirectionRules {
  readonly tcp: PortIndex;
  readonly udp: PortIndex;
  readonly other: PortIndex;
  /** ICMP knows no ports: only rules for any port. */
  readonly icmp: CandidateList;

  constructor(candidates: readonly Candidate[]) {
    const of = (proto: RuleProto) =>
      candidates.filter(({ rule }) => rule.proto === RuleProto.Any || rule.proto === proto);
    this.tcp = new PortIndex(of(RuleProto.Tcp));
    this.udp = new PortIndex(of(RuleProto.Udp));
    this.other = new PortIndex(of(RuleProto.Any));
    this.icmp = new CandidateList(of(RuleProto.Icmp).filter(hasAnyPort));
  }
}

/** Candidates by port: sorted starts of segments within which the list is the same. */
class PortIndex {
  readonly #starts: Int32Array;
  readonly #lists: readonly CandidateList[];
  readonly #fragments: CandidateList;

  constructor(candidates: readonly Candidate[]) {
    const everywhere = candidates.filter(hasAnyPort);
    const ranged = candidates.filter(({ rule }) => rule.ports.start > 0);
    ranged.sort((a, b) => a.rule.ports.start - b.rule.ports.start);
    const starts = segmentStarts(ranged);
    const lists: CandidateList[] = [];
    let active: Candidate[] = [];
    let next = 0;
    for (const start of starts) {
      active = active.filter(({ rule }) => rule.ports.end >= start);
      while (next < ranged.length && ranged[next].rule.ports.start === start) {
        active.push(ranged[next]);
        next++;
      }
      lists.push(new CandidateList([...everywhere, ...active]));
    }
    this.#starts = Int32Array.from(starts);
    this.#lists = lists;
    this.#fragments = new CandidateList(candidates.filter(({ rule }) => rule.ports.start <= 0));
  }

  listFor(port: number, isFragment: boolean): CandidateList {
    if (isFragment) {
      return this.#fragments;
    }
    const starts = this.#starts;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= port) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return this.#lists[low];
  }
}

/** Candidates in the order of the configuration, up to the first that needs no check. */
class CandidateList {
  readonly items: readonly Candidate[];

  constructor(candidates: readonly Candidate[]) {
    const ordered = [...candidates].sort((a, b) => a.rule.index - b.rule.index);
    const last = ordered.findIndex((candidate) => candidate.isUnconditional);
    this.items = last < 0 ? ordered : ordered.slice(0, last + 1);
  }
}

function firstMatch(list: CandidateList, tuple: PacketTuple): number {
  const items = list.items;
  for (let position = 0; position < items.length; position++) {
    const { rule, remote, local } = items[position];
    if ((remote.isEmpty || remote.findRemote(tuple, -1) === 0) && (local.isEmpty || local.findLocal(tuple, -1) === 0)) {
      return rule.index;
    }
  }
  return -1;
}

function selectRules(
  rules: readonly Rule[],
  peer: PeerIdentity,
  own: OwnIdentity,
  defaultLocal: readonly Prefix[] | null,
): readonly Candidate[] {
  const selected: Candidate[] = [];
  for (const rule of rules) {
    const remote = matchesAuthority(rule, peer) ? remoteChecks(rule, peer) : null;
    const local = remote === null ? null : localChecks(rule, own, defaultLocal);
    if (remote !== null && local !== null) {
      selected.push(new Candidate(rule, remote, local));
    }
  }
  return selected;
}

/** With both `ca_name` and `ca_sha`, either suffices. */
export function matchesAuthority(rule: Rule, peer: PeerIdentity): boolean {
  return (
    (rule.caName === null && rule.caSha === null) ||
    (rule.caSha !== null && rule.caSha === peer.certificate.issuer) ||
    (rule.caName !== null && rule.caName === peer.caName)
  );
}

/** Whether groups or host of the rule fit the certificate, whatever the address. */
function matchesName(rule: Rule, peer: PeerIdentity): boolean {
  const { groups, name } = peer.certificate;
  return (
    acceptsAnyPeer(rule) ||
    (rule.groups.length > 0 && rule.groups.every((group) => groups.includes(group))) ||
    (rule.host !== null && rule.host === name)
  );
}

function remoteChecks(rule: Rule, peer: PeerIdentity): readonly Prefix[] | null {
  if (matchesName(rule, peer)) {
    return [];
  }
  return rule.cidr === null || rule.cidr === 'any' ? null : checksFor([rule.cidr], peer.remotePrefixes);
}

function localChecks(rule: Rule, own: OwnIdentity, defaultLocal: readonly Prefix[] | null): readonly Prefix[] | null {
  const wanted = rule.localCidr === 'any' ? null : rule.localCidr === null ? defaultLocal : [rule.localCidr];
  return wanted === null ? [] : checksFor(wanted, own.localPrefixes);
}

/** Prefixes still to be compared when the address is known to lie in `possible`: none (always) or null (never). */
function checksFor(wanted: readonly Prefix[], possible: readonly Prefix[]): readonly Prefix[] | null {
  if (possible.every((inner) => wanted.some((outer) => covers(outer, inner)))) {
    return [];
  }
  const left = wanted.filter((prefix) => possible.some((other) => covers(prefix, other) || covers(other, prefix)));
  return left.length === 0 ? null : left;
}

function covers(outer: Prefix, inner: Prefix): boolean {
  return outer.bits <= inner.bits && prefixContains(outer, inner.address);
}

function hasAnyPort(candidate: Candidate): boolean {
  return candidate.rule.ports.start === 0;
}

/** Ascending: 0, where a range begins, and where the port after a range is. */
function segmentStarts(ranged: readonly Candidate[]): readonly number[] {
  const starts = new Set([0]);
  for (const { rule } of ranged) {
    starts.add(rule.ports.start);
    starts.add(rule.ports.end + 1);
  }
  return [...starts].sort((a, b) => a - b);
}
