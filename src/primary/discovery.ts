/**
 * How this node and its peers find each other: static hosts, lighthouses asked and told, punching, and, on a
 * lighthouse, the table that its workers answer from. Composes the parts without I/O of `control/` and gives them what
 * they ask of the machine: local addresses, name resolution.
 */
import type { Identity } from '../shared/cert/identity.ts';
import type { Config } from '../shared/config/config.ts';
import { addressFromBytes, type IpAddress } from '../shared/ip/address.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { SharedTables } from '../shared/memory/layout.ts';
import { LocalAllowList, RemoteAllowList } from './control/allowList.ts';
import { CalculatedRemotes } from './control/calculatedRemotes.ts';
import type { ControlPlane } from './control/controlPlane.ts';
import { type Effect, Outbox } from './control/effects.ts';
import { LighthouseClient, type LighthouseClientSettings } from './control/lighthouseClient.ts';
import type { Now } from './control/now.ts';
import { Punching, type PunchingSettings } from './control/punching.ts';
import type { Remotes, RemotesPolicy } from './control/remotes.ts';
import { StaticHosts } from './control/staticHosts.ts';
import type { ControlCompanion } from './controlShell.ts';
import { DnsResolver } from './dnsResolver.ts';
import { LighthouseAnswers } from './lighthouseAnswers.ts';
import { LighthouseHosts } from './lighthouseHosts.ts';
import { LocalEndpoints } from './localEndpoints.ts';

export interface DiscoveryParts {
  readonly config: Config;
  readonly identity: Identity;
  readonly control: ControlPlane;
  readonly remotes: Remotes;
  readonly tables: SharedTables;
  /** The UDP port that is bound. */
  readonly port: number;
  readonly log: Logger;
  /** Runs an event of the outside world as the control plane's: results of lookups, changed addresses. */
  readonly act: (event: (now: Now) => void) => void;
}

/** `lighthouse.remote_allow_list` and `remote_allow_ranges`, compiled. Validated before. */
export function remoteAllowListOf(config: Config): RemoteAllowList {
  return RemoteAllowList.compile(config.lighthouse.remoteAllowList, config.lighthouse.remoteAllowRanges);
}

export function remotesPolicyOf(config: Config, identity: Identity): RemotesPolicy {
  return {
    ownNetworks: ownNetworksOf(identity),
    allowList: remoteAllowListOf(config),
    preferredRanges: config.preferredRanges,
  };
}

export class Discovery implements ControlCompanion {
  readonly #parts: DiscoveryParts;
  readonly #outbox = new Outbox();
  readonly #resolver = new DnsResolver();
  readonly #staticHosts: StaticHosts;
  readonly #punching: Punching;
  readonly #client: LighthouseClient;
  readonly #endpoints: LocalEndpoints;
  readonly #answers: LighthouseAnswers;
  /** null: this node is no lighthouse. */
  readonly #hosts: LighthouseHosts | null;
  #calculated: CalculatedRemotes;
  #config: Config;
  #lastRequest = 0;

  constructor(parts: DiscoveryParts) {
    const { config, identity, control, remotes, tables, port, log } = parts;
    this.#parts = parts;
    this.#config = config;
    this.#calculated = new CalculatedRemotes(config.lighthouse.calculatedRemotes);
    this.#staticHosts = new StaticHosts({
      outbox: this.#outbox,
      remotes,
      ownAddress: identity.networks[0].address,
      requestId: () => ++this.#lastRequest,
    });
    this.#punching = new Punching(this.#outbox, punchingSettingsOf(config, identity));
    this.#client = new LighthouseClient({
      outbox: this.#outbox,
      remotes,
      punching: this.#punching,
      tunnelTo: (address) => control.primary(address),
      settings: clientSettingsOf(config),
    });
    this.#endpoints = new LocalEndpoints({
      port,
      resolver: this.#resolver,
      log,
      onChange: () => parts.act((now) => this.#client.applyEndpoints(now, this.#endpoints.list())),
    });
    this.#hosts = config.lighthouse.amLighthouse ? new LighthouseHosts(tables.lighthouse, tables.turns) : null;
    this.#answers = new LighthouseAnswers(this.#outbox);
  }

  /** On a lighthouse: what it knows, for the operator. */
  get hosts(): LighthouseHosts | null {
    return this.#hosts;
  }

  get nextMs(): number | null {
    const times = [this.#staticHosts.nextMs, this.#punching.nextMs, this.#client.nextMs].filter(
      (time) => time !== null,
    );
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Static hosts are known, names are being looked up, lighthouses are told of this node. */
  start(now: Now): void {
    const { identity } = this.#parts;
    this.#staticHosts.apply(now, staticSettingsOf(this.#config));
    this.#endpoints.start(localPolicyOf(this.#config, identity));
    this.#client.start(now, this.#endpoints.list());
  }

  reload(now: Now, config: Config, identity: Identity): void {
    this.#config = config;
    this.#parts.remotes.applyPolicy(remotesPolicyOf(config, identity));
    this.#calculated = new CalculatedRemotes(config.lighthouse.calculatedRemotes);
    this.#staticHosts.apply(now, staticSettingsOf(config));
    this.#punching.applySettings(punchingSettingsOf(config, identity));
    this.#endpoints.apply(localPolicyOf(config, identity));
    this.#client.applySettings(now, clientSettingsOf(config));
    this.#client.applyEndpoints(now, this.#endpoints.list());
  }

  /** A worker died: its half-written rows are freed. */
  releaseWorker(worker: number): void {
    this.#hosts?.breakLocks(worker);
  }

  close(): void {
    this.#endpoints.close();
  }

  onTimer(now: Now): void {
    this.#staticHosts.onTimer(now);
    this.#punching.onTimer(now);
    this.#client.onTimer(now);
  }

  drain(): Effect[] {
    return this.#outbox.drain();
  }

  onEffect(now: Now, effect: Effect): void {
    const { control } = this.#parts;
    switch (effect.kind) {
      case 'queryLighthouse':
        this.#query(now, effect.address);
        break;
      case 'hostUp':
        this.#addHost(effect.addresses, effect.slot);
        this.#client.onHostUp(effect.addresses);
        this.#answers.onHostUp(effect.addresses, effect.slot);
        break;
      case 'hostMoved':
        this.#hosts?.learn(effect.addresses[0], effect.endpoint);
        break;
      case 'hostFailed':
        this.#client.onHostFailed(effect.address);
        this.#answers.onHostFailed(effect.address);
        break;
      case 'tunnelClosed':
        if (effect.isLast) {
          this.#hosts?.remove(effect.addresses[0]);
          this.#client.onHostGone(effect.addresses);
        }
        break;
      case 'connect':
        control.onMiss(now, effect.address);
        break;
      case 'remotesChanged':
        control.onRemotesChanged(now, effect.address);
        break;
      case 'test':
        control.test(now, effect.address);
        break;
      case 'resolve':
        void this.#resolver
          .resolve(effect.request)
          .then((answer) => this.#parts.act(() => this.#staticHosts.onResolved(effect.request.id, answer)));
        break;
      default:
    }
  }

  onLighthouseMessage(now: Now, slot: number, generation: number, body: Uint8Array): void {
    const tunnel = this.#parts.control.tunnelAt(slot, generation);
    if (tunnel !== null) {
      this.#client.onMessage(now, tunnel, body);
    }
  }

  /** What this lighthouse's worker has to say to a host without a tunnel: it waits until there is one. */
  onLighthouseAnswer(now: Now, address: Uint8Array, body: Uint8Array): void {
    const host = addressFromBytes(address);
    if (this.#answers.keep(host, body)) {
      this.#parts.control.onMiss(now, host);
    }
  }

  #addHost(addresses: readonly IpAddress[], slot: number): void {
    const tunnel = this.#parts.control.primary(addresses[0]);
    if (this.#hosts !== null && tunnel !== null) {
      this.#hosts.add(addresses, slot, tunnel.ownCertificate.version);
    }
  }

  #query(now: Now, address: IpAddress): void {
    const { remotes, identity } = this.#parts;
    const calculated = this.#staticHosts.has(address) ? [] : this.#calculated.of(address);
    if (calculated.length > 0) {
      remotes.report(identity.networks[0].address, address, calculated, []);
      this.#outbox.push({ kind: 'remotesChanged', address });
    }
    this.#client.query(now, address);
  }
}

function clientSettingsOf(config: Config): LighthouseClientSettings {
  return {
    amLighthouse: config.lighthouse.amLighthouse,
    lighthouses: config.lighthouse.hosts,
    intervalMs: config.lighthouse.intervalMs,
    queryBuffer: config.handshakes.queryBuffer,
    relays: [],
  };
}

function punchingSettingsOf(config: Config, identity: Identity): PunchingSettings {
  const { delayMs, respond, respondDelayMs } = config.punchy;
  return {
    delayMs,
    respond,
    respondDelayMs,
    allowList: remoteAllowListOf(config),
    ownNetworks: ownNetworksOf(identity),
  };
}

function staticSettingsOf(config: Config): Parameters<StaticHosts['apply']>[1] {
  return { hosts: config.staticHostMap, ...config.staticMap };
}

function localPolicyOf(config: Config, identity: Identity): Parameters<LocalEndpoints['apply']>[0] {
  return {
    advertised: config.lighthouse.advertiseAddrs,
    policy: {
      allowList: LocalAllowList.compile(config.lighthouse.localAllowList),
      ownNetworks: ownNetworksOf(identity),
    },
  };
}

/** Of all certificates: a tunnel's endpoint inside any of them would lead into a tunnel. */
function ownNetworksOf(identity: Identity): RemotesPolicy['ownNetworks'] {
  return identity.certificates.flatMap((certificate) => certificate.networks);
}
