/**
 * What would happen to a packet now, and why: `weft why`. Pure reads; nothing is sent and no flow is added.
 *
 *   direction ─► route, tunnel ─► certificate checks ─► cache, conntrack ─► rules ─► worker
 *
 * Says only what can be known from here: a worker's own cache, the kernel's choice of a tun queue and a peer's secret
 * flow label cannot, and the answer says so.
 */

import { hashTuple } from '../../shared/firewall/tupleHash.ts';
import { type IpAddress, prefixContains } from '../../shared/ip/address.ts';
import { IpProtocol } from '../../shared/ip/headers.ts';
import { PacketTuple } from '../../shared/ip/packetTuple.ts';
import type { Tunnel } from '../control/tunnels/tunnel.ts';
import { explain, type Check as RuleCheck, type RuleExplanation, type TrackedFlow } from './explain.ts';
import { type Direction, directionOf, type FirewallInspection, type FlowRule, tunnelFor } from './firewall.ts';
import { InspectionError, type NodeView } from './nodeView.ts';
import { protocolText, setTupleAddresses } from './packetText.ts';
import { unreachedReason } from './reachability.ts';
import { isLocalAddress, routeOf } from './route.ts';
import { type HostSummary, hostSummary } from './status.ts';

/** A packet as it stands in its own headers. */
export interface WhyRequest {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** null: any; the packet is then judged as the first of its flow. For ICMP the identifier is in both ports' place. */
  readonly sourcePort: number | null;
  readonly destinationPort: number | null;
  readonly isFragment: boolean;
  /** The peer through whose tunnel it comes; null: whoever its source address belongs to. */
  readonly via: IpAddress | null;
}

export interface WorkerAnswer {
  /** null when it cannot be known. */
  readonly worker: number | null;
  readonly workers: number;
  readonly reason: string;
}

export interface ConntrackAnswer {
  readonly direction: Direction;
  readonly expiresInSeconds: number;
  readonly rulesVersion: number;
  readonly rule: FlowRule;
  readonly openedByWorker: number | null;
  /** Whether newer rules must be asked at the next packet, and what they say. */
  readonly recheck: 'not needed' | 'passes' | 'fails';
}

/**
 * `allowed` and `refused` are the firewall's; `waiting`: a tunnel must be made first, then the firewall decides;
 * `not carried`: it never comes to that.
 */
export type Outcome = 'allowed' | 'refused' | 'waiting' | 'not carried';

export interface WhyAnswer {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly direction: Direction;
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly route: string;
  readonly tunnel: HostSummary | null;
  /** Remote address against the peer's certificate, local address against ours. */
  readonly identity: readonly RuleCheck[];
  readonly cache: string;
  readonly conntrack: ConntrackAnswer | null;
  /** Live flows between the two hosts with this protocol and, if given, these ports. */
  readonly liveFlows: number;
  /** The rule that lets it in. */
  readonly rule: RuleExplanation | null;
  /** Every rule of its direction with what matched and what failed; empty when an earlier check decided. */
  readonly rules: readonly RuleExplanation[];
  /** What a refused packet's sender gets. */
  readonly action: 'drop' | 'reject' | null;
  readonly worker: WorkerAnswer | null;
}

export function why(view: NodeView, firewall: FirewallInspection, request: WhyRequest): WhyAnswer {
  if (request.source.family !== request.destination.family) {
    throw new InspectionError(400, 'source and destination must both be IPv4 or both be IPv6');
  }
  return isIncoming(view, request) ? whyIncoming(view, firewall, request) : whyOutgoing(view, firewall, request);
}

/** Ours to send, or a peer's to us; with neither end ours, whoever's address the source is decides. */
function isIncoming(view: NodeView, request: WhyRequest): boolean {
  if (request.via !== null) {
    return true;
  }
  if (isLocalAddress(view, request.source)) {
    return false;
  }
  const isPeers = view.identity.networks.some((network) => prefixContains(network, request.source));
  return isLocalAddress(view, request.destination) || isPeers || tunnelFor(view, request.source) !== null;
}

function whyIncoming(view: NodeView, firewall: FirewallInspection, request: WhyRequest): WhyAnswer {
  const peer = request.via ?? request.source;
  const tunnel = request.via === null ? tunnelFor(view, peer) : view.control.primary(peer);
  if (tunnel === null) {
    const whose = request.via === null ? `whose certificate has ${peer.text}` : `to ${peer.text}`;
    return blank(request, true, 'not carried', `no tunnel ${whose}, so no such packet can come in`, 'through a tunnel');
  }
  return judge(view, firewall, request, true, tunnel, `through the tunnel to ${tunnel.peer.certificate.name}`);
}

function whyOutgoing(view: NodeView, firewall: FirewallInspection, request: WhyRequest): WhyAnswer {
  const route = routeOf(view, request.destination);
  if (!route.isCarried) {
    return blank(request, false, 'not carried', route.text, 'none');
  }
  if (route.tunnel === null) {
    const hosts = route.hosts.join(' or ');
    const waits = `no tunnel to ${hosts}: the packet waits for a handshake, then the firewall decides`;
    const faults = route.hosts.map((host) => unreachedReason(view, host));
    const reason = [waits, ...faults].filter((text) => text !== null).join('. So far: ');
    return blank(request, false, 'waiting', reason, route.text);
  }
  return judge(view, firewall, request, false, route.tunnel, route.text);
}

function judge(
  view: NodeView,
  firewall: FirewallInspection,
  request: WhyRequest,
  incoming: boolean,
  tunnel: Tunnel,
  route: string,
): WhyAnswer {
  const { own, table } = firewall.state();
  const tuple = tupleOf(request, incoming);
  const peer = firewall.peerIdentity(tunnel);
  const tracked = trackedFlow(view, firewall, request, tuple);
  const explanation = explain(tuple, peer, own, table, incoming, tracked);
  const { firewall: settings } = view.config;
  const isPrimary = view.control.primary(tunnel.vpnAddress) === tunnel;
  const conntrack =
    explanation.conntrack === null || tracked === null
      ? null
      : {
          direction: directionOf(tracked.incoming),
          expiresInSeconds: tracked.expiresInSeconds,
          rulesVersion: tracked.rulesVersion,
          rule: firewall.flowRule(tracked.incoming, tracked.rulesVersion, tracked.rule),
          openedByWorker: tracked.openedByWorker,
          recheck: explanation.conntrack.recheck,
        };
  return {
    ...blank(request, incoming, explanation.allowed ? 'allowed' : 'refused', explanation.reason, route),
    tunnel: hostSummary(view, tunnel, isPrimary),
    identity: explanation.identity,
    cache: cacheText(settings.conntrack.routineCacheTimeoutMs, conntrack !== null),
    conntrack,
    liveFlows: liveFlows(view, firewall, request, tuple, incoming),
    rule: explanation.rule,
    rules: explanation.rules,
    action: explanation.allowed ? null : incoming ? settings.inboundAction : settings.outboundAction,
    worker: incoming ? receivingWorker(view, tunnel) : sendingWorker(view),
  };
}

function blank(request: WhyRequest, incoming: boolean, outcome: Outcome, reason: string, route: string): WhyAnswer {
  return {
    outcome,
    reason,
    direction: directionOf(incoming),
    protocol: protocolText(request.protocol),
    source: request.source.text,
    destination: request.destination.text,
    route,
    tunnel: null,
    identity: [],
    cache: 'not asked',
    conntrack: null,
    liveFlows: 0,
    rule: null,
    rules: [],
    action: null,
    worker: null,
  };
}

function tupleOf(request: WhyRequest, incoming: boolean): PacketTuple {
  const { source, destination } = request;
  const tuple = new PacketTuple();
  setTupleAddresses(tuple, incoming ? destination : source, incoming ? source : destination);
  tuple.protocol = request.protocol;
  tuple.isFragment = request.isFragment;
  if (isIcmp(request.protocol)) {
    tuple.remotePort = request.destinationPort ?? 0;
  } else if (!request.isFragment) {
    const [from, to] = [request.sourcePort ?? 0, request.destinationPort ?? 0];
    tuple.localPort = incoming ? to : from;
    tuple.remotePort = incoming ? from : to;
  }
  return tuple;
}

interface FoundFlow extends TrackedFlow {
  readonly openedByWorker: number | null;
}

/** The packet's own entry; none when a port is left open, because then it is not one packet. */
function trackedFlow(
  view: NodeView,
  firewall: FirewallInspection,
  request: WhyRequest,
  tuple: PacketTuple,
): FoundFlow | null {
  const { conntrack } = view.tables;
  const nowSeconds = firewall.nowSeconds();
  if (!isWhole(request) || !conntrack.find(tuple, hashTuple(tuple, conntrack.seed), nowSeconds)) {
    return null;
  }
  return {
    incoming: conntrack.foundIncoming,
    rulesVersion: conntrack.foundVersion,
    rule: conntrack.foundRule,
    expiresInSeconds: conntrack.foundExpiry - nowSeconds,
    openedByWorker: firewall.workerOf(conntrack.foundOwner),
  };
}

function isWhole(request: WhyRequest): boolean {
  if (request.isFragment) {
    return true;
  }
  return request.destinationPort !== null && (isIcmp(request.protocol) || request.sourcePort !== null);
}

function liveFlows(
  view: NodeView,
  firewall: FirewallInspection,
  request: WhyRequest,
  tuple: PacketTuple,
  incoming: boolean,
): number {
  const local = incoming ? request.destinationPort : request.sourcePort;
  const remote = incoming ? request.sourcePort : request.destinationPort;
  let count = 0;
  for (const { tuple: other } of view.tables.conntrack.flows(firewall.nowSeconds())) {
    const isBetween =
      other.protocol === tuple.protocol &&
      other.local3 === tuple.local3 &&
      other.remote3 === tuple.remote3 &&
      other.local2 === tuple.local2 &&
      other.remote2 === tuple.remote2 &&
      other.local1 === tuple.local1 &&
      other.remote1 === tuple.remote1 &&
      other.local0 === tuple.local0 &&
      other.remote0 === tuple.remote0;
    const hasPorts =
      isIcmp(tuple.protocol) ||
      ((local === null || other.localPort === local) && (remote === null || other.remotePort === remote));
    count += isBetween && hasPorts ? 1 : 0;
  }
  return count;
}

function cacheText(timeoutMs: number, isTracked: boolean): string {
  if (timeoutMs === 0) {
    return 'off';
  }
  const period = `for at most ${timeoutMs} ms, until the next tick`;
  return isTracked
    ? `on: a worker that has seen the flow in the table passes it without asking again, ${period}`
    : `on: no entry for a flow that is not in the table, unless it has left it since; then ${period}`;
}

/** The kernel chooses the tun queue. */
function sendingWorker(view: NodeView): WorkerAnswer {
  const workers = view.config.routines;
  return workers === 1
    ? { worker: 0, workers, reason: 'the only one' }
    : {
        worker: null,
        workers,
        reason: 'the kernel chooses a tun queue for each flow; every worker can use the tunnel',
      };
}

/** As the steering program does: the sender's label, and without one our index. */
function receivingWorker(view: NodeView, tunnel: Tunnel): WorkerAnswer {
  const workers = view.config.routines;
  if (workers === 1) {
    return { worker: 0, workers, reason: 'the only one' };
  }
  const byIndex = tunnel.localIndex % workers;
  const reason =
    `worker ${byIndex} (index ${tunnel.localIndex} modulo ${workers}) if the peer sends no flow labels, as nebula; ` +
    'a weft peer labels each flow with a hash of its own, so the worker is the same for the whole flow but unknown here';
  return { worker: null, workers, reason };
}

function isIcmp(protocol: number): boolean {
  return protocol === IpProtocol.Icmp || protocol === IpProtocol.Icmpv6;
}
