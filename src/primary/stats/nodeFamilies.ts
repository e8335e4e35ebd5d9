/**
 * The rest of the modern set: how the node is now. Gauges of tables and sockets, certificates, workers, health, rules,
 * durations, the primary's own process; and each peer where the operator wants that. Pure reads.
 */
import { COUNTED_RULES } from '../../shared/memory/firewallCounters.ts';
import type { FirewallInspection } from '../inspection/firewall.ts';
import { HEALTH_KINDS } from '../inspection/health.ts';
import type { GaugeValue } from '../inspection/metrics.ts';
import type { NodeView } from '../inspection/nodeView.ts';
import { nodeStatus } from '../inspection/status.ts';
import type { DurationHistogram } from '../measures/durationHistogram.ts';
import type { CarriedTraffic } from '../measures/tunnelTraffic.ts';
import type { FamilyType, Labels, MetricFamily, Sample } from './exposition.ts';

/** A family as `docs/metrics.md` lists it. */
export interface FamilyRow {
  readonly name: string;
  readonly type: FamilyType;
  readonly labels: readonly string[];
  readonly help: string;
}

const ROWS = {
  build: row('weft_build_info', 'gauge', ['version', 'node'], 'Always 1: the versions of weft and of Node.'),
  cpu: row('process_cpu_seconds_total', 'counter', [], 'CPU time of the primary.'),
  memory: row('process_resident_memory_bytes', 'gauge', [], 'Memory of the primary.'),
  started: row('process_start_time_seconds', 'gauge', [], 'When the primary was started, in Unix time.'),
  health: row(
    'weft_health',
    'gauge',
    ['check'],
    '0 while a worker is missing, a table is nearly full, or `weft status` has a reason of this kind; 1 otherwise.',
  ),
  workerUp: row('weft_worker_up', 'gauge', ['worker'], '1 while the worker runs, 0 while it is being started again.'),
  workerRestarts: row('weft_worker_restarts_total', 'counter', ['worker'], 'How often the worker died.'),
  expiry: row(
    'weft_certificate_expiry_timestamp_seconds',
    'gauge',
    ['name', 'version', 'fingerprint'],
    "When this node's certificate ends, in Unix time.",
  ),
  tunnels: row('weft_tunnels', 'gauge', [], 'Tunnels to peers.'),
  tunnelCapacity: row('weft_tunnels_capacity', 'gauge', [], 'Tunnels that have room (`tunnels.max`).'),
  hosts: row('weft_hosts', 'gauge', [], 'Overlay addresses with a tunnel.'),
  pending: row('weft_handshakes_pending', 'gauge', [], 'Handshakes that wait for their answer.'),
  flows: row('weft_conntrack_flows', 'gauge', [], 'Flows in the table, expired ones not yet swept included.'),
  flowCapacity: row('weft_conntrack_capacity', 'gauge', [], 'Flows that have room.'),
  flowsBusy: row(
    'weft_conntrack_busy_total',
    'counter',
    [],
    'Changes of flows that were given up because a bucket stayed locked.',
  ),
  rulesVersion: row('weft_firewall_rules_version', 'gauge', [], 'Grows with every reload that changes the rules.'),
  ruleHits: row(
    'weft_firewall_rule_hits_total',
    'counter',
    ['direction', 'rule'],
    'Flows that a rule let in since the rules are in force; rules are numbered from 0 in each direction.',
  ),
  socketDrops: row(
    'weft_udp_socket_dropped_total',
    'counter',
    ['worker'],
    'Datagrams that a full socket could not take.',
  ),
  socketMemory: row(
    'weft_udp_socket_memory_bytes',
    'gauge',
    ['worker', 'kind'],
    "A socket's memory as the kernel tells.",
  ),
  lighthouseHosts: row('weft_lighthouse_hosts', 'gauge', [], 'Hosts that this lighthouse knows.'),
  lighthouseCapacity: row('weft_lighthouse_hosts_capacity', 'gauge', [], 'Hosts that have room.'),
  lighthouseRefused: row('weft_lighthouse_hosts_refused_total', 'counter', [], 'Hosts for which there was no room.'),
  handshakeSeconds: row(
    'weft_handshake_duration_seconds',
    'histogram',
    [],
    'From the first packet to the tunnel, for handshakes that this node started.',
  ),
  checkSeconds: row(
    'weft_tunnel_check_duration_seconds',
    'histogram',
    [],
    'How long peers took to answer the tests of their tunnels.',
  ),
  peerBytes: row(
    'weft_peer_bytes_total',
    'counter',
    ['name', 'address', 'direction'],
    'Bytes of datagrams to (tx) and from (rx) a peer; only with `stats.peer_metrics`.',
  ),
  peerPackets: row(
    'weft_peer_packets_total',
    'counter',
    ['name', 'address', 'direction'],
    'Datagrams to (tx) and from (rx) a peer; only with `stats.peer_metrics`.',
  ),
  peerCheck: row(
    'weft_peer_check_seconds',
    'gauge',
    ['name', 'address'],
    'How long a peer took to answer the last test; only with `stats.peer_metrics`.',
  ),
} as const;

export const NODE_ROWS: readonly FamilyRow[] = Object.values(ROWS);

/** Of `metricList`, by name; what is not here is told in another way, or only to Nebula's dashboards. */
const GAUGES: ReadonlyMap<string, FamilyRow> = new Map([
  ['hostmap.main.indexes', ROWS.tunnels],
  ['hostmap.main.capacity', ROWS.tunnelCapacity],
  ['hostmap.main.hosts', ROWS.hosts],
  ['hostmap.pending.hosts', ROWS.pending],
  ['firewall.conntrack.count', ROWS.flows],
  ['firewall.conntrack.capacity', ROWS.flowCapacity],
  ['firewall.conntrack.busy', ROWS.flowsBusy],
  ['firewall.rules.version', ROWS.rulesVersion],
  ['lighthouse.hosts', ROWS.lighthouseHosts],
  ['lighthouse.hosts.capacity', ROWS.lighthouseCapacity],
  ['lighthouse.hosts.refused', ROWS.lighthouseRefused],
]);

/** A table this full is told of as unwell. */
const FULL_SHARE = 0.95;

export function nodeFamilies(
  view: NodeView,
  gauges: readonly GaugeValue[],
  firewall: FirewallInspection,
): readonly MetricFamily[] {
  const { handshakes, tunnels } = view.measures;
  tunnels.settle();
  return [
    ...processFamilies(view),
    family(ROWS.health, healthSamples(view, gauges)),
    family(
      ROWS.workerUp,
      view.pids.map((pid, worker) => sample({ worker }, pid === 0 ? 0 : 1)),
    ),
    family(
      ROWS.workerRestarts,
      view.deaths.map((deaths, worker) => sample({ worker }, deaths)),
    ),
    family(
      ROWS.expiry,
      view.identity.certificates.map(({ name, version, fingerprint, notAfter }) =>
        sample({ name, version, fingerprint }, notAfter),
      ),
    ),
    ...gauges.flatMap(({ name, value }) => {
      const known = GAUGES.get(name);
      return known === undefined ? [] : [family(known, [sample({}, value)])];
    }),
    family(ROWS.ruleHits, ruleSamples(firewall)),
    ...socketFamilies(gauges),
    family(ROWS.handshakeSeconds, durationSamples(handshakes.durations)),
    family(ROWS.checkSeconds, durationSamples(tunnels.checkDurations)),
  ];
}

/** Of the peers with a tunnel, the busiest first, `max` at most. */
export function peerFamilies(view: NodeView, max: number): readonly MetricFamily[] {
  const peers = new Map<string, { name: string; slots: number[]; primary: number }>();
  for (const { tunnel, isPrimary } of view.control.hosts()) {
    const address = tunnel.vpnAddress.text;
    const peer = peers.get(address) ?? { name: tunnel.peer.certificate.name, slots: [], primary: tunnel.slot };
    peer.slots.push(tunnel.slot);
    peer.primary = isPrimary ? tunnel.slot : peer.primary;
    peers.set(address, peer);
  }
  const busiest = [...peers]
    .map(([address, peer]) => ({ ...peer, address, traffic: view.measures.tunnels.ofPeer(address, peer.slots) }))
    .sort((a, b) => bytesOf(b.traffic) - bytesOf(a.traffic))
    .slice(0, max);
  const both = (rx: (traffic: CarriedTraffic) => number, tx: (traffic: CarriedTraffic) => number): readonly Sample[] =>
    busiest.flatMap(({ name, address, traffic }) => [
      sample({ name, address, direction: 'rx' }, rx(traffic)),
      sample({ name, address, direction: 'tx' }, tx(traffic)),
    ]);
  return [
    family(
      ROWS.peerBytes,
      both(
        ({ receivedBytes }) => receivedBytes,
        ({ sentBytes }) => sentBytes,
      ),
    ),
    family(
      ROWS.peerPackets,
      both(
        ({ receivedPackets }) => receivedPackets,
        ({ sentPackets }) => sentPackets,
      ),
    ),
    family(
      ROWS.peerCheck,
      busiest.flatMap(({ name, address, primary }) => {
        const checkMs = view.measures.tunnels.lastCheckMs(primary);
        return checkMs === null ? [] : [sample({ name, address }, checkMs / 1000)];
      }),
    ),
  ];
}

function processFamilies(view: NodeView): readonly MetricFamily[] {
  const now = view.clock();
  const { user, system } = process.cpuUsage();
  return [
    family(ROWS.build, [sample({ version: view.version, node: process.version }, 1)]),
    family(ROWS.cpu, [sample({}, (user + system) / 1e6)]),
    family(ROWS.memory, [sample({}, process.memoryUsage.rss())]),
    family(ROWS.started, [sample({}, (now.unixMs - (now.ms - view.startedMs)) / 1000)]),
  ];
}

function healthSamples(view: NodeView, gauges: readonly GaugeValue[]): readonly Sample[] {
  const gauge = (name: string): number => gauges.find((each) => each.name === name)?.value ?? 0;
  const hasRoom = (table: string, used: string): boolean =>
    gauge(`${table}.${used}`) < gauge(`${table}.capacity`) * FULL_SHARE;
  const reasons = new Set<string>(nodeStatus(view).health.map(({ kind }) => kind));
  const checks: readonly (readonly [check: string, isWell: boolean])[] = [
    ['workers', view.pids.every((pid) => pid !== 0)],
    ['tunnels', hasRoom('hostmap.main', 'indexes')],
    ['conntrack', hasRoom('firewall.conntrack', 'count')],
    ...HEALTH_KINDS.map((kind) => [kind, !reasons.has(kind)] as const),
  ];
  return checks.map(([check, isWell]) => sample({ check }, isWell ? 1 : 0));
}

function ruleSamples(firewall: FirewallInspection): readonly Sample[] {
  return firewall
    .rules()
    .rules.slice(0, COUNTED_RULES)
    .map(({ direction, number, hits }) => sample({ direction, rule: number }, hits));
}

/** `udp.N.drops` counts, the others are bytes. */
function socketFamilies(gauges: readonly GaugeValue[]): readonly MetricFamily[] {
  const drops: Sample[] = [];
  const memory: Sample[] = [];
  for (const { name, value } of gauges) {
    const match = /^udp\.(\d+)\.(.+)$/.exec(name);
    if (match?.[2] === 'drops') {
      drops.push(sample({ worker: match[1] }, value));
    } else if (match !== null) {
      memory.push(sample({ worker: match[1], kind: match[2] }, value));
    }
  }
  return [family(ROWS.socketDrops, drops), family(ROWS.socketMemory, memory)];
}

function durationSamples(durations: DurationHistogram): readonly Sample[] {
  return [
    ...durations.buckets().map(
      ({ bound, count }): Sample => ({
        labels: { le: Number.isFinite(bound) ? bound : '+Inf' },
        value: count,
        suffix: '_bucket',
      }),
    ),
    { labels: {}, value: durations.sumSeconds, suffix: '_sum' },
    { labels: {}, value: durations.count, suffix: '_count' },
  ];
}

function bytesOf({ receivedBytes, sentBytes }: CarriedTraffic): number {
  return receivedBytes + sentBytes;
}

function row(name: string, type: FamilyType, labels: readonly string[], help: string): FamilyRow {
  return { name, type, labels, help };
}

function family({ name, type, help }: FamilyRow, samples: readonly Sample[]): MetricFamily {
  return { name, type, help, samples };
}

function sample(labels: Labels, value: number): Sample {
  return { labels, value };
}
