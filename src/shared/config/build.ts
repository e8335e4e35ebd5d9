/** Builds the typed configuration from validated plain data. No checks here beyond what parsing needs. */
import { type ParsedRules, parseRules } from '../firewall/ruleParser.ts';
import type { Level } from '../log/logger.ts';
import { readAllowRanges, readAllowRules, readLocalAllowRules } from './allowLists.ts';
import type {
  CalculatedNetwork,
  Config,
  FirewallConfig,
  LighthouseConfig,
  ListenConfig,
  MtuRoute,
  PkiConfig,
  RecvErrorMode,
  StaticHost,
  TunConfig,
  UnsafeRoute,
} from './config.ts';
import { INT_MAX } from './keyRows.ts';
import { isList, isMap, type Plain, type PlainMap, parseEach } from './plain.ts';
import { Reader } from './reader.ts';
import { type Routines, resolveRoutineCacheTimeout, resolveRoutines } from './routines.ts';
import {
  parseAddressValue,
  parseFingerprint,
  parseFlag,
  parseHostPort,
  parseInteger,
  parsePrefixValue,
} from './scalars.ts';
import { defaultSocketPath } from './socketPath.ts';

const BATCH_MAX = 1024;
const LEVELS: Readonly<Record<string, Level>> = { warning: 'warn', fatal: 'error', panic: 'error' };
const LEVEL_WORDS = ['trace', 'debug', 'info', 'warn', 'warning', 'error', 'fatal', 'panic'] as const;
const RECV_ERROR_WORDS: readonly RecvErrorMode[] = ['always', 'never', 'private'];

/** The configuration, and what was found while it was made: for the checks. */
export interface Built {
  readonly config: Config;
  readonly routines: Routines;
  readonly batchAsWritten: number;
  readonly rules: { readonly inbound: ParsedRules; readonly outbound: ParsedRules };
}

export function buildConfig(plain: PlainMap): Built {
  const read = new Reader(plain);
  const routines = resolveRoutines(
    read.optionalInteger('routines'),
    read.optionalInteger('tun.routines'),
    read.optionalInteger('listen.routines'),
  );
  const rules = {
    inbound: parseRules(read.plain('firewall.inbound'), true),
    outbound: parseRules(read.plain('firewall.outbound'), false),
  };
  const config: Config = {
    pki: buildPki(read),
    staticHostMap: buildStaticHosts(read),
    staticMap: {
      cadenceMs: read.durationMs('static_map.cadence'),
      network: read.choice('static_map.network', ['ip4', 'ip6', 'ip']),
      lookupTimeoutMs: read.durationMs('static_map.lookup_timeout'),
    },
    lighthouse: buildLighthouse(read),
    preferredRanges: buildPreferredRanges(read),
    punchy: {
      punch: read.flag('punchy.punch'),
      respond: read.flag('punchy.respond'),
      delayMs: read.durationMs('punchy.delay'),
      respondDelayMs: read.durationMs('punchy.respond_delay'),
      targetAllRemotes: read.flag('punchy.target_all_remotes'),
    },
    cipher: read.choice('cipher', ['aes', 'chachapoly']),
    crypto: { provider: read.text('crypto.provider') || null },
    routines: routines.count,
    listen: buildListen(read),
    tun: buildTun(read),
    handshakes: {
      tryIntervalMs: read.durationMs('handshakes.try_interval'),
      retries: read.integer('handshakes.retries'),
      queryBuffer: read.integer('handshakes.query_buffer'),
    },
    tunnels: {
      dropInactive: read.flag('tunnels.drop_inactive'),
      inactivityTimeoutMs: read.durationMs('tunnels.inactivity_timeout'),
      max: read.integer('tunnels.max'),
    },
    timers: {
      connectionAliveIntervalMs: read.integer('timers.connection_alive_interval') * 1000,
      pendingDeletionIntervalMs: read.integer('timers.pending_deletion_interval') * 1000,
      requeryWaitDurationMs: read.durationMs('timers.requery_wait_duration'),
    },
    counters: {
      tryPromote: read.integer('counters.try_promote'),
      requeryEveryPackets: read.integer('counters.requery_every_packets'),
    },
    firewall: buildFirewall(read, routines.count, rules),
    logging: buildLogging(read),
    api: { socket: buildSocketPath(read) },
  };
  return { config: frozen(config), routines, batchAsWritten: read.integer('listen.batch'), rules };
}

function buildPki(read: Reader): PkiConfig {
  const version = read.optionalChoice('pki.initiating_version');
  return {
    ca: read.text('pki.ca'),
    cert: read.text('pki.cert'),
    key: read.text('pki.key'),
    blocklist: read.list('pki.blocklist', parseFingerprint),
    disconnectInvalid: read.flag('pki.disconnect_invalid'),
    initiatingVersion: version === null ? null : version === '2' ? 2 : 1,
  };
}

function buildStaticHosts(read: Reader): readonly StaticHost[] {
  return (read.entries('static_host_map') ?? []).flatMap(([text, value]) => {
    const vpnAddress = parseAddressValue(text);
    const targets = parseEach(isList(value) ? value : [value], parseHostPort);
    return vpnAddress === null ? [] : [{ vpnAddress, targets }];
  });
}

function buildLighthouse(read: Reader): LighthouseConfig {
  return {
    amLighthouse: read.flag('lighthouse.am_lighthouse'),
    hosts: read.addresses('lighthouse.hosts'),
    intervalMs: read.integer('lighthouse.interval') * 1000,
    serveDns: read.flag('lighthouse.serve_dns'),
    dns: { host: withoutBrackets(read.text('lighthouse.dns.host')), port: read.integer('lighthouse.dns.port') },
    remoteAllowList: readAllowRules(read.entries('lighthouse.remote_allow_list')),
    remoteAllowRanges: readAllowRanges(read.entries('lighthouse.remote_allow_ranges')),
    localAllowList: readLocalAllowRules(read.entries('lighthouse.local_allow_list')),
    advertiseAddrs: read.hostPorts('lighthouse.advertise_addrs'),
    calculatedRemotes: buildCalculatedRemotes(read),
    maxHosts: read.integer('lighthouse.max_hosts'),
  };
}

function buildCalculatedRemotes(read: Reader): readonly CalculatedNetwork[] {
  return (read.entries('lighthouse.calculated_remotes') ?? []).flatMap(([text, value]) => {
    const network = parsePrefixValue(text);
    const remotes = parseEach(isList(value) ? value : [], (entry) => {
      const mask = isMap(entry) ? parsePrefixValue(entry.mask) : null;
      const port = isMap(entry) ? parseInteger(entry.port, 0, 65535) : null;
      return mask === null || port === null ? null : { mask, port };
    });
    return network === null ? [] : [{ network, remotes }];
  });
}

function buildPreferredRanges(read: Reader): Config['preferredRanges'] {
  const localRange = read.prefix('local_range');
  const ranges = read.prefixes('preferred_ranges');
  return localRange === null ? ranges : [...ranges, localRange];
}

function buildListen(read: Reader): ListenConfig {
  return {
    host: withoutBrackets(read.text('listen.host')),
    port: read.integer('listen.port'),
    batch: Math.min(Math.max(read.integer('listen.batch'), 1), BATCH_MAX),
    readBufferBytes: read.integer('listen.read_buffer'),
    writeBufferBytes: read.integer('listen.write_buffer'),
    sendRecvError: read.choice('listen.send_recv_error', RECV_ERROR_WORDS),
    acceptRecvError: read.choice('listen.accept_recv_error', RECV_ERROR_WORDS),
    soMark: read.integer('listen.so_mark'),
    udpOffloads: read.flag('listen.udp_offloads'),
    flowLabels: read.flag('listen.flow_labels'),
  };
}

function buildTun(read: Reader): TunConfig {
  return {
    disabled: read.flag('tun.disabled'),
    dev: read.device('tun.dev'),
    mtu: read.integer('tun.mtu'),
    txQueue: read.integer('tun.tx_queue'),
    dropLocalBroadcast: read.flag('tun.drop_local_broadcast'),
    dropMulticast: read.flag('tun.drop_multicast'),
    routes: read.list('tun.routes', buildRoute),
    unsafeRoutes: read.list('tun.unsafe_routes', buildUnsafeRoute),
    useOffloads: read.flag('tun.use_offloads'),
  };
}

function buildRoute(value: Plain): MtuRoute | null {
  const route = isMap(value) ? parsePrefixValue(value.route) : null;
  const mtu = isMap(value) ? parseInteger(value.mtu, 500, 65535) : null;
  return route === null || mtu === null ? null : { route, mtu };
}

function buildUnsafeRoute(value: Plain): UnsafeRoute | null {
  const route = isMap(value) ? parsePrefixValue(value.route) : null;
  if (route === null || !isMap(value)) {
    return null;
  }
  return {
    route,
    via: parseEach(isList(value.via) ? value.via : [{ gateway: value.via }], buildGateway),
    mtu: parseInteger(value.mtu, 0, 65535) ?? 0,
    metric: parseInteger(value.metric, 0, INT_MAX) ?? 0,
    install: parseFlag(value.install) ?? true,
  };
}

function buildGateway(value: Plain): UnsafeRoute['via'][number] | null {
  const gateway = isMap(value) ? parseAddressValue(value.gateway) : null;
  return gateway === null || !isMap(value) ? null : { gateway, weight: parseInteger(value.weight, 1, INT_MAX) ?? 1 };
}

function buildFirewall(read: Reader, routines: number, rules: Built['rules']): FirewallConfig {
  const cacheTimeoutMs = read.optionalDurationMs('firewall.conntrack.routine_cache_timeout');
  return {
    inbound: rules.inbound.rules,
    outbound: rules.outbound.rules,
    inboundAction: read.choice('firewall.inbound_action', ['drop', 'reject']),
    outboundAction: read.choice('firewall.outbound_action', ['drop', 'reject']),
    defaultLocalCidrAny: read.flag('firewall.default_local_cidr_any'),
    conntrack: {
      tcpTimeoutMs: read.durationMs('firewall.conntrack.tcp_timeout'),
      udpTimeoutMs: read.durationMs('firewall.conntrack.udp_timeout'),
      defaultTimeoutMs: read.durationMs('firewall.conntrack.default_timeout'),
      maxConnections: read.integer('firewall.conntrack.max_connections'),
      routineCacheTimeoutMs: resolveRoutineCacheTimeout(routines, cacheTimeoutMs),
    },
  };
}

function buildLogging(read: Reader): Config['logging'] {
  const word = read.choice('logging.level', LEVEL_WORDS);
  const isLevel = (text: string): text is Level => LEVELS[text] === undefined;
  return {
    level: isLevel(word) ? word : LEVELS[word],
    format: read.choice('logging.format', ['text', 'json']),
    disableTimestamp: read.flag('logging.disable_timestamp'),
  };
}

function buildSocketPath(read: Reader): string | null {
  const written = read.optionalText('api.socket');
  return written === null ? defaultSocketPath(read.device('tun.dev')) : written || null;
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
