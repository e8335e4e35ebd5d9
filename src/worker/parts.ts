/**
 * What a worker builds once and keeps as long as it runs: ports on the inherited descriptors, tunnels' contexts, the
 * outbound and inbound paths; and what it builds from its settings and replaces on reload (`buildRules`).
 */
import { parseCertificate } from '../shared/cert/parse.ts';
import { Cipher } from '../shared/crypto/aead.ts';
import { publicKeyBytes } from '../shared/crypto/dh.ts';
import type { ProviderName } from '../shared/crypto/providerNames.ts';
import { loadProvider } from '../shared/crypto/providers.ts';
import { OwnIdentity } from '../shared/firewall/identity.ts';
import { ruleTable } from '../shared/firewall/ruleTable.ts';
import { networkWords } from '../shared/ip/networkWords.ts';
import { PacketTuple } from '../shared/ip/packetTuple.ts';
import type { LighthouseSettings, WorkerSettings } from '../shared/ipc/messages.ts';
import { openAsWorker, type SharedTables } from '../shared/memory/layout.ts';
import { Arena } from '../shared/sys/arena.ts';
import { mapReadOnly, mapSharedMemory } from '../shared/sys/sharedMemory.ts';
import { SocketFamily } from '../shared/tunnel/socketAddress.ts';
import { TunnelContexts } from '../shared/tunnel/tunnelContext.ts';
import { EchoResponder } from './datapath/echoResponder.ts';
import { EndpointFilter } from './datapath/endpointFilter.ts';
import { Firewall } from './datapath/firewall.ts';
import { FlowLabel } from './datapath/flowLabel.ts';
import type { InboundRules } from './datapath/inbound.ts';
import type { OutboundRules } from './datapath/outbound.ts';
import { Peers } from './datapath/peers.ts';
import { RecvErrors } from './datapath/recvErrors.ts';
import { type RejectActions, Rejects } from './datapath/rejects.ts';
import { Router } from './datapath/router.ts';
import { RoutineCache } from './datapath/routineCache.ts';
import { Sender } from './datapath/sender.ts';
import { Strangers } from './datapath/strangers.ts';
import { LighthouseRequests } from './lighthouse/lighthouseRequests.ts';
import { Deliveries } from './offload/deliveries.ts';
import type { Overlay } from './ports/contracts.ts';
import { TunPort } from './ports/tunPort.ts';
import { UdpPort } from './ports/udpPort.ts';
import { type PuntSink, Punts } from './punts.ts';

export interface WorkerFds {
  readonly tun: number;
  readonly udp: number;
  readonly facts: number;
  readonly common: number;
  readonly own: number;
}

/** Built once. */
export interface WorkerParts {
  readonly arena: Arena;
  readonly tables: SharedTables;
  readonly metrics: Float64Array;
  readonly family: SocketFamily;
  readonly udp: UdpPort;
  /** null when the node runs without a device. */
  readonly tun: TunPort | null;
  readonly overlay: Overlay;
  readonly contexts: TunnelContexts;
  readonly sender: Sender;
  readonly punts: Punts;
  readonly strangers: Strangers;
  readonly rejects: Rejects;
  readonly cache: RoutineCache;
  /** null: this node is no lighthouse. */
  readonly lighthouse: LighthouseRequests | null;
  /** The packet under work: one for both directions, as a turn handles one packet after the other. */
  readonly tuple: PacketTuple;
}

/** What the configuration decides; replaced as a whole. */
export type Rules = OutboundRules & InboundRules;

/** Receive buffers come on top: send area, tun buffers, one socket address per tunnel. Pages are backed when touched. */
const ARENA_BYTES = 64 * 1024 * 1024;
const RECEIVED_BYTES_MAX = 65_536;

export function buildParts(settings: WorkerSettings, fds: WorkerFds, sink: PuntSink): WorkerParts {
  const tables = openAsWorker(
    mapReadOnly(fds.facts).buffer,
    mapSharedMemory(fds.common).buffer,
    mapSharedMemory(fds.own).buffer,
    settings.worker,
  );
  const metrics = tables.metrics.column(settings.worker + 1);
  const arena = new Arena(ARENA_BYTES + settings.batch * RECEIVED_BYTES_MAX);
  const family = settings.family === 4 ? SocketFamily.Ipv4 : SocketFamily.Ipv6;
  const udp = new UdpPort(arena, {
    fd: fds.udp,
    family,
    batch: settings.batch,
    offloads: settings.udpOffloads,
  });
  const tun = settings.hasDevice
    ? new TunPort(arena, { fd: fds.tun, vnetHeader: settings.tunOffload.vnetHeader })
    : null;
  const contexts = openContexts(settings, arena, tables, family);
  const sender = new Sender(contexts, udp, metrics);
  const punts = new Punts(arena, tables.tunnels.capacity, metrics, sink);
  const tuple = new PacketTuple();
  return {
    arena,
    tables,
    metrics,
    family,
    udp,
    tun,
    overlay: tun === null ? new EchoResponder(arena, sender) : new Deliveries(arena, tun, settings.tunOffload, metrics),
    contexts,
    sender,
    punts,
    strangers: openStrangers(settings, arena, family, contexts, tables),
    rejects: new Rejects(arena, tun, sender, tuple, rejectActions(settings)),
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
            worker: settings.worker,
            filter: endpointFilter(settings.lighthouse, settings),
          }),
    tuple,
  };
}

/** Everything that follows from the settings; the old rules stay in force until the caller has these. */
export function buildRules(settings: WorkerSettings, parts: WorkerParts): Rules {
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
    peers: new Peers(tables.tunnels, own),
    labels: settings.labelKey === null ? null : new FlowLabel(settings.labelKey),
    ownNetworks: networkWords(settings.networks),
    recvErrors: new RecvErrors(arena, udp, metrics, settings.sendRecvError),
    lighthouse,
  };
}

function openStrangers(
  settings: WorkerSettings,
  arena: Arena,
  family: SocketFamily,
  contexts: TunnelContexts,
  tables: SharedTables,
): Strangers {
  const strangers = new Strangers({
    arena,
    family,
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

export function rejectActions(settings: WorkerSettings): RejectActions {
  return {
    inbound: settings.firewall.rejectsInbound,
    outbound: settings.firewall.rejectsOutbound,
  };
}

export function endpointFilter(lighthouse: LighthouseSettings, settings: WorkerSettings): EndpointFilter {
  return new EndpointFilter({ ...lighthouse.allow, ownNetworks: settings.networks });
}

/** Workers load just the libraries that the primary has tried. */
function openContexts(
  settings: WorkerSettings,
  arena: Arena,
  tables: SharedTables,
  family: SocketFamily,
): TunnelContexts {
  const aes = loadProvider(settings.aesProvider as ProviderName);
  const chacha = loadProvider(settings.chachaProvider as ProviderName);
  return new TunnelContexts(
    arena,
    tables.tunnels,
    tables.indexes,
    (cipher) => (cipher === Cipher.Aes256Gcm ? aes : chacha),
    family,
  );
}
