/**
 * A naive firewall for property tests: raw rules, certificate specs and packets as plain values, every rule tried in
 * turn, addresses as big integers. Shares no code with what it checks.
 */
import type { CertificateSpec, TupleSpec } from './certificates.ts';

export interface RawRule {
  readonly port?: string | number;
  readonly proto: string;
  readonly host?: string;
  readonly group?: string;
  readonly groups?: readonly string[];
  readonly cidr?: string;
  readonly local_cidr?: string;
  readonly ca_name?: string;
  readonly ca_sha?: string;
}

export interface World {
  readonly own: CertificateSpec;
  readonly peer: CertificateSpec;
  readonly caNames: Readonly<Record<string, string>>;
  readonly inbound: readonly RawRule[];
  readonly outbound: readonly RawRule[];
  readonly defaultLocalCidrAny: boolean;
}

/** 'remote', 'peer' and 'local' are refusals by identity; a number is the rule that matches, -1 none. */
export type ReferenceVerdict = 'remote' | 'peer' | 'local' | number;

export function referenceVerdict(world: World, packet: Required<TupleSpec>, incoming: boolean): ReferenceVerdict {
  const identity = remoteIdentity(world, packet.remote);
  if (identity !== 'ok') {
    return identity;
  }
  const { networks, unsafeNetworks = [] } = world.own;
  const isOwn = networks.some((network) => sameAddress(network.split('/')[0], packet.local));
  if (!isOwn && !unsafeNetworks.some((network) => inPrefix(network, packet.local))) {
    return 'local';
  }
  const rules = incoming ? world.inbound : world.outbound;
  return rules.findIndex((rule) => matches(rule, world, packet, incoming));
}

function remoteIdentity(world: World, remote: string): 'ok' | 'remote' | 'peer' {
  const { networks, unsafeNetworks = [] } = world.peer;
  const ownNetworks = world.own.networks;
  let best = -1;
  let result: 'ok' | 'remote' | 'peer' = 'remote';
  for (const network of networks) {
    const address = network.split('/')[0];
    if (sameAddress(address, remote)) {
      best = width(remote);
      result = ownNetworks.some((own) => inPrefix(own, address)) ? 'ok' : 'peer';
    }
  }
  for (const network of unsafeNetworks) {
    const bits = Number(network.split('/')[1]);
    if (inPrefix(network, remote) && bits >= best) {
      best = bits;
      result = 'ok';
    }
  }
  return result;
}

function matches(rule: RawRule, world: World, packet: Required<TupleSpec>, incoming: boolean): boolean {
  return (
    protoMatches(rule, packet) &&
    portMatches(rule, packet, incoming) &&
    authorityMatches(rule, world) &&
    peerMatches(rule, world, packet) &&
    localMatches(rule, world, packet)
  );
}

function protoMatches(rule: RawRule, packet: Required<TupleSpec>): boolean {
  const numbers: Record<string, readonly number[]> = { tcp: [6], udp: [17], icmp: [1, 58] };
  return rule.proto === 'any' || numbers[rule.proto].includes(packet.protocol);
}

function portMatches(rule: RawRule, packet: Required<TupleSpec>, incoming: boolean): boolean {
  const text = rule.proto === 'icmp' ? 'any' : String(rule.port);
  const [first, second] = text.split('-').map((part) => part.trim());
  if (text === 'any' || Number(first) === 0) {
    return true;
  }
  if (packet.protocol === 1 || packet.protocol === 58) {
    return false;
  }
  if (packet.isFragment) {
    return text === 'fragment';
  }
  const port = incoming ? packet.localPort : packet.remotePort;
  return port >= Number(first) && port <= Number(second ?? first);
}

function authorityMatches(rule: RawRule, world: World): boolean {
  if (rule.ca_name === undefined && rule.ca_sha === undefined) {
    return true;
  }
  const issuer = world.peer.issuer ?? '';
  return rule.ca_sha === issuer || (rule.ca_name !== undefined && rule.ca_name === world.caNames[issuer]);
}

function peerMatches(rule: RawRule, world: World, packet: Required<TupleSpec>): boolean {
  const groups = rule.groups ?? (rule.group === undefined ? [] : [rule.group]);
  if (groups.length === 0 && rule.host === undefined && rule.cidr === undefined) {
    return true;
  }
  if (groups.includes('any') || rule.host === 'any' || rule.cidr === 'any') {
    return true;
  }
  const certificateGroups = world.peer.groups ?? [];
  return (
    (groups.length > 0 && groups.every((group) => certificateGroups.includes(group))) ||
    (rule.host !== undefined && rule.host === world.peer.name) ||
    (rule.cidr !== undefined && inPrefix(rule.cidr, packet.remote))
  );
}

function localMatches(rule: RawRule, world: World, packet: Required<TupleSpec>): boolean {
  if (rule.local_cidr !== undefined) {
    return rule.local_cidr === 'any' || inPrefix(rule.local_cidr, packet.local);
  }
  if (world.defaultLocalCidrAny || (world.own.unsafeNetworks ?? []).length === 0) {
    return true;
  }
  return world.own.networks.some((network) => inPrefix(network, packet.local));
}

function inPrefix(prefix: string, address: string): boolean {
  const [network, bits] = prefix.split('/');
  if (width(network) !== width(address)) {
    return false;
  }
  const shift = BigInt(width(address) - Number(bits));
  return toBigInt(network) >> shift === toBigInt(address) >> shift;
}

function sameAddress(a: string, b: string): boolean {
  return width(a) === width(b) && toBigInt(a) === toBigInt(b);
}

function width(address: string): number {
  return address.includes(':') ? 128 : 32;
}

function toBigInt(address: string): bigint {
  if (!address.includes(':')) {
    return address.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
  }
  const [head, tail = ''] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const groups = [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}
