/**
 * Which family of the modern set each counter of the node belongs to, and under which labels. The first row that fits
 * counts; the last one takes whatever no other does, so no counter is left out. `docs/metrics.md` lists the families.
 */
import type { CounterValue } from '../inspection/metrics.ts';
import type { MetricFamily, Sample } from './exposition.ts';

export interface CounterRow {
  /** Of the whole name of a counter; its groups are the values of `labels`. */
  readonly counters: RegExp;
  readonly name: string;
  readonly labels: readonly string[];
  readonly help: string;
  /** A sample for each process, with a label `worker`. Only where that tells something: there may be many workers. */
  readonly isByWorker?: boolean;
}

export const COUNTER_ROWS: readonly CounterRow[] = [
  {
    counters: /^(tun|udp)\.(rx|tx)\.packets$/,
    name: 'weft_packets_total',
    labels: ['side', 'direction'],
    help: 'Packets received (rx) from and sent (tx) to the device (tun, super-packets count once) and the network (udp).',
    isByWorker: true,
  },
  {
    counters: /^(tun|udp)\.(rx|tx)\.bytes$/,
    name: 'weft_bytes_total',
    labels: ['side', 'direction'],
    help: 'Bytes received (rx) from and sent (tx) to the device (tun) and the network (udp).',
    isByWorker: true,
  },
  {
    counters: /^udp\.tx\.dropped$/,
    name: 'weft_udp_send_failures_total',
    labels: [],
    help: 'Datagrams that the kernel did not take.',
  },
  {
    counters: /^messages\.(rx|tx)\.(.+)$/,
    name: 'weft_messages_total',
    labels: ['direction', 'type'],
    help: 'Messages between nodes by type.',
  },
  {
    counters: /^drop\.(rx|tx)\.(.+)$/,
    name: 'weft_dropped_packets_total',
    labels: ['direction', 'reason'],
    help: 'Packets from the network (rx) and from the device (tx) that were dropped before the firewall or after it.',
  },
  {
    counters: /^firewall\.(incoming|outgoing)\.dropped\.(.+)$/,
    name: 'weft_firewall_dropped_packets_total',
    labels: ['direction', 'reason'],
    help: 'Packets that the firewall refused.',
  },
  {
    counters: /^firewall\.cache\.(.+)$/,
    name: 'weft_firewall_cache_events_total',
    labels: ['event'],
    help: "What happened in the workers' own caches of flows.",
  },
  {
    counters: /^firewall\.conntrack\.(.+)$/,
    name: 'weft_conntrack_events_total',
    labels: ['event'],
    help: 'What happened in the table of flows.',
  },
  {
    counters: /^network\.packets\.lost$/,
    name: 'weft_packets_lost_total',
    labels: [],
    help: 'Packets of peers that never came, by the gaps in their counters.',
  },
  {
    counters: /^hostinfo\.cached_packets\.(.+)$/,
    name: 'weft_waiting_packets_total',
    labels: ['outcome'],
    help: 'Packets that waited for a tunnel, by what became of them.',
  },
  {
    counters: /^handshake_manager\.(initiated|timed_out)$/,
    name: 'weft_handshakes_started_total',
    labels: ['event'],
    help: 'Handshakes that this node started, and those of them that nobody answered.',
  },
  {
    counters: /^handshakes\.completed$/,
    name: 'weft_handshakes_completed_total',
    labels: [],
    help: 'Handshakes that led to a tunnel, whoever started them.',
  },
  {
    counters: /^handshakes\.rejected\.(.+)$/,
    name: 'weft_handshakes_rejected_total',
    labels: ['reason'],
    help: 'Handshake messages that were refused.',
  },
  {
    counters: /^tunnels\.(.+)$/,
    name: 'weft_tunnel_events_total',
    labels: ['event'],
    help: 'What happened to tunnels.',
  },
  {
    counters: /^punts\.limited\.(.+)$/,
    name: 'weft_punts_limited_total',
    labels: ['kind'],
    help: 'What peers asked beyond their quotas.',
  },
  {
    counters: /^punts\.lost\.(.+)$/,
    name: 'weft_punts_lost_total',
    labels: ['kind'],
    help: 'What workers had to tell the primary and found no room for.',
  },
  {
    counters: /^boundary\.(.+)$/,
    name: 'weft_boundary_faults_total',
    labels: ['entry'],
    help: 'Exceptions in the primary that were caught: defects of weft.',
  },
  {
    counters: /^workers\.hung$/,
    name: 'weft_workers_hung_total',
    labels: [],
    help: 'Workers that made no turn and were killed for it.',
  },
  {
    counters: /^worker\.protocol_faults$/,
    name: 'weft_worker_protocol_faults_total',
    labels: [],
    help: 'Workers that wrote what none may write, and were killed: defective, or taken over.',
  },
  {
    counters: /^lighthouse\.(rx|tx)\.(.+)$/,
    name: 'weft_lighthouse_messages_total',
    labels: ['direction', 'type'],
    help: 'Lighthouse messages by type.',
  },
  {
    counters: /^lighthouse\.drop\.(.+)$/,
    name: 'weft_lighthouse_dropped_messages_total',
    labels: ['reason'],
    help: 'Lighthouse messages that were dropped.',
  },
  {
    counters: /^dns\.(.+)$/,
    name: 'weft_dns_events_total',
    labels: ['event'],
    help: "What happened in a lighthouse's DNS server.",
  },
  {
    counters: /^(.+)$/,
    name: 'weft_events_total',
    labels: ['event'],
    help: 'Everything else that is counted, by its name in `weft metrics`.',
  },
];

/** Counted by worker elsewhere. */
const ELSEWHERE: ReadonlySet<string> = new Set(['worker.restarts']);

export function counterFamilies(counters: readonly CounterValue[]): readonly MetricFamily[] {
  const samples = COUNTER_ROWS.map((): Sample[] => []);
  for (const counter of counters) {
    const index = ELSEWHERE.has(counter.name) ? -1 : COUNTER_ROWS.findIndex((row) => row.counters.test(counter.name));
    if (index >= 0) {
      samples[index].push(...samplesOf(COUNTER_ROWS[index], counter));
    }
  }
  return COUNTER_ROWS.map(({ name, help }, index) => ({ name, type: 'counter', help, samples: samples[index] }));
}

function samplesOf(row: CounterRow, { name, total, primary, workers }: CounterValue): readonly Sample[] {
  const values = row.counters.exec(name)?.slice(1) ?? [];
  const labels = Object.fromEntries(row.labels.map((label, index) => [label, values[index]]));
  if (row.isByWorker !== true) {
    return [{ labels, value: total }];
  }
  return [
    ...(primary === 0 ? [] : [{ labels: { ...labels, worker: 'primary' }, value: primary }]),
    ...workers.map((value, worker) => ({ labels: { ...labels, worker }, value })),
  ];
}
