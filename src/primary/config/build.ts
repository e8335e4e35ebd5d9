/** Builds the typed configuration from the values of its keys: names, defaults that follow from others, old forms. */
import type { Level } from '../../shared/log/logger.ts';
import type {
  Config,
  FirewallConfig,
  LighthouseConfig,
  ListenConfig,
  PkiConfig,
  StatsConfig,
  TunConfig,
} from './config.ts';
import type { ValueOf } from './keys.ts';
import type { Values } from './readTree.ts';
import { type Routines, resolveRoutineCacheTimeout, resolveRoutines } from './routines.ts';
import { defaultSocketPath } from './socketPath.ts';

const BATCH_MAX = 1024;

/** The configuration, and values as they were written, for the checks that compare them with what was made of them. */
export interface Built {
  readonly config: Config;
  readonly routines: Routines;
  readonly batchAsWritten: number;
}

export function buildConfig(values: Values): Built {
  const routines = resolveRoutines(
    values.given('routines'),
    values.given('tun.routines'),
    values.given('listen.routines'),
  );
  const config: Config = {
    pki: buildPki(values),
    staticHostMap: values.of('static_host_map'),
    staticMap: {
      cadenceMs: values.of('static_map.cadence'),
      network: values.of('static_map.network'),
      lookupTimeoutMs: values.of('static_map.lookup_timeout'),
    },
    lighthouse: buildLighthouse(values),
    preferredRanges: buildPreferredRanges(values),
    punchy: {
      punch: values.of('punchy.punch'),
      respond: values.of('punchy.respond'),
      delayMs: values.of('punchy.delay'),
      respondDelayMs: values.of('punchy.respond_delay'),
      targetAllRemotes: values.of('punchy.target_all_remotes'),
    },
    cipher: values.of('cipher'),
    crypto: { provider: values.of('crypto.provider') || null },
    routines: routines.count,
    listen: buildListen(values),
    tun: buildTun(values),
    handshakes: {
      tryIntervalMs: values.of('handshakes.try_interval'),
      retries: values.of('handshakes.retries'),
      queryBuffer: values.of('handshakes.query_buffer'),
    },
    tunnels: {
      dropInactive: values.of('tunnels.drop_inactive'),
      inactivityTimeoutMs: values.of('tunnels.inactivity_timeout'),
      max: values.of('tunnels.max'),
    },
    timers: {
      connectionAliveIntervalMs: values.of('timers.connection_alive_interval'),
      pendingDeletionIntervalMs: values.of('timers.pending_deletion_interval'),
      requeryWaitDurationMs: values.of('timers.requery_wait_duration'),
    },
    counters: {
      tryPromote: values.of('counters.try_promote'),
      requeryEveryPackets: values.of('counters.requery_every_packets'),
    },
    firewall: buildFirewall(values, routines.count),
    logging: buildLogging(values),
    stats: buildStats(values),
    api: { socket: buildSocketPath(values) },
  };
  return { config: frozen(config), routines, batchAsWritten: values.of('listen.batch') };
}

function buildPki(values: Values): PkiConfig {
  const version = values.of('pki.initiating_version');
  return {
    ca: values.of('pki.ca'),
    cert: values.of('pki.cert'),
    key: values.of('pki.key'),
    blocklist: values.of('pki.blocklist'),
    blocklistKeys: values.of('pki.blocklist_keys'),
    disconnectInvalid: values.of('pki.disconnect_invalid'),
    initiatingVersion: version === null ? null : version === '2' ? 2 : 1,
  };
}

function buildLighthouse(values: Values): LighthouseConfig {
  return {
    amLighthouse: values.of('lighthouse.am_lighthouse'),
    hosts: values.of('lighthouse.hosts'),
    intervalMs: values.of('lighthouse.interval'),
    serveDns: values.of('lighthouse.serve_dns'),
    dns: { host: withoutBrackets(values.of('lighthouse.dns.host')), port: values.of('lighthouse.dns.port') },
    remoteAllowList: values.of('lighthouse.remote_allow_list') ?? [],
    remoteAllowRanges: values.of('lighthouse.remote_allow_ranges') ?? [],
    localAllowList: values.of('lighthouse.local_allow_list') ?? { addresses: [], interfaces: [] },
    advertiseAddrs: values.of('lighthouse.advertise_addrs'),
    calculatedRemotes: values.of('lighthouse.calculated_remotes') ?? [],
    maxHosts: values.of('lighthouse.max_hosts'),
  };
}

function buildPreferredRanges(values: Values): Config['preferredRanges'] {
  const localRange = values.of('local_range');
  const ranges = values.of('preferred_ranges');
  return localRange === null ? ranges : [...ranges, localRange];
}

function buildListen(values: Values): ListenConfig {
  return {
    host: withoutBrackets(values.of('listen.host')) || '::',
    port: values.of('listen.port'),
    batch: Math.min(Math.max(values.of('listen.batch'), 1), BATCH_MAX),
    readBufferBytes: values.of('listen.read_buffer'),
    writeBufferBytes: values.of('listen.write_buffer'),
    sendRecvError: values.of('listen.send_recv_error'),
    acceptRecvError: values.of('listen.accept_recv_error'),
    soMark: values.of('listen.so_mark'),
    udpOffloads: values.of('listen.udp_offloads'),
    flowLabels: values.of('listen.flow_labels'),
  };
}

function buildTun(values: Values): TunConfig {
  return {
    disabled: values.of('tun.disabled'),
    dev: values.of('tun.dev'),
    mtu: values.of('tun.mtu'),
    txQueue: values.of('tun.tx_queue'),
    dropLocalBroadcast: values.of('tun.drop_local_broadcast'),
    dropMulticast: values.of('tun.drop_multicast'),
    routes: values.of('tun.routes'),
    unsafeRoutes: values.of('tun.unsafe_routes'),
    useOffloads: values.of('tun.use_offloads'),
  };
}

function buildFirewall(values: Values, routines: number): FirewallConfig {
  const cacheTimeoutMs = values.of('firewall.conntrack.routine_cache_timeout');
  return {
    inbound: values.of('firewall.inbound'),
    outbound: values.of('firewall.outbound'),
    inboundAction: values.of('firewall.inbound_action'),
    outboundAction: values.of('firewall.outbound_action'),
    defaultLocalCidrAny: values.of('firewall.default_local_cidr_any'),
    conntrack: {
      tcpTimeoutMs: values.of('firewall.conntrack.tcp_timeout'),
      udpTimeoutMs: values.of('firewall.conntrack.udp_timeout'),
      defaultTimeoutMs: values.of('firewall.conntrack.default_timeout'),
      maxConnections: values.of('firewall.conntrack.max_connections'),
      routineCacheTimeoutMs: resolveRoutineCacheTimeout(routines, cacheTimeoutMs),
    },
  };
}

function buildLogging(values: Values): Config['logging'] {
  return {
    level: levelOf(values.of('logging.level')),
    format: values.of('logging.format'),
    disableTimestamp: values.of('logging.disable_timestamp'),
  };
}

function levelOf(word: ValueOf<'logging.level'>): Level {
  switch (word) {
    case 'warning':
      return 'warn';
    case 'fatal':
    case 'panic':
      return 'error';
    default:
      return word;
  }
}

function buildStats(values: Values): StatsConfig {
  return {
    type: values.of('stats.type'),
    intervalMs: values.of('stats.interval') ?? 0,
    protocol: values.of('stats.protocol'),
    host: values.of('stats.host') ?? '',
    listen: values.of('stats.listen') ?? '',
    path: values.of('stats.path') ?? '',
    prefix: values.of('stats.prefix'),
    namespace: values.of('stats.namespace'),
    subsystem: values.of('stats.subsystem'),
    messageMetrics: values.of('stats.message_metrics'),
    lighthouseMetrics: values.of('stats.lighthouse_metrics'),
    peerMetrics: values.of('stats.peer_metrics'),
    peerMetricsMax: values.of('stats.peer_metrics_max'),
  };
}

function buildSocketPath(values: Values): string | null {
  const written = values.given('api.socket');
  const device = values.of('tun.dev');
  const isChosenByKernel = !values.of('tun.disabled') && (device === '' || device.includes('%'));
  return written === null ? (isChosenByKernel ? '' : defaultSocketPath(device)) : written || null;
}

/** Nebula's spelling of the IPv6 wildcard address. */
function withoutBrackets(host: string): string {
  return /^\[.*\]$/.test(host) ? host.slice(1, -1) : host;
}

/** Freezes objects and lists all the way down; the bytes of addresses cannot be frozen. */
function frozen<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    for (const child of Object.values(value)) {
      frozen(child);
    }
    Object.freeze(value);
  }
  return value;
}
