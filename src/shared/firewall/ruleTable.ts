/**
 * The rules in force: an immutable table with a version.
 *
 * Rules are read once, when the configuration is; the primary numbers them, and it and every worker make a table of the
 * same rules and number. How a table answers for one peer is in `peerRules.ts`. Nothing here runs per packet.
 */
import { createHash } from 'node:crypto';
import type { Prefix } from '../ip/address.ts';
import type { Rule } from './rule.ts';

/** Both lists of rules, and what holds for all of them. */
export interface RuleLists {
  readonly inbound: readonly Rule[];
  readonly outbound: readonly Rule[];
  /** Rules without `local_cidr` cover this node's unsafe networks too. */
  readonly defaultLocalCidrAny: boolean;
}

export interface RuleTable extends RuleLists {
  /** From 1, one more with each reload. */
  readonly version: number;
  /** `SHA:<hex>,FNV:<decimal>`, as Nebula logs it. */
  readonly hash: string;
  /** The FNV part as a number: the metric `firewall.rules.hash`. */
  readonly hashNumber: number;
}

/** The table of these lists under this version. */
export function ruleTable({ inbound, outbound, defaultLocalCidrAny }: RuleLists, version: number): RuleTable {
  const lines = [...outbound, ...inbound].map(hashLine).join('');
  const hashNumber = fnv1a(lines);
  const hash = `SHA:${createHash('sha256').update(lines).digest('hex')},FNV:${hashNumber}`;
  return { version, inbound, outbound, defaultLocalCidrAny, hash, hashNumber };
}

/** The line of a rule that Nebula hashes. Source: Nebula protocol, rule hash. */
function hashLine(rule: Rule): string {
  const fields = [
    `incoming: ${rule.incoming}`,
    `proto: ${rule.proto}`,
    `startPort: ${rule.ports.start}`,
    `endPort: ${rule.ports.end}`,
    `groups: [${rule.groups.join(' ')}]`,
    `host: ${rule.host ?? ''}`,
    `ip: ${prefixText(rule.cidr)}`,
    `localIp: ${prefixText(rule.localCidr)}`,
    `caName: ${rule.caName ?? ''}`,
    `caSha: ${rule.caSha ?? ''}`,
  ];
  return `${fields.join(', ')}\n`;
}

function prefixText(prefix: Prefix | 'any' | null): string {
  return prefix === null ? '' : prefix === 'any' ? 'any' : prefix.text;
}

/** FNV-1a with 32 bits (draft-eastlake-fnv). */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
