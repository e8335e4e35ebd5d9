/**
 * Composes one queue's data path from its settings, the shared tables and its ports: the only place that does. The
 * product, its tests and benches, and the simulation run what is built here.
 *
 * Parts live as long as the worker; what a reload replaces, as a whole and between two turns, is `ReloadedParts`. No
 * descriptor, clock or logger comes in here.
 */
import { parseCertificate } from '../shared/cert/parse.ts';
import { Cipher } from '../shared/crypto/aead.ts';
import { publicKeyBytes } from '../shared/crypto/dh.ts';
import type { ProviderName } from '../shared/crypto/providerNames.ts';
import { loadProvider } from '../shared/crypto/providers.ts';
import { OwnIdentity } from '../shared/firewall/identity.ts';
import { ruleTable } from '../shared/firewall/ruleTable.ts';
import { networkWords } from '../shared/ip/networkWords.ts';
import type { LighthouseSettings, WorkerSettings } from '../shared/ipc/messages.ts';
import type { SharedTables } from '../shared/memory/layout.ts';
import { TunnelTrafficColumn } from '../shared/memory/tunnelTraffic.ts';
import type { Arena } from '../shared/sys/arena.ts';
import { MONOTONIC_OFFSET_MS } from '../shared/sys/clock.ts';
import { SocketFamily } from '../shared/tunnel/socketAddress.ts';
import { TunnelContexts } from '../shared/tunnel/tunnelContext.ts';
import { EchoResponder } from './datapath/echoResponder.ts';
import { EndpointFilter } from './datapath/endpointFilter.ts';
import { Firewall } from './datapath/firewall.ts';
import { FlowLabel } from './datapath/flowLabel.ts';
import { Inbound, type InboundRules } from './datapath/inbound.ts';
import { Outbound, type OutboundRules } from './datapath/outbound.ts';
import { RecvErrors } from './datapath/recvErrors.ts';
import { type RejectActions, Rejects } from './datapath/rejects.ts';
import { Router } from './datapath/router.ts';
import { RoutineCache } from './datapath/routineCache.ts';
import { Sender } from './datapath/sender.ts';
import { Strangers } from './datapath/strangers.ts';
import { Waiting } from './datapath/waiting.ts';
import { LighthouseRequests } from './lighthouse/lighthouseRequests.ts';
import { Deliveries } from './offload/deliveries.ts';
import { Segmenter } from './offload/segment.ts';
import type { DatagramPort, PacketPort, PuntSink } from './ports/contracts.ts';
import { Punts } from './punts.ts';
import { WorkerTunnel } from './workerTunnel.ts';

export interface WorkerPorts {
  /** Where the ports have their packets. The path takes what it needs besides from it. */
  readonly arena: Arena;
  /** null when the node runs without a device. */
  readonly tun: PacketPort | null;
  readonly udp: DatagramPort;
  readonly punts: PuntSink;
}

/** What all directions work with. */
interface CommonParts {
  readonly arena: Arena;
  readonly tables: SharedTables;
  readonly metrics: Float64Array;
  readonly traffic: TunnelTrafficColumn;
  readonly udp: DatagramPort;
  readonly contexts: TunnelContexts<WorkerTunnel>;
  readonly sender: Sender;
  readonly punts: Punts;
  readonly strangers: Strangers;
  readonly rejects: Rejects;
  readonly cache: RoutineCache;
  /** null: this node is no lighthouse. */
  readonly lighthouse: LighthouseRequests | null;
}

export interface WorkerParts extends CommonParts {
  readonly inbound: Inbound;
  /** null when the node runs without a device. */
  readonly outbound: Outbound | null;
  reloaded: ReloadedParts;
}

/** Everything that a reload replaces: the router, the firewall with its rules, what is derived from our certificate. */
export type ReloadedParts = OutboundRules & InboundRules;

/** The longest inner packet that is sealed: Nebula's own packet buffers end here. */
const INNER_BYTES_MAX = 9001;

/** `tables` as the worker `settings.worker` opens them. Throws ProviderError when a cipher library is gone. */
export function buildParts(settings: WorkerSettings, tables: SharedTables, ports: WorkerPorts): WorkerParts {
  const { arena, tun } = ports;
  const common = commonParts(settings, tables, ports);
  const { sender, metrics } = common;
  const reloaded = reloadedParts(settings, common);
  const overlay =
    tun === null ? new EchoResponder(arena, sender) : new Deliveries(arena, tun, settings.tunOffload, metrics);
  const inbound = new Inbound({ ...common, family: familyOf(settings), overlay }, reloaded);
  const outbound =
    tun === null
      ? null
      : new Outbound(
          { ...common, tun, waiting: new Waiting(), segmenter: new Segmenter(arena, INNER_BYTES_MAX) },
          reloaded,
        );
  return { ...common, inbound, outbound, reloaded };
}

/** Everything that follows from new settings; the old ones stay in force until all of it is built. */
export function applySettings(parts: WorkerParts, settings: WorkerSettings): void {
  const { rejects, lighthouse, strangers, outbound, inbound } = parts;
  const reloaded = reloadedParts(settings, parts);
  rejects.reconfigure(rejectActions(settings));
  strangers.trust(settings.caNames.keys());
  if (settings.lighthouse !== null) {
    lighthouse?.applyFilter(endpointFilter(settings.lighthouse, settings));
  }
  parts.reloaded = reloaded;
  outbound?.reconfigure(reloaded);
  inbound.reconfigure(reloaded);
}

function commonParts(settings: WorkerSettings, tables: SharedTables, ports: WorkerPorts): CommonParts {
  const { arena, tun, udp } = ports;
  const { worker } = settings;
  const metrics = tables.metrics.column(worker + 1);
  const contexts = openContexts(settings, arena, tables);
  const traffic = new TunnelTrafficColumn(tables.traffic[worker], MONOTONIC_OFFSET_MS);
  const sender = new Sender(contexts, udp, metrics, traffic);
  const punts = new Punts(arena, tables.tunnels.capacity, metrics, ports.punts);
  return {
    arena,
    tables,
    metrics,
    traffic,
    udp,
    contexts,
    sender,
    punts,
    strangers: openStrangers(settings, arena, contexts, tables),
    rejects: new Rejects(arena, tun, sender, rejectActions(settings)),
    cache: new RoutineCache(settings.firewall.routineCacheTimeoutMs),
    lighthouse:
      settings.lighthouse === null
        ? null
        : new LighthouseRequests({
            arena,
            tables,
            contexts,
            sender,
            punts,
            worker,
            filter: endpointFilter(settings.lighthouse, settings),
          }),
  };
}

function reloadedParts(settings: WorkerSettings, parts: CommonParts): ReloadedParts {
  const { tables, arena, udp, metrics, punts, cache, lighthouse } = parts;
  const own = new OwnIdentity(parseCertificate(settings.certificate, settings.certificateVersion), settings.caNames);
  const { rules, rulesVersion, timeouts } = settings.firewall;
  return {
    router: new Router(settings, tables.hosts, punts),
    firewall: new Firewall({
      own,
      rules: ruleTable(rules, rulesVersion),
      timeouts,
      conntrack: tables.conntrack,
      cache,
      counters: tables.firewallCounters[settings.worker],
    }),
    own,
    labels: settings.labelKey === null ? null : new FlowLabel(settings.labelKey),
    ownNetworks: networkWords(settings.networks),
    recvErrors: new RecvErrors(arena, udp, metrics, settings.sendRecvError),
    lighthouse,
  };
}

function openStrangers(
  settings: WorkerSettings,
  arena: Arena,
  contexts: TunnelContexts,
  tables: SharedTables,
): Strangers {
  const strangers = new Strangers({
    arena,
    family: familyOf(settings),
    contexts,
    hosts: tables.hosts,
    metrics: tables.metrics.column(settings.worker + 1),
    seed: tables.conntrack.seed,
    workers: tables.firewallCounters.length,
    keyBytes: publicKeyBytes(parseCertificate(settings.certificate, settings.certificateVersion).curve),
  });
  strangers.trust(settings.caNames.keys());
  return strangers;
}

function rejectActions(settings: WorkerSettings): RejectActions {
  return {
    inbound: settings.firewall.rejectsInbound,
    outbound: settings.firewall.rejectsOutbound,
  };
}

function endpointFilter(lighthouse: LighthouseSettings, settings: WorkerSettings): EndpointFilter {
  return new EndpointFilter({ ...lighthouse.allow, ownNetworks: settings.networks });
}

/** Of the worker's UDP socket, and of every socket address in the arena. */
export function familyOf(settings: WorkerSettings): SocketFamily {
  return settings.family === 4 ? SocketFamily.Ipv4 : SocketFamily.Ipv6;
}

/** Workers load just the libraries that the primary has tried. */
function openContexts(settings: WorkerSettings, arena: Arena, tables: SharedTables): TunnelContexts<WorkerTunnel> {
  const aes = loadProvider(settings.aesProvider as ProviderName);
  const chacha = loadProvider(settings.chachaProvider as ProviderName);
  return new TunnelContexts(
    arena,
    tables.tunnels,
    tables.indexes,
    (cipher) => (cipher === Cipher.Aes256Gcm ? aes : chacha),
    familyOf(settings),
    WorkerTunnel,
  );
}
