/**
 * What callers of the local API may ask: query parameters and bodies, checked and typed. Every fault names the field
 * and what was expected, as an InspectionError with status 400.
 */

import { type IpAddress, type Prefix, parseAddress, parsePrefix, prefixOf } from '../../shared/ip/address.ts';
import { IpProtocol } from '../../shared/ip/headers.ts';
import { findingText, parseRules } from '../config/ruleParser.ts';
import type { Direction, FlowFilter, OtherRules } from '../inspection/firewall.ts';
import { InspectionError } from '../inspection/nodeView.ts';
import type { WhyRequest } from '../inspection/why.ts';
import { diffBody, show, whyBody } from './bodies.ts';

const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 100_000;

/** `protocol`, `address`, `port`, `direction`, `limit`; unknown parameters are refused, a typo would list everything. */
export function flowFilterOf(query: URLSearchParams): FlowFilter {
  allowOnly(query, ['protocol', 'address', 'port', 'direction', 'limit']);
  const protocol = query.get('protocol');
  const address = query.get('address');
  const port = query.get('port');
  return {
    protocols: protocol === null ? null : [...new Set([protocolNumber(protocol, 4), protocolNumber(protocol, 6)])],
    network: address === null ? null : networkOf('address', address),
    port: port === null ? null : numberOf('port', port, 0, 65_535),
    direction: directionFrom(query.get('direction')),
    limit: limitOf(query),
  };
}

/** `limit` alone. */
export function listLimitOf(query: URLSearchParams): number {
  allowOnly(query, ['limit']);
  return limitOf(query);
}

/** `address` alone. */
export function queryAddressOf(query: URLSearchParams): IpAddress {
  allowOnly(query, ['address']);
  return addressOf('address', query.get('address'));
}

/** The firewall section of a configuration as data; every fault of its rules at once. */
export function rulesOf(body: unknown): OtherRules {
  const map = diffBody(body);
  const outbound = parseRules(map.outbound, false);
  const inbound = parseRules(map.inbound, true);
  const texts = (of: 'problems' | 'warnings'): readonly string[] => [
    ...outbound[of].map((finding) => findingText(finding, false)),
    ...inbound[of].map((finding) => findingText(finding, true)),
  ];
  const problems = texts('problems');
  if (problems.length > 0) {
    throw new InspectionError(400, 'the new rules are faulty, a reload would refuse them', problems);
  }
  return {
    inbound: inbound.rules,
    outbound: outbound.rules,
    defaultLocalCidrAny: map.defaultLocalCidrAny === true,
    warnings: texts('warnings'),
  };
}

export function whyRequestOf(body: unknown): WhyRequest {
  const map = whyBody(body);
  const source = addressOf('source', map.source);
  const protocol = protocolNumber(textOf('protocol', map.protocol), source.family);
  const identifier = numberOrNull(map.identifier);
  const isIcmp = protocol === IpProtocol.Icmp || protocol === IpProtocol.Icmpv6;
  const [sourcePort, destinationPort] = [numberOrNull(map.sourcePort), numberOrNull(map.destinationPort)];
  if (isIcmp ? sourcePort !== null || destinationPort !== null : identifier !== null) {
    throw new InspectionError(400, 'ICMP has an identifier and no ports, everything else ports and no identifier');
  }
  return {
    source,
    destination: addressOf('destination', map.destination),
    protocol,
    sourcePort: isIcmp ? identifier : sourcePort,
    destinationPort: isIcmp ? identifier : destinationPort,
    isFragment: map.fragment === true,
    via: map.via === undefined || map.via === null ? null : addressOf('via', map.via),
  };
}

/** A name or a number from 0 to 255; `icmp` is ICMPv6 between IPv6 addresses. */
function protocolNumber(text: string, family: 4 | 6): number {
  switch (text.toLowerCase()) {
    case 'tcp':
      return IpProtocol.Tcp;
    case 'udp':
      return IpProtocol.Udp;
    case 'icmp':
      return family === 4 ? IpProtocol.Icmp : IpProtocol.Icmpv6;
    case 'icmpv6':
      return IpProtocol.Icmpv6;
    default:
      if (!/^\d{1,3}$/.test(text) || Number(text) > 255) {
        throw new InspectionError(
          400,
          `protocol: expected tcp, udp, icmp, icmpv6 or a number up to 255, not ${show(text)}`,
        );
      }
      return Number(text);
  }
}

function directionFrom(text: string | null): Direction | null {
  if (text === null || text === 'incoming' || text === 'outgoing') {
    return text;
  }
  throw new InspectionError(400, `direction: expected incoming or outgoing, not ${show(text)}`);
}

function limitOf(query: URLSearchParams): number {
  const limit = query.get('limit');
  return limit === null ? LIMIT_DEFAULT : numberOf('limit', limit, 0, LIMIT_MAX);
}

/** An address stands for itself alone. */
function networkOf(name: string, text: string): Prefix {
  const address = parseAddress(text);
  const prefix = address === null ? parsePrefix(text) : prefixOf(address, address.bytes.length * 8);
  if (prefix === null) {
    throw new InspectionError(400, `${name}: expected an address or a prefix such as 10.0.0.0/8, not ${show(text)}`);
  }
  return prefix;
}

function addressOf(name: string, value: unknown): IpAddress {
  const text = textOf(name, value);
  const address = parseAddress(text);
  if (address === null) {
    throw new InspectionError(400, `${name}: expected an IPv4 or IPv6 address, not ${show(text)}`);
  }
  return address;
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

function numberOf(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new InspectionError(400, `${name}: expected a number from ${min} to ${max}, not ${show(text)}`);
  }
  return value;
}

function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string') {
    throw new InspectionError(
      400,
      value === undefined || value === null ? `${name} is missing` : `${name}: expected text`,
    );
  }
  return value;
}

function allowOnly(query: URLSearchParams, names: readonly string[]): void {
  const unknown = [...query.keys()].filter((key) => !names.includes(key));
  if (unknown.length > 0) {
    throw new InspectionError(400, `unknown: ${unknown.map(show).join(', ')}; there are ${names.join(', ')}`);
  }
}
