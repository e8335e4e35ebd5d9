/**
 * Why a packet passes or not, in words: what `weft why` prints for a running node.
 *
 * Goes through the same checks in the same order as the data path, but over the rules as they were written, one by one
 * and field by field, so the answer names what failed. Pure: the caller brings the live conntrack entry, if there is
 * one. A property test holds this and the compiled rules to the same verdict.
 */

import type { Certificate } from '../../shared/cert/certificate.ts';
import type { OwnIdentity, PeerIdentity } from '../../shared/firewall/identity.ts';
import { defaultLocalPrefixes, matchesAuthority } from '../../shared/firewall/peerRules.ts';
import { acceptsAnyPeer, type Rule, RuleProto, ruleName } from '../../shared/firewall/rule.ts';
import type { RuleTable } from '../../shared/firewall/ruleTable.ts';
import { Verdict, verdictTexts } from '../../shared/firewall/verdict.ts';
import { type Prefix, prefixContains } from '../../shared/ip/address.ts';
import { IpProtocol } from '../../shared/ip/headers.ts';
import type { PacketTuple } from '../../shared/ip/packetTuple.ts';
import { localAddress, type PacketText, packetText, protocolText, remoteAddress } from './packetText.ts';

/** One comparison: what was wanted, what the packet or the certificate has, and whether they agree. */
export interface Check {
  readonly field: string;
  readonly wanted: string;
  readonly actual: string;
  readonly passed: boolean;
}

export interface RuleExplanation {
  /** As in error texts: `firewall.inbound rule #0`. */
  readonly name: string;
  readonly index: number;
  readonly text: string;
  readonly matched: boolean;
  readonly checks: readonly Check[];
}

/** The conntrack entry that the caller found for the tuple. */
export interface TrackedFlow {
  readonly incoming: boolean;
  readonly rulesVersion: number;
  readonly rule: number;
  readonly expiresInSeconds: number;
}

export interface Explanation {
  readonly allowed: boolean;
  readonly verdict: Verdict;
  readonly reason: string;
  readonly packet: PacketText;
  readonly direction: 'incoming' | 'outgoing';
  /** Remote address against the peer's certificate, local address against ours. */
  readonly identity: readonly Check[];
  /** The live flow, and whether the present rules still admit it where they must be asked again. */
  readonly conntrack: (TrackedFlow & { readonly recheck: 'not needed' | 'passes' | 'fails' }) | null;
  /** Every rule of the packet's direction, in order; empty when an earlier check decided. */
  readonly rules: readonly RuleExplanation[];
  /** The rule that lets the packet in; null when none does or none was asked. */
  readonly rule: RuleExplanation | null;
}

/** Explains what would happen to the packet now. */
export function explain(
  tuple: PacketTuple,
  peer: PeerIdentity,
  own: OwnIdentity,
  rules: RuleTable,
  incoming: boolean,
  flow: TrackedFlow | null,
): Explanation {
  const remoteVerdict = peer.checkRemote(tuple);
  const isLocal = own.isLocal(tuple);
  const identity = [remoteCheck(tuple, peer, remoteVerdict), localCheck(tuple, own, isLocal)];
  const answer = (verdict: Verdict, more: Partial<Explanation>): Explanation => ({
    allowed: verdict >= 0,
    verdict,
    reason: verdictTexts[verdict],
    packet: packetText(tuple),
    direction: incoming ? 'incoming' : 'outgoing',
    identity,
    conntrack: null,
    rules: [],
    rule: null,
    ...more,
  });
  if (remoteVerdict < 0) {
    return answer(remoteVerdict === Verdict.PeerAddress ? Verdict.PeerAddress : Verdict.RemoteAddress, {});
  }
  if (!isLocal) {
    return answer(Verdict.LocalAddress, {});
  }
  let conntrack: Explanation['conntrack'] = null;
  if (flow !== null) {
    const isOld = flow.rulesVersion < rules.version;
    const still = explainRules(tuple, peer, own, rules, flow.incoming).find((rule) => rule.matched);
    conntrack = { ...flow, recheck: isOld ? (still === undefined ? 'fails' : 'passes') : 'not needed' };
    if (conntrack.recheck !== 'fails') {
      return answer(Verdict.Conntrack, { conntrack, rule: still ?? null });
    }
  }
  const explained = explainRules(tuple, peer, own, rules, incoming);
  const rule = explained.find((candidate) => candidate.matched) ?? null;
  return answer(rule === null ? Verdict.NoRule : Verdict.Rule, { conntrack, rules: explained, rule });
}

/** Every rule of one direction against a packet, naive and complete. */
export function explainRules(
  tuple: PacketTuple,
  peer: PeerIdentity,
  own: OwnIdentity,
  rules: RuleTable,
  incoming: boolean,
): readonly RuleExplanation[] {
  const list = incoming ? rules.inbound : rules.outbound;
  const defaultLocal = defaultLocalPrefixes(rules, own);
  return list.map((rule) => {
    const checks = [
      protoCheck(rule, tuple),
      portCheck(rule, tuple),
      ...authorityChecks(rule, peer),
      ...selectorChecks(rule, tuple, peer),
      localCidrCheck(rule, tuple, defaultLocal),
    ];
    return {
      name: ruleName(incoming, rule.index),
      index: rule.index,
      text: rule.text,
      matched: checks.every((check) => check.passed),
      checks,
    };
  });
}

function remoteCheck(tuple: PacketTuple, peer: PeerIdentity, verdict: number): Check {
  return {
    field: `remote address of ${peer.certificate.name}`,
    wanted: permittedAddresses(peer.certificate),
    actual: remoteAddress(tuple).text,
    passed: verdict >= 0,
  };
}

function localCheck(tuple: PacketTuple, own: OwnIdentity, passed: boolean): Check {
  const wanted = permittedAddresses(own.certificate);
  return { field: 'local address', wanted, actual: localAddress(tuple).text, passed };
}

function permittedAddresses(certificate: Certificate): string {
  const addresses = certificate.networks.map((network) => network.address.text);
  return [...addresses, ...certificate.unsafeNetworks.map((network) => `unsafe ${network.text}`)].join(', ');
}

function protoCheck(rule: Rule, tuple: PacketTuple): Check {
  const isIcmp = isIcmpProtocol(tuple.protocol);
  const passed =
    rule.proto === RuleProto.Any || (rule.proto === RuleProto.Icmp ? isIcmp : rule.proto === tuple.protocol);
  return {
    field: 'proto',
    wanted: ruleProtoTexts[rule.proto],
    actual: protocolText(tuple.protocol),
    passed,
  };
}

function portCheck(rule: Rule, tuple: PacketTuple): Check {
  const { start, end } = rule.ports;
  const wanted = start === 0 ? 'any' : start < 0 ? 'fragment' : start === end ? `${start}` : `${start}-${end}`;
  const check = (actual: string, passed: boolean): Check => ({
    field: 'port',
    wanted,
    actual,
    passed: passed || start === 0,
  });
  if (isIcmpProtocol(tuple.protocol)) {
    return check('none (ICMP)', false);
  }
  if (tuple.isFragment) {
    return check('fragment', start < 0);
  }
  const port = rule.incoming ? tuple.localPort : tuple.remotePort;
  return check(`${port}`, start > 0 && port >= start && port <= end);
}

function authorityChecks(rule: Rule, peer: PeerIdentity): readonly Check[] {
  if (rule.caName === null && rule.caSha === null) {
    return [];
  }
  const wanted = [rule.caName, rule.caSha].filter((text) => text !== null).join(' or ');
  const actual = `${peer.caName ?? 'unknown'} (${peer.certificate.issuer})`;
  return [{ field: 'certificate authority', wanted, actual, passed: matchesAuthority(rule, peer) }];
}

/** Any one of groups, host and cidr suffices, so a failing one counts as passed when another fits. */
function selectorChecks(rule: Rule, tuple: PacketTuple, peer: PeerIdentity): readonly Check[] {
  if (acceptsAnyPeer(rule)) {
    return [{ field: 'peer', wanted: 'any', actual: peer.certificate.name, passed: true }];
  }
  const checks: Check[] = [];
  const { groups, name } = peer.certificate;
  if (rule.groups.length > 0) {
    const passed = rule.groups.every((group) => groups.includes(group));
    checks.push({ field: 'groups', wanted: rule.groups.join(' and '), actual: groups.join(', '), passed });
  }
  if (rule.host !== null) {
    checks.push({ field: 'host', wanted: rule.host, actual: name, passed: rule.host === name });
  }
  if (rule.cidr !== null && rule.cidr !== 'any') {
    const address = remoteAddress(tuple);
    const passed = prefixContains(rule.cidr, address);
    checks.push({ field: 'cidr', wanted: rule.cidr.text, actual: address.text, passed });
  }
  const fitting = checks.filter((check) => check.passed);
  return fitting.length > 0 ? fitting : checks;
}

function localCidrCheck(rule: Rule, tuple: PacketTuple, defaultLocal: readonly Prefix[] | null): Check {
  const wanted = rule.localCidr === 'any' ? null : rule.localCidr === null ? defaultLocal : [rule.localCidr];
  const address = localAddress(tuple);
  return {
    field: rule.localCidr === null ? 'local_cidr (default)' : 'local_cidr',
    wanted: wanted === null ? 'any' : wanted.map((prefix) => prefix.text).join(' or '),
    actual: address.text,
    passed: wanted === null || wanted.some((prefix) => prefixContains(prefix, address)),
  };
}

function isIcmpProtocol(protocol: number): boolean {
  return protocol === IpProtocol.Icmp || protocol === IpProtocol.Icmpv6;
}

const ruleProtoTexts: Readonly<Record<RuleProto, string>> = {
  [RuleProto.Any]: 'any',
  [RuleProto.Icmp]: 'icmp',
  [RuleProto.Tcp]: 'tcp',
  [RuleProto.Udp]: 'udp',
};
