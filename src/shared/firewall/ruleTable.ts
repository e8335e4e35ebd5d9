/**
 * The rules in force: an immutable table with a version, made from the configuration by `compileRules`.
 *
 * The primary compiles it to check a configuration and numbers it; every worker compiles the same raw rules again with
 * that number, because rules travel between processes as plain values. How a table answers for one peer is in
 * `peerRules.ts`. Nothing here runs per packet.
 */
import { createHash } from 'node:crypto';
import type { Prefix } from '../ip/address.ts';
import type { Rule } from './rule.ts';
import { parseRules } from './ruleParser.ts';

/** The part of the configuration that makes a table, and the version to give it. */
export interface RuleSource {
  /** Raw values of `firewall.inbound` and `firewall.outbound`. */
  readonly inbound: unknown;
  readonly outbound: unknown;
  readonly defaultLocalCidrAny: boolean;
  /** From 1, one more with each reload. */
  readonly version: number;
}

export interface RuleTable {
  readonly version: number;
  readonly inbound: readonly Rule[];
  readonly outbound: readonly Rule[];
  /** Rules without `local_cidr` cover this node's unsafe networks too. */
  readonly defaultLocalCidrAny: boolean;
  /** `SHA:<hex>,FNV:<decimal>`, as Nebula logs it. */
  readonly hash: string;
  /** The FNV part as a number: the metric `firewall.rules.hash`. */
  readonly hashNumber: number;
}

/** Either a table, or every reason why there is none; warnings in both cases. */
export interface CompiledRules {
  readonly table: RuleTable | null;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Checks and compiles both lists. Texts name the rule: `firewall.inbound rule #0; …`. */
export function compileRules(source: RuleSource): CompiledRules {
  const outbound = parseRules(source.outbound, false);
  const inbound = parseRules(source.inbound, true);
  const problems = [...outbound.problems, ...inbound.problems];
  const warnings = [...outbound.warnings, ...inbound.warnings];
  if (problems.length > 0) {
    return { table: null, problems, warnings };
  }
  const lines = [...outbound.rules, ...inbound.rules].map(hashLine).join('');
  const hashNumber = fnv1a(lines);
  const table: RuleTable = {
    version: source.version,
    inbound: inbound.rules,
    outbound: outbound.rules,
    defaultLocalCidrAny: source.defaultLocalCidrAny,
    hash: `SHA:${createHash('sha256').update(lines).digest('hex')},FNV:${hashNumber}`,
    hashNumber,
  };
  return { table, problems, warnings };
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
