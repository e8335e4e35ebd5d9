/**
 * One firewall rule as a value: what the operator wrote, checked and normalized.
 *
 * Made by `ruleParser.ts`, once: the configuration and the workers' settings carry it as it is (plain data, a structured
 * clone is a rule too). Compiled per peer by `peerRules.ts`; printed by the command line. Nothing here decides about
 * packets. Source: Nebula protocol, firewall rules.
 */
import type { Prefix } from '../ip/address.ts';

/** The protocols a rule can name. `Icmp` covers ICMP and ICMPv6. */
export const RuleProto = { Any: 0, Icmp: 1, Tcp: 6, Udp: 17 } as const;
export type RuleProto = (typeof RuleProto)[keyof typeof RuleProto];

/** Ports from `start` to `end`, both included. */
export interface PortRange {
  readonly start: number;
  readonly end: number;
}

/** Port 0 stands for any port. */
export const anyPort: PortRange = { start: 0, end: 0 };
/** Matches fragments other than the first, which have no ports. */
export const fragmentPort: PortRange = { start: -1, end: -1 };

export interface Rule {
  /** For packets from peers. */
  readonly incoming: boolean;
  /** Position in its list, from 0, as error texts and counters number it. */
  readonly index: number;
  readonly proto: RuleProto;
  readonly ports: PortRange;
  /** All of them must be in the certificate; empty when not given. */
  readonly groups: readonly string[];
  /** null when not given, here and below. */
  readonly host: string | null;
  readonly cidr: Prefix | 'any' | null;
  readonly localCidr: Prefix | 'any' | null;
  readonly caName: string | null;
  readonly caSha: string | null;
  /** The rule on one line: `port: 443, proto: tcp, groups: [laptop, home]`. */
  readonly text: string;
}

/** How messages name a rule: `firewall.inbound rule #0`. */
export function ruleName(incoming: boolean, index: number): string {
  return `${ruleListPath(incoming)} rule #${index}`;
}

/** The key of a list of rules. */
export function ruleListPath(incoming: boolean): string {
  return incoming ? 'firewall.inbound' : 'firewall.outbound';
}

/** Whether the peer's groups, name and address do not matter: no selector at all, or `any` in one of them. */
export function acceptsAnyPeer(rule: Rule): boolean {
  const isUnselective = rule.groups.length === 0 && rule.host === null && rule.cidr === null;
  return isUnselective || rule.groups.includes('any') || rule.host === 'any' || rule.cidr === 'any';
}
