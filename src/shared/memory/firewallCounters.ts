/**
 * Cells of a worker's firewall counters: drops by reason and direction, hits, and one cell per rule.
 *
 * One column per worker in shared memory, written by that worker alone, so counting is a plain add to a double. The
 * first cell says which rules version the rule cells belong to; a worker clears them when it takes over new rules.
 */

import { Verdict } from '../firewall/verdict.ts';
import { countOf } from './metrics.ts';

export const FirewallCounter = {
  RulesVersion: 0,
  CacheHits: 1,
  CacheEmptyings: 2,
  ConntrackHits: 3,
  /** Flows added to the shared table. */
  FlowsAdded: 4,
  /** Live flows that had to give way in a full bucket. */
  FlowsEvicted: 5,
  /** Flows that were not added because their bucket stayed locked. */
  FlowsNotAdded: 6,
  /** Re-checks after a reload, and those that ended the flow. */
  Rechecks: 7,
  RechecksFailed: 8,
  IncomingNoRule: 9,
  IncomingRemoteAddress: 10,
  IncomingPeerAddress: 11,
  IncomingLocalAddress: 12,
  OutgoingNoRule: 13,
  OutgoingRemoteAddress: 14,
  OutgoingPeerAddress: 15,
  OutgoingLocalAddress: 16,
} as const;

/** Names for metrics; the drop counters are Nebula's where it has them. */
export const FIREWALL_COUNTER_NAMES: readonly string[] = [
  'firewall.rules.counted_version',
  'firewall.cache.hits',
  'firewall.cache.emptyings',
  'firewall.conntrack.hits',
  'firewall.conntrack.added',
  'firewall.conntrack.evicted',
  'firewall.conntrack.not_added',
  'firewall.conntrack.rechecks',
  'firewall.conntrack.rechecks_failed',
  'firewall.incoming.dropped.no_rule',
  'firewall.incoming.dropped.remote_addr',
  'firewall.incoming.dropped.peer_addr',
  'firewall.incoming.dropped.local_addr',
  'firewall.outgoing.dropped.no_rule',
  'firewall.outgoing.dropped.remote_addr',
  'firewall.outgoing.dropped.peer_addr',
  'firewall.outgoing.dropped.local_addr',
];

/** Where the rule cells begin: inbound rules first, then outbound. */
export const FIRST_RULE_CELL = 32;

/** Rules that have a counter when the column is made for this many. */
export const COUNTED_RULES = 1024;

/** Cells of one column. */
export function firewallCounterCells(ruleCount: number = COUNTED_RULES): number {
  return FIRST_RULE_CELL + ruleCount;
}

/** The cell of a drop; `verdict` is negative. */
export function dropCell(verdict: number, incoming: boolean): number {
  const first = incoming ? FirewallCounter.IncomingNoRule : FirewallCounter.OutgoingNoRule;
  return first + Verdict.NoRule - verdict;
}

/** Flows each rule has let in since `version` is in force, summed over the workers that already run it. */
export function ruleHits(
  columns: readonly Float64Array[],
  version: number,
  inboundCount: number,
  incoming: boolean,
  index: number,
): number {
  const cell = FIRST_RULE_CELL + (incoming ? index : inboundCount + index);
  return columns
    .filter((column) => column[FirewallCounter.RulesVersion] === version)
    .reduce((sum, column) => sum + countOf(column[cell]), 0);
}
