/**
 * The parts of a node, made in the order in which they need each other: each gets what is there already, and nothing runs
 * yet. Whoever speaks to a part that is made later does so from its start on, by the events that it is started with.
 */
import { randomBytes } from 'node:crypto';
import { Cipher } from '../shared/crypto/aead.ts';
import { type ProviderChoice, providerFor } from '../shared/crypto/providers.ts';
import { FLOW_KEY_BYTES, type WorkerSettings } from '../shared/ipc/messages.ts';
import type { RootLogger } from '../shared/log/logger.ts';
import { Arena } from '../shared/sys/arena.ts';
import { SOCKADDR_BYTES, SocketFamily } from '../shared/tunnel/socketAddress.ts';
import { TunnelContext, TunnelContexts } from '../shared/tunnel/tunnelContext.ts';
import { Boundary } from './boundary.ts';
import type { Config } from './config/config.ts';
import { ControlPlane } from './control/controlPlane.ts';
import { Remotes } from './control/discovery/remotes.ts';
import { ControlShell } from './controlShell.ts';
import { InForce } from './inForce.ts';
import type { ConfigurationHealth } from './inspection/health.ts';
import type { NodeView } from './inspection/nodeView.ts';
import { LighthouseHosts } from './lighthouse/hosts.ts';
import { LighthouseNames } from './lighthouse/names.ts';
import { LimitedLog } from './limitedLog.ts';
import { ClockKeeper } from './machine/clockKeeper.ts';
import { Device } from './machine/device.ts';
import { DnsResolver } from './machine/dnsResolver.ts';
import { socketMemory } from './machine/udpSocket.ts';
import { Underlay } from './machine/underlay.ts';
import { Performer } from './performer.ts';
import { ExpiryReporter } from './pki/expiryReporter.ts';
import type { Identity } from './pki/identity.ts';
import { KeyCustody } from './pki/keyCustody.ts';
import type { Resources } from './resources.ts';
import { cipherOf, controlSettingsOf, discoverySettingsOf, remoteAllowListOf, workerSettingsOf } from './settings.ts';
import { StatsService } from './stats/statsService.ts';
import { ConntrackKeeper } from './tables/conntrackKeeper.ts';
import { type LockKeeper, lockKeeperOf } from './tables/lockKeeper.ts';
import { TunnelRows } from './tables/tunnelRows.ts';
import { weftVersion } from './version.ts';
import { HangGuard } from './workers/hangGuard.ts';
import { Supervisor } from './workers/supervisor.ts';
import { heapMebibytes } from './workers/workerMemory.ts';

/** The primary's arena: one datagram; and for each tunnel a socket address. */
const ARENA_BYTES = 4 * 1024 * 1024;

export interface NodeOptions {
  readonly config: Config;
  readonly identity: Identity;
  readonly log: RootLogger;
  /** What the configuration was warned about. */
  readonly health: ConfigurationHealth;
  /** When aborted, a start that is under way ends in order, with StartInterrupted. */
  readonly stop: AbortSignal;
  /** The node cannot go on (a worker that never comes up, a defect of the core); it has been stopped. */
  readonly onHopeless: (reason: string) => void;
}

export interface NodeParts {
  /** Everything that comes to the node from outside has to pass here. */
  readonly boundary: Boundary;
  /** For what peers, strangers and clients can cause. */
  readonly outsideLog: LimitedLog;
  readonly inForce: InForce;
  readonly control: ControlPlane;
  readonly shell: ControlShell;
  readonly names: LighthouseNames;
  readonly supervisor: Supervisor;
  readonly conntrack: ConntrackKeeper;
  readonly locks: LockKeeper;
  readonly hangGuard: HangGuard;
  readonly clock: ClockKeeper;
  readonly device: Device | null;
  readonly expiry: ExpiryReporter;
  readonly keys: KeyCustody;
  /** By worker: how often it died. */
  readonly deaths: number[];
  readonly view: NodeView;
  readonly stats: StatsService;
}

/** Opens the device and netlink sockets; throws SysError. */
export function nodePartsOf(options: NodeOptions, resources: Resources, providers: ProviderChoice): NodeParts {
  const { config, identity, log } = options;
  const { tables, tun, udp, launch } = resources;
  const boundary = new Boundary({ log });
  const outsideLog = new LimitedLog(log);
  const inForce = new InForce(config, identity);
  const rows = new TunnelRows(tables);
  const remotes = new Remotes();
  const hosts = config.lighthouse.amLighthouse ? new LighthouseHosts(tables.lighthouse, tables.turns) : null;
  const control = new ControlPlane({
    store: rows,
    register: hosts,
    remotes,
    remoteFilter: remoteAllowListOf(config),
    random: (byteCount) => randomBytes(byteCount),
    cipher: cipherOf(config),
    identity,
    settings: controlSettingsOf(config),
    discovery: discoverySettingsOf(config, identity, udp.port),
  });
  const device = tun === null ? null : new Device(tun.name, log);
  const names = new LighthouseNames(control, identity, outsideLog, boundary, launch);
  const supervisor = supervisorOf(options, inForce, resources, providers, boundary);
  const performer = new Performer({
    rows,
    ...networkOf(resources, providers, device),
    metrics: tables.metrics.column(0),
    workers: supervisor,
    names,
    troubles: control.troubles,
    log: outsideLog,
  });
  const shell = new ControlShell({ control, performer, resolver: new DnsResolver(), boundary });
  const expiry = new ExpiryReporter(log, boundary);
  const deaths = udp.fds.map(() => 0);
  const counts = (): ReadonlyMap<string, number> => new Map([...performer.counts, ...boundary.counts, ...names.counts]);
  const view = viewOf({ options, inForce, resources, control, rows, remotes, hosts, supervisor, deaths, counts });
  return {
    boundary,
    outsideLog,
    inForce,
    control,
    shell,
    names,
    supervisor,
    conntrack: conntrackKeeperOf(inForce, resources, supervisor, boundary),
    locks: lockKeeperOf(tables, log, boundary),
    hangGuard: new HangGuard(supervisor, tables, log, boundary),
    clock: new ClockKeeper({
      boundary,
      log,
      onStandstill: () => shell.act((now) => control.onStandstill(now)),
      onNewTime: () => expiry.follow(inForce.identity),
    }),
    device,
    expiry,
    keys: new KeyCustody(config.handshakes),
    deaths,
    view,
    stats: new StatsService(view, outsideLog, boundary),
  };
}

/** What the primary itself sends with. */
function networkOf(
  { tables, udp }: Resources,
  providers: ProviderChoice,
  device: Device | null,
): { readonly underlay: Underlay; readonly contexts: TunnelContexts } {
  const family = udp.family === 4 ? SocketFamily.Ipv4 : SocketFamily.Ipv6;
  const arena = new Arena(ARENA_BYTES + tables.tunnels.capacity * SOCKADDR_BYTES);
  const providerOf = (cipher: Cipher): ReturnType<typeof providerFor> => providerFor(providers, cipher);
  return {
    underlay: new Underlay(udp.fds[0], family, arena, device),
    contexts: new TunnelContexts(arena, tables.tunnels, tables.indexes, providerOf, family, TunnelContext),
  };
}

function supervisorOf(
  { config, log }: NodeOptions,
  inForce: InForce,
  resources: Resources,
  providers: ProviderChoice,
  boundary: Boundary,
): Supervisor {
  const { udp, tun, channels, tables, launch } = resources;
  const fixed = {
    providers: {
      aes: providerFor(providers, Cipher.Aes256Gcm).name,
      chacha: providerFor(providers, Cipher.ChaCha20Poly1305).name,
    },
    offload: tun?.offload ?? { vnetHeader: false, tso: false, uso: false },
    family: udp.family,
    ownPort: udp.port,
    labelKey: randomBytes(FLOW_KEY_BYTES),
  };
  const settings = (worker: number): WorkerSettings =>
    workerSettingsOf(worker, inForce.config, inForce.identity, { ...fixed, rulesVersion: inForce.rulesVersion });
  return new Supervisor({
    fds: udp.fds.map((_, worker) => resources.workerFds(worker)),
    channels,
    launch,
    metrics: tables.metrics.column(0),
    log,
    heapMebibytes: heapMebibytes(config.tunnels.max),
    boundary,
    settings,
  });
}

function conntrackKeeperOf(
  inForce: InForce,
  { tables }: Resources,
  supervisor: Supervisor,
  boundary: Boundary,
): ConntrackKeeper {
  return new ConntrackKeeper({
    conntrack: tables.conntrack,
    tickMs: inForce.config.firewall.conntrack.routineCacheTimeoutMs,
    timeoutMsMax: () => {
      const { tcpTimeoutMs, udpTimeoutMs, defaultTimeoutMs } = inForce.config.firewall.conntrack;
      return Math.max(tcpTimeoutMs, udpTimeoutMs, defaultTimeoutMs);
    },
    broadcast: (message) => supervisor.broadcast(message),
    boundary,
  });
}

interface ViewSources {
  readonly options: NodeOptions;
  readonly inForce: InForce;
  readonly resources: Resources;
  readonly control: ControlPlane;
  readonly rows: TunnelRows;
  readonly remotes: Remotes;
  readonly hosts: LighthouseHosts | null;
  readonly supervisor: Supervisor;
  readonly deaths: readonly number[];
  readonly counts: () => ReadonlyMap<string, number>;
}

/** What the local API may look at; getters, because a reload changes what is behind them. */
function viewOf(sources: ViewSources): NodeView {
  const { options, inForce, supervisor } = sources;
  const { tables, tun, udp, launch } = sources.resources;
  return {
    version: weftVersion(),
    clock: () => ({ ms: performance.now(), unixMs: Date.now() }),
    startedMs: performance.now(),
    interfaceName: tun?.name ?? null,
    port: udp.port,
    tables,
    control: sources.control,
    measures: sources.rows.measures,
    remotes: sources.remotes,
    lighthouse: sources.hosts,
    deaths: sources.deaths,
    socketMemory: (worker) => socketMemory(udp.fds[worker]),
    get counts() {
      return sources.counts();
    },
    get config() {
      return inForce.config;
    },
    get identity() {
      return inForce.identity;
    },
    get rulesVersion() {
      return inForce.rulesVersion;
    },
    get health() {
      return [...options.health.reasons, ...launch.program.health];
    },
    get pids() {
      return supervisor.pids;
    },
  };
}
