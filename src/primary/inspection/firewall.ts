/**
 * The firewall of a running node: rules with their hits, live flows, and what other rules would do to them. Pure reads.
 *
 * Makes its own table of the rules in force, as every worker does, and keeps it until the rules or the identity change.
 */

import { OwnIdentity, PeerIdentity } from '../../shared/firewall/identity.ts';
import { PeerView } from '../../shared/firewall/peerView.ts';
import { ruleName } from '../../shared/firewall/rule.ts';
import { type RuleLists, type RuleTable, ruleTable } from '../../shared/firewall/ruleTable.ts';
import { type IpAddress, type Prefix, prefixContains } from '../../shared/ip/address.ts';
import type { FlowRecord } from '../../shared/memory/conntrackRow.ts';
import { ruleHits } from '../../shared/memory/firewallCounters.ts';
import { ownerOf } from '../../shared/memory/layout.ts';
import { monotonicSeconds } from '../../shared/sys/clock.ts';
import type { Tunnel } from '../control/tunnels/tunnel.ts';
import type { Identity } from '../pki/identity.ts';
import type { NodeView } from './nodeView.ts';
import { localAddress, type PacketText, protocolText, remoteAddress } from './packetText.ts';
import { cutFlows } from './reloadDiff.ts';

export type Direction = 'incoming' | 'outgoing';

export interface RuleSummary {
  /** From 0, in the list of its direction. */
  readonly number: number;
  readonly direction: Direction;
  /** As in error texts: `firewall.inbound rule #0`. */
  readonly name: string;
  readonly text: string;
  /** Flows it has let in since these rules are in force. */
  readonly hits: number;
}

export interface RuleList {
  readonly version: number;
  readonly hash: string;
  readonly rules: readonly RuleSummary[];
}

/** What a flow must have to be listed; null does not matter. */
export interface FlowFilter {
  readonly protocols: readonly number[] | null;
  /** Contains the local or the remote address. */
  readonly network: Prefix | null;
  /** The local or the remote port. */
  readonly port: number | null;
  readonly direction: Direction | null;
  readonly limit: number;
}

export interface FlowSummary {
  readonly protocol: string;
  readonly fragment: boolean;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  /** For ICMP the identifier. */
  readonly remotePort: number;
  /** Incoming: the peer opened it. */
  readonly direction: Direction;
  readonly expiresInSeconds: number;
  readonly rulesVersion: number;
  readonly rule: FlowRule;
  /** The worker that added it; null when that is not known. */
  readonly openedByWorker: number | null;
}

/** The rule that let a flow in; its text is known only while its rules are in force. */
export interface FlowRule {
  readonly name: string;
  readonly text: string | null;
}

export interface FlowList {
  /** Flows that fit the filter; `flows` has no more than its limit of them. */
  readonly count: number;
  readonly flows: readonly FlowSummary[];
}

/** The rules of another configuration, and what there was to say when they were read. */
export interface OtherRules extends RuleLists {
  readonly warnings: readonly string[];
}

export interface CutSummary {
  readonly packet: PacketText;
  readonly direction: Direction;
  readonly expiresInSeconds: number;
  /** A rule of the other direction would let it in again, as a new flow. */
  readonly reopens: boolean;
}

export interface RulesDifference {
  readonly hash: string;
  readonly newHash: string;
  readonly warnings: readonly string[];
  /** Live flows in all. */
  readonly flowCount: number;
  /** Flows that would be cut; `cut` has no more than `CUT_FLOWS_MAX` of them. */
  readonly cutCount: number;
  readonly cut: readonly CutSummary[];
}

const CUT_FLOWS_MAX = 10_000;

interface FirewallState {
  readonly own: OwnIdentity;
  readonly table: RuleTable;
}

export class FirewallInspection {
  readonly #view: NodeView;
  #known: (FirewallState & { readonly identity: Identity }) | null = null;

  constructor(view: NodeView) {
    this.#view = view;
  }

  /** This node's identity and rules as its workers have them. */
  state(): FirewallState {
    const { identity, config, rulesVersion } = this.#view;
    const known = this.#known;
    if (known !== null && known.identity === identity && known.table.version === rulesVersion) {
      return known;
    }
    const table = ruleTable(config.firewall, rulesVersion);
    const certificate = identity.certificates[identity.certificates.length - 1];
    const names = identity.caPool.authorities.map((ca) => [ca.fingerprint, ca.name] as const);
    const state = { own: new OwnIdentity(certificate, new Map(names)), table, identity };
    this.#known = state;
    return state;
  }

  /** Seconds of the clock in which flows expire. */
  nowSeconds(): number {
    return monotonicSeconds(this.#view.clock().ms);
  }

  peerIdentity(tunnel: Tunnel): PeerIdentity {
    return new PeerIdentity(tunnel.peer.certificate, this.state().own);
  }

  rules(): RuleList {
    const { table } = this.state();
    const columns = this.#view.tables.firewallCounters;
    const rules = [...table.inbound, ...table.outbound].map((rule) => ({
      number: rule.index,
      direction: directionOf(rule.incoming),
      name: ruleName(rule.incoming, rule.index),
      text: rule.text,
      hits: ruleHits(columns, table.version, table.inbound.length, rule.incoming, rule.index),
    }));
    return { version: table.version, hash: table.hash, rules };
  }

  flows(filter: FlowFilter): FlowList {
    const nowSeconds = this.nowSeconds();
    const flows: FlowSummary[] = [];
    let count = 0;
    for (const record of this.#view.tables.conntrack.flows(nowSeconds)) {
      if (fits(record, filter)) {
        count++;
        if (flows.length < filter.limit) {
          flows.push(this.#flowSummary(record, nowSeconds));
        }
      }
    }
    return { count, flows };
  }

  /** Which live flows these rules would cut, were they loaded now. */
  difference(other: OtherRules): RulesDifference {
    const { table, own } = this.state();
    const next = ruleTable(other, table.version + 1);
    const nowSeconds = this.nowSeconds();
    const peers = new Map<string, PeerView | null>();
    const peerOf = (remote: IpAddress): PeerView | null => {
      const known = peers.get(remote.text);
      if (known !== undefined) {
        return known;
      }
      const tunnel = tunnelFor(this.#view, remote);
      const peer = tunnel === null ? null : new PeerView(tunnel.peer.certificate, own);
      peers.set(remote.text, peer);
      return peer;
    };
    const cut = cutFlows(this.#view.tables.conntrack.flows(nowSeconds), next, peerOf);
    return {
      hash: table.hash,
      newHash: next.hash,
      warnings: other.warnings,
      flowCount: this.#liveFlowCount(nowSeconds),
      cutCount: cut.length,
      cut: cut.slice(0, CUT_FLOWS_MAX).map(({ packet, incoming, expirySeconds, reopens }) => ({
        packet,
        direction: directionOf(incoming),
        expiresInSeconds: expirySeconds - nowSeconds,
        reopens,
      })),
    };
  }

  /** How an entry's rule is called; entries of older rules only keep its number. */
  flowRule(incoming: boolean, rulesVersion: number, rule: number): FlowRule {
    const { table } = this.state();
    const list = incoming ? table.inbound : table.outbound;
    const text = rulesVersion === table.version ? (list[rule]?.text ?? null) : null;
    return { name: ruleName(incoming, rule), text };
  }

  /** The worker behind a conntrack owner number. */
  workerOf(owner: number): number | null {
    const worker = this.#view.pids.findIndex((_, candidate) => ownerOf(candidate) === owner);
    return worker < 0 ? null : worker;
  }

  #liveFlowCount(nowSeconds: number): number {
    let count = 0;
    for (const _ of this.#view.tables.conntrack.flows(nowSeconds)) {
      count++;
    }
    return count;
  }

  #flowSummary(record: FlowRecord, nowSeconds: number): FlowSummary {
    const { tuple, incoming, rulesVersion } = record;
    return {
      protocol: protocolText(tuple.protocol),
      fragment: tuple.isFragment,
      localAddress: localAddress(tuple).text,
      localPort: tuple.localPort,
      remoteAddress: remoteAddress(tuple).text,
      remotePort: tuple.remotePort,
      direction: directionOf(incoming),
      expiresInSeconds: record.expirySeconds - nowSeconds,
      rulesVersion,
      rule: this.flowRule(incoming, rulesVersion, record.rule),
      openedByWorker: this.workerOf(record.owner),
    };
  }
}

/** The primary tunnel to whoever may use this remote address: its own, or one in its unsafe networks, longest first. */
export function tunnelFor(view: NodeView, remote: IpAddress): Tunnel | null {
  const own = view.control.primary(remote);
  if (own !== null) {
    return own;
  }
  let best: Tunnel | null = null;
  let bestBits = -1;
  for (const { tunnel, isPrimary } of view.control.hosts()) {
    for (const network of isPrimary ? tunnel.peer.certificate.unsafeNetworks : []) {
      if (network.bits > bestBits && prefixContains(network, remote)) {
        best = tunnel;
        bestBits = network.bits;
      }
    }
  }
  return best;
}

export function directionOf(incoming: boolean): Direction {
  return incoming ? 'incoming' : 'outgoing';
}

function fits(record: FlowRecord, filter: FlowFilter): boolean {
  const { tuple } = record;
  return (
    (filter.protocols === null || filter.protocols.includes(tuple.protocol)) &&
    (filter.direction === null || filter.direction === directionOf(record.incoming)) &&
    (filter.port === null || filter.port === tuple.localPort || filter.port === tuple.remotePort) &&
    (filter.network === null ||
      prefixContains(filter.network, localAddress(tuple)) ||
      prefixContains(filter.network, remoteAddress(tuple)))
  );
}
