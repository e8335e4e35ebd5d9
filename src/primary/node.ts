/**
 * A running node: its resources, its control plane, its workers; started whole, reloaded in steps, stopped in order.
 *
 * Composes; decides nothing. What is opened here is closed here, also when the start fails half way.
 */
import { randomBytes } from 'node:crypto';
import { Cipher } from '../shared/crypto/aead.ts';
import { chooseProviders, type ProviderChoice, providerFor } from '../shared/crypto/providers.ts';
import { FLOW_KEY_BYTES } from '../shared/ipc/messages.ts';
import type { RootLogger } from '../shared/log/logger.ts';
import { ownerOf, type SharedTables } from '../shared/memory/layout.ts';
import { METRIC } from '../shared/memory/metrics.ts';
import { Arena } from '../shared/sys/arena.ts';
import { SOCKADDR_BYTES, SocketFamily } from '../shared/tunnel/socketAddress.ts';
import { TunnelContexts } from '../shared/tunnel/tunnelContext.ts';
import { openApi } from './api/open.ts';
import type { ApiServer } from './api/server.ts';
import { Boundary } from './boundary.ts';
import type { Config } from './config/config.ts';
import { ControlPlane } from './control/controlPlane.ts';
import { Remotes } from './control/remotes.ts';
import { ControlShell } from './controlShell.ts';
import { Discovery, lighthouseTableOf } from './discovery.ts';
import type { ConfigurationHealth } from './inspection/health.ts';
import type { NodeView } from './inspection/nodeView.ts';
import { goOnUnless, unlessStopped } from './interruption.ts';
import { LimitedLog } from './limitedLog.ts';
import { ClockKeeper } from './machine/clockKeeper.ts';
import { Device } from './machine/device.ts';
import { DeviceWatch } from './machine/deviceWatch.ts';
import { TrialFile } from './machine/trialFile.ts';
import { socketMemory } from './machine/udpSocket.ts';
import { Underlay } from './machine/underlay.ts';
import { remoteAllowListOf } from './peerDiscoverySettings.ts';
import { ExpiryReporter } from './pki/expiryReporter.ts';
import type { Identity } from './pki/identity.ts';
import { KeyCustody } from './pki/keyCustody.ts';
import { applyReload, type ReloadTargets } from './reload.ts';
import { openResources, type Resources } from './resources.ts';
import { cipherOf, controlSettingsOf, networkTexts, workerSettingsOf } from './settings.ts';
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

export class Node {
  /** Everything that comes to this node from outside has to pass here. */
  readonly boundary: Boundary;
  readonly #log: RootLogger;
  /** For what peers, strangers and clients can cause. */
  readonly #outsideLog: LimitedLog;
  readonly #letGo: () => void;
  readonly #onHopeless: NodeOptions['onHopeless'];
  readonly #resources: Resources;
  readonly #providers: ProviderChoice;
  readonly #labelKey: Uint8Array = randomBytes(FLOW_KEY_BYTES);
  readonly #rows: TunnelRows;
  readonly #control: ControlPlane;
  readonly #discovery: Discovery;
  readonly #shell: ControlShell;
  readonly #supervisor: Supervisor;
  readonly #keeper: ConntrackKeeper;
  readonly #locks: LockKeeper;
  readonly #hangGuard: HangGuard;
  readonly #clock: ClockKeeper;
  readonly #device: Device | null;
  #deviceWatch: DeviceWatch | null = null;
  readonly #expiry: ExpiryReporter;
  readonly #keys: KeyCustody;
  readonly #remotes: Remotes = new Remotes();
  readonly #startedMs: number = performance.now();
  /** By worker. */
  readonly #deaths: number[];
  #api: ApiServer | null = null;
  #config: Config;
  #identity: Identity;
  readonly #health: ConfigurationHealth;
  #rulesVersion = 1;
  #stopped: Promise<void> | null = null;

  /** Opens everything, starts the workers, brings the device up. Throws with nothing left behind. */
  static async start(options: NodeOptions): Promise<Node> {
    const { config, log, stop } = options;
    goOnUnless(stop);
    const providers = chooseProviders({
      pinned: config.crypto.provider,
      memory: new TrialFile(),
      log: (level, message, fields) => log.log(level, message, fields),
    });
    const resources = await openResources(config, log, stop);
    if (!resources.areFactsSealed) {
      log.warn('This kernel (older than 5.1) lets a taken-over worker write the tables of tunnels, hosts and keys');
    }
    try {
      const node = new Node(options, resources, providers);
      await node.#run(stop);
      return node;
    } catch (error) {
      resources.close();
      throw error;
    }
  }

  private constructor(options: NodeOptions, resources: Resources, providers: ProviderChoice) {
    const { config, identity, log } = options;
    const { tables, udp, tun } = resources;
    this.boundary = new Boundary({ log, onBroken: (reason) => this.#giveUp(reason) });
    this.#letGo = this.boundary.catchRest();
    this.#onHopeless = options.onHopeless;
    this.#log = log;
    this.#health = options.health;
    this.#config = config;
    this.#identity = identity;
    this.#resources = resources;
    this.#providers = providers;
    const family = udp.family === 4 ? SocketFamily.Ipv4 : SocketFamily.Ipv6;
    const arena = new Arena(ARENA_BYTES + tables.tunnels.capacity * SOCKADDR_BYTES);
    this.#device = tun === null ? null : new Device(tun.name, log);
    const underlay = new Underlay(udp.fds[0], family, arena, this.#device);
    const contexts = new TunnelContexts(
      arena,
      tables.tunnels,
      tables.indexes,
      (cipher) => providerFor(providers, cipher),
      family,
    );
    this.#rows = new TunnelRows(tables);
    this.#outsideLog = new LimitedLog(log);
    const { hosts, store } = lighthouseTableOf(config, tables, this.#rows, this.#outsideLog);
    this.#deaths = udp.fds.map(() => 0);
    this.#control = new ControlPlane({
      store,
      remotes: this.#remotes,
      remoteFilter: remoteAllowListOf(config),
      random: (byteCount) => randomBytes(byteCount),
      cipher: cipherOf(config),
      identity,
      settings: controlSettingsOf(config),
    });
    this.#discovery = new Discovery({
      config,
      identity,
      control: this.#control,
      remotes: this.#remotes,
      hosts,
      port: udp.port,
      log: this.#outsideLog,
      boundary: this.boundary,
      launch: resources.launch,
      act: (event) => this.#shell.act(event),
    });
    this.#supervisor = this.#supervisorOf(options, resources);
    this.#shell = new ControlShell({
      control: this.#control,
      companion: this.#discovery,
      rows: this.#rows,
      contexts,
      underlay,
      metrics: tables.metrics.column(0),
      broadcast: (message) => this.#supervisor.broadcast(message),
      log: this.#outsideLog,
      boundary: this.boundary,
    });
    this.#keeper = this.#conntrackKeeper(tables);
    this.#locks = lockKeeperOf(tables, log, this.boundary);
    this.#hangGuard = new HangGuard(this.#supervisor, tables, log, this.boundary);
    this.#clock = this.#clockKeeper();
    this.#expiry = new ExpiryReporter(log, this.boundary);
    this.#keys = new KeyCustody(config.handshakes);
  }

  /** What an operator is told when the node is up. */
  describe(): Readonly<Record<string, unknown>> {
    const { tun, udp } = this.#resources;
    return {
      interface: tun?.name ?? 'none',
      networks: networkTexts(this.#identity),
      udpPort: udp.port,
      routines: this.#config.routines,
      workers: this.#supervisor.pids,
    };
  }

  /** Applies a validated configuration as far as it can be applied while running; says what needs a restart. */
  reload(config: Config, identity: Identity): void {
    const next = applyReload(this.#config, config, this.#identity, identity, this.#reloadTargets());
    this.#keys.afterReload(this.#identity, identity, next.identity);
    this.#config = next.config;
    this.#identity = next.identity;
    this.#expiry.follow(this.#identity);
    this.#supervisor.refreshSettings();
  }

  /** Tells every peer, then ends workers, device and sockets. One step that fails keeps none of the others. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const steps: readonly (() => void | Promise<void>)[] = [
      () => this.#shell.act(() => this.#control.closeAll()),
      () => this.#shell.close(),
      () => this.#keeper.close(),
      () => this.#locks.close(),
      () => this.#hangGuard.close(),
      () => this.#clock.close(),
      () => this.#expiry.close(),
      () => this.#deviceWatch?.close(),
      () => this.#discovery.close(),
      () => this.#api?.close(),
      () => this.#supervisor.stop(),
      () => this.#device?.close(),
      () => this.#resources.close(),
      () => this.#keys.close(this.#identity),
      () => this.#outsideLog.close(),
    ];
    for (const step of steps) {
      await this.boundary.guardAsync('stop', async () => await step());
    }
    this.#letGo();
  }

  async #run(stop: AbortSignal): Promise<void> {
    try {
      this.#api = await openApi(this.#view(), this.#outsideLog, this.boundary);
      this.#device?.configure(this.#config, this.#identity);
      this.#hangGuard.start();
      await unlessStopped(this.#supervisor.start(), stop);
      this.#device?.activate(this.#config, this.#identity);
      this.#deviceWatch = DeviceWatch.over(this.#device, this.#resources.tun, {
        log: this.#log,
        boundary: this.boundary,
        onGone: (reason) => this.#giveUp(reason),
      });
    } catch (error) {
      this.#hangGuard.close();
      await this.#api?.close();
      await this.#supervisor.stop();
      this.#device?.close();
      this.#letGo();
      throw error;
    }
    this.#keeper.start();
    this.#locks.start();
    this.#resources.launch.program.start(this.boundary);
    this.#clock.start();
    this.#expiry.follow(this.#identity);
    this.#shell.act((now) => this.#discovery.start(now));
    const { routineCacheTimeoutMs } = this.#config.firewall.conntrack;
    if (routineCacheTimeoutMs > 0) {
      this.#log.info('Using routine-local conntrack cache', { durationMs: routineCacheTimeoutMs });
    }
  }

  #clockKeeper(): ClockKeeper {
    return new ClockKeeper({
      boundary: this.boundary,
      log: this.#log,
      onStandstill: () =>
        this.#shell.act((now) => {
          this.#control.onStandstill(now);
          this.#discovery.onStandstill(now);
        }),
      onNewTime: () => this.#expiry.follow(this.#identity),
    });
  }

  #conntrackKeeper({ conntrack }: SharedTables): ConntrackKeeper {
    return new ConntrackKeeper({
      conntrack,
      tickMs: this.#config.firewall.conntrack.routineCacheTimeoutMs,
      timeoutMsMax: () => {
        const { tcpTimeoutMs, udpTimeoutMs, defaultTimeoutMs } = this.#config.firewall.conntrack;
        return Math.max(tcpTimeoutMs, udpTimeoutMs, defaultTimeoutMs);
      },
      broadcast: (message) => this.#supervisor.broadcast(message),
      boundary: this.boundary,
    });
  }

  #supervisorOf(options: NodeOptions, resources: Resources): Supervisor {
    const { udp, channels, tables, launch } = resources;
    return new Supervisor({
      fds: udp.fds.map((_, worker) => resources.workerFds(worker)),
      channels,
      launch,
      metrics: tables.metrics.column(0),
      log: options.log,
      heapMebibytes: heapMebibytes(options.config.tunnels.max),
      boundary: this.boundary,
      settings: (worker) => this.#workerSettings(worker),
      onPunt: (punt) => this.#shell.onPunt(punt),
      onDeath: (worker) => this.#release(worker),
      onHopeless: (worker, reason) => this.#giveUp(`worker ${worker} does not start: ${reason}`),
    });
  }

  #giveUp(reason: string): void {
    void this.stop().then(() => this.#onHopeless(reason));
  }

  #workerSettings(worker: number): ReturnType<typeof workerSettingsOf> {
    const { tun, udp } = this.#resources;
    return workerSettingsOf(worker, this.#config, this.#identity, {
      providers: {
        aes: providerFor(this.#providers, Cipher.Aes256Gcm).name,
        chacha: providerFor(this.#providers, Cipher.ChaCha20Poly1305).name,
      },
      offload: tun?.offload ?? { vnetHeader: false, tso: false, uso: false },
      family: udp.family,
      ownPort: udp.port,
      labelKey: this.#labelKey,
      rulesVersion: this.#rulesVersion,
    });
  }

  /** A worker died: nothing that it held in shared memory may stay held, and its descriptors are its successor's. */
  #release(worker: number): void {
    const { tables } = this.#resources;
    tables.turns.abandon(worker);
    this.#resources.restore(worker);
    this.#locks.onDeath(ownerOf(worker));
    tables.metrics.column(0)[METRIC['worker.restarts']]++;
    this.#deaths[worker]++;
  }

  /** What the local API may look at; getters, because a reload changes what is behind them. */
  #view(): NodeView {
    const node = this;
    const { tables, tun, udp } = this.#resources;
    return {
      version: weftVersion(),
      clock: () => ({ ms: performance.now(), unixMs: Date.now() }),
      startedMs: this.#startedMs,
      interfaceName: tun?.name ?? null,
      port: udp.port,
      tables,
      control: this.#control,
      remotes: this.#remotes,
      deaths: this.#deaths,
      get counts() {
        return new Map([...node.#shell.counts(), ...node.boundary.counts, ...node.#discovery.counts]);
      },
      socketMemory: (worker) => socketMemory(udp.fds[worker]),
      get config() {
        return node.#config;
      },
      get identity() {
        return node.#identity;
      },
      get rulesVersion() {
        return node.#rulesVersion;
      },
      get health() {
        return [...node.#health.reasons, ...node.#resources.launch.program.health];
      },
      get pids() {
        return node.#supervisor.pids;
      },
      get lighthouse() {
        return node.#discovery.hosts;
      },
    };
  }

  #reloadTargets(): ReloadTargets {
    return {
      log: this.#log,
      applyIdentity: (identity) => this.#shell.act(() => this.#control.reloadIdentity(identity)),
      applyControl: (config) => this.#control.reloadSettings(controlSettingsOf(config), remoteAllowListOf(config)),
      applyDiscovery: (config, identity) => this.#shell.act((now) => this.#discovery.reload(now, config, identity)),
      applyRules: () => {
        this.#rulesVersion++;
      },
      applyDevice: (config, identity) => this.#device?.reload(config, identity),
    };
  }
}
