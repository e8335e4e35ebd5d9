/**
 * A running node: started whole, reloaded in steps, stopped in order. Its parts are made in `nodeParts.ts`; what is opened
 * here is closed here, also when the start fails half way.
 */
import { chooseProviders, type ProviderChoice } from '../shared/crypto/providers.ts';
import { ruleTable } from '../shared/firewall/ruleTable.ts';
import { ownerOf } from '../shared/memory/layout.ts';
import { METRIC } from '../shared/memory/metrics.ts';
import { openApi } from './api/open.ts';
import type { ApiServer } from './api/server.ts';
import type { Boundary } from './boundary.ts';
import type { Config } from './config/config.ts';
import { goOnUnless, unlessStopped } from './interruption.ts';
import { DeviceWatch } from './machine/deviceWatch.ts';
import { LocalAddressWatch } from './machine/localAddressWatch.ts';
import { TrialFile } from './machine/trialFile.ts';
import { type NodeOptions, type NodeParts, nodePartsOf } from './nodeParts.ts';
import type { Identity } from './pki/identity.ts';
import { applyReload, type ReloadTargets } from './reload.ts';
import { openResources, type Resources } from './resources.ts';
import { controlSettingsOf, discoverySettingsOf, networkTexts, remoteAllowListOf } from './settings.ts';

export class Node {
  readonly #options: NodeOptions;
  readonly #resources: Resources;
  readonly #parts: NodeParts;
  readonly #letGo: () => void;
  #api: ApiServer | null = null;
  #addresses: LocalAddressWatch | null = null;
  #deviceWatch: DeviceWatch | null = null;
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
    const node = Node.#over(resources, options, providers);
    await node.#run();
    return node;
  }

  static #over(resources: Resources, options: NodeOptions, providers: ProviderChoice): Node {
    try {
      return new Node(options, resources, providers);
    } catch (error) {
      resources.close();
      throw error;
    }
  }

  private constructor(options: NodeOptions, resources: Resources, providers: ProviderChoice) {
    this.#options = options;
    this.#resources = resources;
    this.#parts = nodePartsOf(options, resources, providers);
    this.#letGo = this.boundary.catchRest();
    void this.boundary.broken.then((reason) => this.#giveUp(reason));
  }

  /** Everything that comes to this node from outside has to pass here. */
  get boundary(): Boundary {
    return this.#parts.boundary;
  }

  /** What an operator is told when the node is up. */
  describe(): Readonly<Record<string, unknown>> {
    const { tun, udp } = this.#resources;
    const { inForce, supervisor } = this.#parts;
    return {
      interface: tun?.name ?? 'none',
      networks: networkTexts(inForce.identity),
      udpPort: udp.port,
      routines: inForce.config.routines,
      workers: supervisor.pids,
    };
  }

  /** Applies a validated configuration as far as it can be applied while running; says what needs a restart. */
  reload(config: Config, identity: Identity): void {
    const { inForce, keys, expiry, supervisor } = this.#parts;
    const next = applyReload(inForce.config, config, inForce.identity, identity, this.#reloadTargets());
    keys.afterReload(inForce.identity, identity, next.identity);
    inForce.config = next.config;
    inForce.identity = next.identity;
    expiry.follow(next.identity);
    supervisor.refreshSettings();
  }

  /** Tells every peer, then ends workers, device and sockets. One step that fails keeps none of the others. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const {
      control,
      shell,
      conntrack,
      locks,
      hangGuard,
      clock,
      expiry,
      names,
      stats,
      supervisor,
      device,
      keys,
      inForce,
    } = this.#parts;
    const steps: readonly (() => void | Promise<void>)[] = [
      () => shell.act((now) => control.closeAll(now)),
      () => shell.close(),
      () => conntrack.close(),
      () => locks.close(),
      () => hangGuard.close(),
      () => clock.close(),
      () => expiry.close(),
      () => this.#deviceWatch?.close(),
      () => this.#addresses?.close(),
      () => names.close(),
      () => this.#api?.close(),
      () => stats.close(),
      () => supervisor.stop(),
      () => device?.close(),
      () => this.#resources.close(),
      () => keys.close(inForce.identity),
      () => this.#parts.outsideLog.close(),
    ];
    for (const step of steps) {
      await this.boundary.guardAsync('stop', async () => await step());
    }
    this.#letGo();
  }

  /** Starts every part. When one cannot be started, those that were are ended, in order. */
  async #run(): Promise<void> {
    try {
      await this.#startWorkers();
      this.#startControl();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async #startWorkers(): Promise<void> {
    const { config, identity, log, stop } = this.#options;
    const { boundary, shell, supervisor, hangGuard, device, outsideLog, view } = this.#parts;
    this.#api = await openApi(view, outsideLog, boundary);
    device?.configure(config, identity);
    hangGuard.start();
    const ready = supervisor.start({
      onPunt: (punt) => shell.onPunt(punt),
      onDeath: (worker) => this.#release(worker),
      onHopeless: (worker, reason) => this.#giveUp(`worker ${worker} does not start: ${reason}`),
    });
    await unlessStopped(ready, stop);
    device?.activate(config, identity);
    const onGone = (reason: string): void => this.#giveUp(reason);
    this.#deviceWatch = DeviceWatch.over(device, this.#resources.tun, { log, boundary, onGone });
  }

  #startControl(): void {
    const { config, identity, log } = this.#options;
    const { boundary, control, shell, conntrack, locks, clock, expiry, stats, inForce } = this.#parts;
    log.info('Firewall started', { firewallHashes: ruleTable(config.firewall, inForce.rulesVersion).hash });
    conntrack.start();
    locks.start();
    this.#resources.launch.program.start(boundary);
    clock.start();
    expiry.follow(identity);
    const addresses = new LocalAddressWatch(boundary, (all) => shell.act((now) => control.onLocalAddresses(now, all)));
    this.#addresses = addresses;
    shell.act((now) => control.start(now, addresses.read()));
    this.#applyNames(config, identity);
    void stats.apply(config.stats);
    const { routineCacheTimeoutMs } = config.firewall.conntrack;
    if (routineCacheTimeoutMs > 0) {
      log.info('Using routine-local conntrack cache', { durationMs: routineCacheTimeoutMs });
    }
  }

  #giveUp(reason: string): void {
    void this.stop().then(() => this.#options.onHopeless(reason));
  }

  /** A worker died: nothing that it held in shared memory may stay held, and its descriptors are its successor's. */
  #release(worker: number): void {
    const { tables } = this.#resources;
    tables.turns.abandon(worker);
    this.#resources.restore(worker);
    this.#parts.locks.onDeath(ownerOf(worker));
    tables.metrics.column(0)[METRIC['worker.restarts']]++;
    this.#parts.deaths[worker]++;
  }

  #reloadTargets(): ReloadTargets {
    const { port } = this.#resources.udp;
    const { control, shell, device, inForce, stats } = this.#parts;
    return {
      log: this.#options.log,
      applyIdentity: (identity) => shell.act(() => control.reloadIdentity(identity)),
      applyControl: (config) => control.reloadSettings(controlSettingsOf(config), remoteAllowListOf(config)),
      applyDiscovery: (config, identity) => {
        shell.act((now) => control.reloadDiscovery(now, discoverySettingsOf(config, identity, port)));
        this.#applyNames(config, identity);
      },
      applyRules: (config) => {
        const hashOf = ({ firewall }: Config): string => ruleTable(firewall, inForce.rulesVersion).hash;
        const oldFirewallHashes = hashOf(inForce.config);
        inForce.rulesVersion++;
        const fields = { firewallHashes: hashOf(config), oldFirewallHashes, rulesVersion: inForce.rulesVersion };
        this.#options.log.info('New firewall has been installed', fields);
      },
      applyDevice: (config, identity) => device?.reload(config, identity),
      applyStats: (config) => void stats.apply(config.stats),
    };
  }

  #applyNames(config: Config, identity: Identity): void {
    void this.boundary.guardAsync('dns', () => this.#parts.names.apply(config, identity));
  }
}
