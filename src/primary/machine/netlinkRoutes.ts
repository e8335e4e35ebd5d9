/**
 * Routes as messages of rtnetlink: adding, deleting, reading, and asking which way the kernel would send. Pure functions
 * beside `netlinkMessages.ts`. rtnetlink(7), Linux `uapi/linux/rtnetlink.h`.
 */
import { addressFromBytes, type IpAddress, type Prefix, prefixOf } from '../../shared/ip/address.ts';
import { AF_INET, AF_INET6 } from '../../shared/sys/abi.ts';
import { attributesOf, MessageBuilder, type MessageSpan, number32 } from './netlinkBytes.ts';
import { NetlinkType, RequestFlag } from './netlinkMessages.ts';

export interface KernelRoute {
  readonly destination: Prefix;
  readonly linkIndex: number;
  /** Address to use as source; left to the kernel when absent. */
  readonly source?: IpAddress;
  /** Next hop; without one the destination is on the link. */
  readonly gateway?: IpAddress;
  /** Priority, smaller is better; 0 is the kernel's default of the family. */
  readonly metric?: number;
  readonly mtu?: number;
  /** TCP maximum segment size to announce. */
  readonly advmss?: number;
  /** Marks the route as the kernel's own, as a connected route is; else as set by hand. */
  readonly isConnected?: boolean;
}

/**
 * Adds a route to the main table. One with the same destination and metric is replaced, whoever's it is, or else the kernel
 * refuses with EEXIST.
 */
export function addRouteRequest(sequence: number, route: KernelRoute, replaces: boolean): Uint8Array {
  const flags = RequestFlag.Ack | RequestFlag.Create | (replaces ? RequestFlag.Replace : RequestFlag.Exclusive);
  const message = new MessageBuilder(NetlinkType.NewRoute, flags, sequence);
  const protocol = route.isConnected === true ? PROTOCOL_KERNEL : PROTOCOL_STATIC;
  writeRouteHeader(message, route.destination, protocol, route.gateway === undefined ? SCOPE_LINK : SCOPE_UNIVERSE);
  writeRouteAttributes(message, route);
  return message.finish();
}

/** Deletes the route to a destination over a link with a metric, whatever its other properties are. */
export function deleteRouteRequest(sequence: number, route: KernelRoute): Uint8Array {
  const { destination, linkIndex, metric = 0 } = route;
  const message = new MessageBuilder(NetlinkType.DeleteRoute, RequestFlag.Ack, sequence);
  writeRouteHeader(message, destination, PROTOCOL_UNSPECIFIED, SCOPE_NOWHERE);
  message.attribute(RouteAttribute.Destination, destination.address.bytes);
  message.attribute32(RouteAttribute.OutputLink, linkIndex);
  if (metric > 0) {
    message.attribute32(RouteAttribute.Priority, metric);
  }
  return message.finish();
}

/** Asks which route a datagram to `destination` would take; `mark` is the socket's, 0 for none. */
export function routeLookupRequest(sequence: number, destination: IpAddress, mark: number): Uint8Array {
  const message = new MessageBuilder(NetlinkType.GetRoute, 0, sequence);
  const bits = destination.bytes.length * 8;
  message
    .u8(destination.family === 4 ? AF_INET : AF_INET6)
    .u8(bits)
    .u8(0)
    .u8(0)
    .u32(0)
    .u32(0);
  message.attribute(RouteAttribute.Destination, destination.bytes);
  if (mark !== 0) {
    message.attribute32(RouteAttribute.Mark, mark);
  }
  return message.finish();
}

/** The link that the answer to a lookup names; 0 for a route over none (unreachable, blackhole). */
export function parseRouteLookup(bytes: Uint8Array, span: MessageSpan): number {
  const isWhole = span.end - span.start >= ROUTE_HEADER_BYTES;
  return isWhole
    ? number32(attributesOf(bytes, span.start + ROUTE_HEADER_BYTES, span.end).get(RouteAttribute.OutputLink))
    : 0;
}

/** Null for routes that are not plain unicast routes of the main table over one link. */
export function parseRoute(bytes: Uint8Array, span: MessageSpan): KernelRoute | null {
  if (span.end - span.start < ROUTE_HEADER_BYTES) {
    return null;
  }
  const family = bytes[span.start];
  const attributes = attributesOf(bytes, span.start + ROUTE_HEADER_BYTES, span.end);
  const table = number32(attributes.get(RouteAttribute.Table)) || bytes[span.start + 4];
  const link = attributes.get(RouteAttribute.OutputLink);
  const isKnown = family === AF_INET || family === AF_INET6;
  if (!isKnown || table !== MAIN_TABLE || bytes[span.start + 7] !== UNICAST_ROUTE || link === undefined) {
    return null;
  }
  const destination = attributes.get(RouteAttribute.Destination) ?? new Uint8Array(family === AF_INET ? 4 : 16);
  const metrics = attributes.get(RouteAttribute.Metrics);
  const inner = metrics === undefined ? new Map<number, Uint8Array>() : attributesOf(metrics, 0, metrics.length);
  const source = attributes.get(RouteAttribute.PreferredSource);
  const gateway = attributes.get(RouteAttribute.Gateway);
  const optional = {
    source: source === undefined ? undefined : addressFromBytes(source),
    gateway: gateway === undefined ? undefined : addressFromBytes(gateway),
    metric: number32(attributes.get(RouteAttribute.Priority)) || undefined,
    mtu: number32(inner.get(RouteMetric.Mtu)) || undefined,
    advmss: number32(inner.get(RouteMetric.AdvertisedSegment)) || undefined,
    isConnected: bytes[span.start + 5] === PROTOCOL_KERNEL || undefined,
  };
  return {
    destination: prefixOf(addressFromBytes(destination), bytes[span.start + 1]),
    linkIndex: number32(link),
    ...(Object.fromEntries(
      Object.entries(optional).filter(([, value]) => value !== undefined),
    ) as Partial<KernelRoute>),
  };
}

function writeRouteHeader(message: MessageBuilder, destination: Prefix, protocol: number, scope: number): void {
  message
    .u8(destination.address.family === 4 ? AF_INET : AF_INET6)
    .u8(destination.bits)
    .u8(0)
    .u8(0);
  message.u8(MAIN_TABLE).u8(protocol).u8(scope).u8(UNICAST_ROUTE);
  message.u32(0);
}

function writeRouteAttributes(message: MessageBuilder, route: KernelRoute): void {
  message.attribute(RouteAttribute.Destination, route.destination.address.bytes);
  message.attribute32(RouteAttribute.OutputLink, route.linkIndex);
  if (route.gateway !== undefined) {
    message.attribute(RouteAttribute.Gateway, route.gateway.bytes);
  }
  if (route.source !== undefined) {
    message.attribute(RouteAttribute.PreferredSource, route.source.bytes);
  }
  if (route.metric !== undefined && route.metric > 0) {
    message.attribute32(RouteAttribute.Priority, route.metric);
  }
  if (route.mtu !== undefined || route.advmss !== undefined) {
    message.nest(RouteAttribute.Metrics, () => {
      if (route.mtu !== undefined) {
        message.attribute32(RouteMetric.Mtu, route.mtu);
      }
      if (route.advmss !== undefined) {
        message.attribute32(RouteMetric.AdvertisedSegment, route.advmss);
      }
    });
  }
}

const ROUTE_HEADER_BYTES = 12;
const RouteAttribute = {
  Destination: 1,
  OutputLink: 4,
  Gateway: 5,
  Priority: 6,
  PreferredSource: 7,
  Metrics: 8,
  Table: 15,
  Mark: 16,
} as const;
const RouteMetric = { Mtu: 2, AdvertisedSegment: 8 } as const;
const MAIN_TABLE = 254;
const PROTOCOL_UNSPECIFIED = 0;
const PROTOCOL_KERNEL = 2;
const PROTOCOL_STATIC = 4;
const SCOPE_UNIVERSE = 0;
const SCOPE_LINK = 253;
const SCOPE_NOWHERE = 255;
const UNICAST_ROUTE = 1;
