/**
 * The firewall of one worker: the ordered checks that every inner packet passes in both directions.
 *
 *     remote address ─► local address ─► cache ─► conntrack ─► rules ─► new flow
 *     (certificate)     (certificate)    (own)    (shared)
 *
 * The two addresses are checked first and always; nothing a flow's packets did before lets a later one skip that.
 * Called by the data path with a parsed tuple; answers with a verdict and counts it in this worker's column. Allocates
 * nothing, reads no clock. A reload makes a new Firewall over the same table and cache.
 */

import type { OwnIdentity } from '../../shared/firewall/identity.ts';
import type { PeerView } from '../../shared/firewall/peerView.ts';
import type { RuleTable } from '../../shared/firewall/ruleTable.ts';
import { hashTuple } from '../../shared/firewall/tupleHash.ts';
import { Verdict } from '../../shared/firewall/verdict.ts';
import { IpProtocol } from '../../shared/ip/headers.ts';
import type { PacketTuple } from '../../shared/ip/packetTuple.ts';
import { ConntrackInsert, type ConntrackTable } from '../../shared/memory/conntrackTable.ts';
import { dropCell, FIRST_RULE_CELL, FirewallCounter } from '../../shared/memory/firewallCounters.ts';
import type { RoutineCache } from './routineCache.ts';

/** Life of an idle flow by protocol; everything else, ICMP included, has the default. */
export interface ConntrackTimeouts {
  readonly tcpMs: number;
  readonly udpMs: number;
  readonly defaultMs: number;
}

export interface FirewallParts {
  readonly own: OwnIdentity;
  readonly rules: RuleTable;
  readonly timeouts: ConntrackTimeouts;
  readonly conntrack: ConntrackTable;
  readonly cache: RoutineCache;
  /** This worker's column: `firewallCounterCells(n)` cells. */
  readonly counters: Float64Array;
}

export class Firewall {
  readonly #own: OwnIdentity;
  readonly #rules: RuleTable;
  readonly #conntrack: ConntrackTable;
  readonly #cache: RoutineCache;
  readonly #counters: Float64Array;
  readonly #seed: number;
  readonly #tcpSeconds: number;
  readonly #udpSeconds: number;
  readonly #defaultSeconds: number;
  /** What the column counted before this cache did: by a worker that went, for example. */
  readonly #emptyingsBefore: number;

  /** Takes the rules into force in this worker: empties the cache, clears the rule counters of an older version. */
  constructor(parts: FirewallParts) {
    this.#own = parts.own;
    this.#rules = parts.rules;
    this.#conntrack = parts.conntrack;
    this.#cache = parts.cache;
    this.#counters = parts.counters;
    this.#seed = parts.conntrack.seed;
    this.#tcpSeconds = Math.ceil(parts.timeouts.tcpMs / 1000);
    this.#udpSeconds = Math.ceil(parts.timeouts.udpMs / 1000);
    this.#defaultSeconds = Math.ceil(parts.timeouts.defaultMs / 1000);
    this.#cache.empty();
    this.#emptyingsBefore = this.#counters[FirewallCounter.CacheEmptyings] - this.#cache.emptyingCount;
    if (this.#counters[FirewallCounter.RulesVersion] !== parts.rules.version) {
      this.#counters.fill(0, FIRST_RULE_CELL);
      this.#counters[FirewallCounter.RulesVersion] = parts.rules.version;
    }
  }

  /**
   * The verdict on the packet in `tuple`, which goes to or comes from `peer`: 0 or more is pass. `nowSeconds` is the
   * whole seconds of the clock that all processes share, taken once per batch.
   */
  check(tuple: PacketTuple, peer: PeerView, incoming: boolean, nowSeconds: number): number {
    const counters = this.#counters;
    const remote = peer.identity.checkRemote(tuple);
    if (remote < 0) {
      counters[dropCell(remote, incoming)]++;
      return remote;
    }
    if (!this.#own.isLocal(tuple)) {
      counters[dropCell(Verdict.LocalAddress, incoming)]++;
      return Verdict.LocalAddress;
    }
    const hash = hashTuple(tuple, this.#seed);
    const cache = this.#cache;
    if (cache.isOn && cache.has(tuple, hash)) {
      counters[FirewallCounter.CacheHits]++;
      return Verdict.Cache;
    }
    if (this.#isTracked(tuple, peer, hash, nowSeconds)) {
      counters[FirewallCounter.ConntrackHits]++;
      if (cache.isOn) {
        cache.add(tuple, hash);
        counters[FirewallCounter.CacheEmptyings] = this.#emptyingsBefore + cache.emptyingCount;
      }
      return Verdict.Conntrack;
    }
    return this.#checkRules(tuple, peer, incoming, hash, nowSeconds);
  }

  /** Looks in the shared table; a flow of older rules must pass the present ones, in the direction it was opened. */
  #isTracked(tuple: PacketTuple, peer: PeerView, hash: number, nowSeconds: number): boolean {
    const conntrack = this.#conntrack;
    if (!conntrack.find(tuple, hash, nowSeconds)) {
      return false;
    }
    // A newer version than ours: another worker has taken over new rules first, and they let the flow pass.
    if (conntrack.foundVersion < this.#rules.version && !this.#isStillAllowed(tuple, peer)) {
      return false;
    }
    conntrack.refreshFound(nowSeconds + this.#timeoutSeconds(tuple.protocol));
    return true;
  }

  #isStillAllowed(tuple: PacketTuple, peer: PeerView): boolean {
    const conntrack = this.#conntrack;
    const incoming = conntrack.foundIncoming;
    const rule = peer.rulesOf(this.#rules).match(tuple, incoming);
    this.#counters[FirewallCounter.Rechecks]++;
    if (rule < 0) {
      this.#counters[FirewallCounter.RechecksFailed]++;
      conntrack.removeFound();
      return false;
    }
    this.#countRule(rule, incoming);
    conntrack.confirmFound(this.#rules.version, rule);
    return true;
  }

  #checkRules(tuple: PacketTuple, peer: PeerView, incoming: boolean, hash: number, nowSeconds: number): number {
    const counters = this.#counters;
    const rule = peer.rulesOf(this.#rules).match(tuple, incoming);
    if (rule < 0) {
      counters[dropCell(Verdict.NoRule, incoming)]++;
      return Verdict.NoRule;
    }
    this.#countRule(rule, incoming);
    const expiry = nowSeconds + this.#timeoutSeconds(tuple.protocol);
    const { version } = this.#rules;
    const result = this.#conntrack.insert(tuple, hash, incoming, version, rule, nowSeconds, expiry, peer.identity.tag);
    if (result === ConntrackInsert.Added || result === ConntrackInsert.Evicted) {
      counters[FirewallCounter.FlowsAdded]++;
    }
    if (result === ConntrackInsert.Evicted) {
      counters[FirewallCounter.FlowsEvicted]++;
    } else if (result === ConntrackInsert.Busy) {
      counters[FirewallCounter.FlowsNotAdded]++;
    }
    return Verdict.Rule;
  }

  /** Rules beyond the counters' room are enforced but not counted. */
  #countRule(rule: number, incoming: boolean): void {
    const cell = FIRST_RULE_CELL + (incoming ? rule : this.#rules.inbound.length + rule);
    if (cell < this.#counters.length) {
      this.#counters[cell]++;
    }
  }

  #timeoutSeconds(protocol: number): number {
    if (protocol === IpProtocol.Tcp) {
      return this.#tcpSeconds;
    }
    return protocol === IpProtocol.Udp ? this.#udpSeconds : this.#defaultSeconds;
  }
}
