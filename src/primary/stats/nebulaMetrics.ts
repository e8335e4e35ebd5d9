/**
 * The metrics that Nebula has, under its names and with its meaning (Nebula protocol: stats), taken from what weft
 * counts. What Nebula measures of its own run time (Go's memory and garbage) has no counterpart.
 */
import type { CounterValue, GaugeValue, MetricList } from '../inspection/metrics.ts';
import type { ReservoirSnapshot } from '../measures/reservoir.ts';

export type NebulaMetric =
  | { readonly kind: 'counter'; readonly name: string; readonly value: number }
  | { readonly kind: 'gauge'; readonly name: string; readonly value: number }
  | { readonly kind: 'histogram'; readonly name: string; readonly values: ReservoirSnapshot };

export interface NebulaMetricOptions {
  readonly messageMetrics: boolean;
  readonly lighthouseMetrics: boolean;
  /** Without a device plain messages are counted too. */
  readonly hasDevice: boolean;
}

/** `handshakes`: durations in nanoseconds. */
export function nebulaMetrics(
  { counters, gauges }: MetricList,
  handshakes: ReservoirSnapshot,
  options: NebulaMetricOptions,
): readonly NebulaMetric[] {
  const totals = new Map(counters.map(({ name, total }: CounterValue) => [name, total]));
  const counter = ([name, sources]: Counted): NebulaMetric => ({
    kind: 'counter',
    name,
    value: sources.reduce((sum, source) => sum + (totals.get(source) ?? 0), 0),
  });
  return [
    ...ALWAYS.map(counter),
    ...(options.messageMetrics ? MESSAGES.map(counter) : []),
    ...(options.messageMetrics && !options.hasDevice ? PLAIN_MESSAGES.map(counter) : []),
    ...(options.lighthouseMetrics ? LIGHTHOUSE.map(counter) : []),
    { kind: 'histogram', name: 'handshakes', values: handshakes },
    ...gaugesOf(gauges),
  ];
}

function gaugesOf(gauges: readonly GaugeValue[]): readonly NebulaMetric[] {
  const known = gauges.filter(({ name }) => GAUGES.includes(name) || /^udp\.\d+\./.test(name));
  const missing = GAUGES.filter((name) => !known.some((gauge) => gauge.name === name));
  return [...known, ...missing.map((name) => ({ name, value: 0 }))].map(({ name, value }) => ({
    kind: 'gauge',
    name,
    value,
  }));
}

/** Nebula's name and what weft counts of it; more than one where weft tells apart what Nebula does not. */
type Counted = readonly [name: string, sources: readonly string[]];

function alike(name: string): Counted {
  return [name, [name]];
}

const ALWAYS: readonly Counted[] = [
  ...['incoming', 'outgoing'].flatMap((direction): readonly Counted[] => {
    const dropped = `firewall.${direction}.dropped`;
    return [
      alike(`${dropped}.local_addr`),
      [`${dropped}.remote_addr`, [`${dropped}.remote_addr`, `${dropped}.peer_addr`]],
      alike(`${dropped}.no_rule`),
    ];
  }),
  alike('handshake_manager.initiated'),
  alike('handshake_manager.timed_out'),
  alike('hostinfo.cached_packets.sent'),
  alike('hostinfo.cached_packets.dropped'),
  alike('network.packets.lost'),
  ['network.packets.duplicate', ['network.packets.duplicate', 'drop.rx.replay']],
  ['network.packets.out_of_window', ['drop.rx.too_old']],
  alike('messages.rx.recv_error'),
  alike('messages.tx.recv_error'),
  alike('messages.tx.punchy'),
  alike('udp.tx.dropped'),
];

const MESSAGE_TYPES = ['handshake_ixpsk0', 'lighthouse', 'test_request', 'test_response', 'close_tunnel'];

const MESSAGES: readonly Counted[] = [
  ...['rx', 'tx'].flatMap((direction) => MESSAGE_TYPES.map((type) => alike(`messages.${direction}.${type}`))),
  ['messages.rx.other', ['messages.rx.control']],
  ['messages.tx.other', ['messages.tx.control']],
  ['messages.rx.invalid', ['drop.rx.version', 'drop.rx.type']],
  ['messages.tx.exhausted', ['messages.tx.exhausted', 'drop.tx.exhausted']],
];

const PLAIN_MESSAGES: readonly Counted[] = [alike('messages.rx.message'), alike('messages.tx.message')];

const LIGHTHOUSE_TYPES = [
  'HostQuery',
  'HostQueryReply',
  'HostUpdateNotification',
  'HostPunchNotification',
  'HostUpdateNotificationAck',
  'other',
];

const LIGHTHOUSE: readonly Counted[] = [
  ...['rx', 'tx'].flatMap((direction) => LIGHTHOUSE_TYPES.map((type) => alike(`lighthouse.${direction}.${type}`))),
  alike('messages.tx.holepunch'),
];

/** Beside the sockets' own, `udp.N.…`. */
const GAUGES: readonly string[] = [
  'certificate.ttl_seconds',
  'certificate.initiating_version',
  'certificate.max_version',
  'firewall.conntrack.count',
  'firewall.rules.version',
  'firewall.rules.hash',
  'hostmap.main.hosts',
  'hostmap.main.indexes',
  'hostmap.main.remoteIndexes',
  'hostmap.main.relayIndexes',
  'hostmap.pending.hosts',
  'hostmap.pending.indexes',
  'routines',
];
