/** Certificates, identities and tuples for firewall tests. */

import { findingText, parseRules } from '../../../src/primary/config/ruleParser.ts';
import { setTupleAddresses } from '../../../src/primary/inspection/packetText.ts';
import type { Certificate } from '../../../src/shared/cert/certificate.ts';
import { OwnIdentity, PeerIdentity } from '../../../src/shared/firewall/identity.ts';
import { PeerView } from '../../../src/shared/firewall/peerView.ts';
import { type RuleTable, ruleTable } from '../../../src/shared/firewall/ruleTable.ts';
import { addressFromBytes, parsePrefix } from '../../../src/shared/ip/address.ts';
import { PacketTuple } from '../../../src/shared/ip/packetTuple.ts';
import { addressBytes } from './packets.ts';

export interface CertificateSpec {
  readonly name?: string;
  readonly networks: readonly string[];
  readonly unsafeNetworks?: readonly string[];
  readonly groups?: readonly string[];
  readonly issuer?: string;
}

export function certificate(spec: CertificateSpec): Certificate {
  return {
    version: 2,
    name: spec.name ?? 'host1',
    networks: spec.networks.map((text) => parsePrefix(text)!),
    unsafeNetworks: (spec.unsafeNetworks ?? []).map((text) => parsePrefix(text)!),
    groups: spec.groups ?? [],
    notBefore: 0,
    notAfter: 1,
    isCa: false,
    issuer: spec.issuer ?? 'signer-shasum',
    curve: 0,
    publicKey: new Uint8Array(32),
    signature: new Uint8Array(64),
    fingerprint: 'f',
    encoded: new Uint8Array(0),
  };
}

export function ownIdentity(spec: CertificateSpec, caNames: Readonly<Record<string, string>> = {}): OwnIdentity {
  return new OwnIdentity(certificate(spec), new Map(Object.entries(caNames)));
}

export function peerIdentity(spec: CertificateSpec, own: OwnIdentity): PeerIdentity {
  return new PeerIdentity(certificate(spec), own);
}

export function peerView(spec: CertificateSpec, own: OwnIdentity): PeerView {
  return new PeerView(certificate(spec), own);
}

export interface TupleSpec {
  readonly local: string;
  readonly remote: string;
  readonly protocol?: number;
  readonly localPort?: number;
  readonly remotePort?: number;
  readonly isFragment?: boolean;
}

export function tupleOf(spec: TupleSpec): PacketTuple {
  const tuple = new PacketTuple();
  setTupleAddresses(tuple, addressFromBytes(addressBytes(spec.local)), addressFromBytes(addressBytes(spec.remote)));
  tuple.protocol = spec.protocol ?? 17;
  tuple.localPort = spec.localPort ?? 0;
  tuple.remotePort = spec.remotePort ?? 0;
  tuple.isFragment = spec.isFragment ?? false;
  tuple.ipHeaderLength = tuple.version === 4 ? 20 : 40;
  return tuple;
}

/** The table of rules as an operator writes them; throws when one is faulty. */
export function rulesOf(lists: {
  readonly inbound?: unknown;
  readonly outbound?: unknown;
  readonly defaultLocalCidrAny?: boolean;
  readonly version?: number;
}): RuleTable {
  const { inbound, outbound, problems } = readLists(lists.inbound ?? [], lists.outbound ?? []);
  if (problems.length > 0) {
    throw new Error(problems.join('\n'));
  }
  const { defaultLocalCidrAny = false, version = 1 } = lists;
  return ruleTable({ inbound, outbound, defaultLocalCidrAny }, version);
}

/** Both lists, with everything there is to say about them as text. */
export function readLists(inboundList: unknown, outboundList: unknown) {
  const outbound = parseRules(outboundList, false);
  const inbound = parseRules(inboundList, true);
  const texts = (of: 'problems' | 'warnings'): readonly string[] => [
    ...outbound[of].map((finding) => findingText(finding, false)),
    ...inbound[of].map((finding) => findingText(finding, true)),
  ];
  return {
    inbound: inbound.rules,
    outbound: outbound.rules,
    problems: texts('problems'),
    warnings: texts('warnings'),
  };
}
