/**
 * Where peers are, as one part of the control plane: static hosts, calculated endpoints, the lighthouse client, punching,
 * and what this node tells about itself. Composes them and routes events to them; does no I/O, so a simulation drives
 * it as the shell does.
 *
 * After every call: `drain()` and carry out the effects in order, then set one timer for `nextMs`.
 *
 *   effects of the control plane ─▶ onEffect ─┐                 ┌─▶ remotes
 *   worker: lighthouse message ─▶ onMessage ──┼─▶ PeerDiscovery ┼─▶ connect, remotesChanged, test
 *   kernel: addresses, resolver: names ───────┘                 └─▶ sendSealed, punch, resolve
 */

import { type Endpoint, endpointOf, type IpAddress, type Prefix } from '../../shared/ip/address.ts';
import type { HostPort, StaticHost } from '../config/config.ts';
import type { LocalAllowList, RemoteAllowList } from './allowList.ts';
import type { CalculatedRemotes } from './calculatedRemotes.ts';
import { type Effect, Outbox, type ResolveAnswer } from './effects.ts';
import { LighthouseClient, type LighthouseClientSettings, type LighthouseTunnel } from './lighthouseClient.ts';
import { type LocalAddress, selectLocalAddresses } from './localAddresses.ts';
import type { Now } from './now.ts';
import { Punching, type PunchingSettings } from './punching.ts';
import type { Remotes, RemotesPolicy } from './remotes.ts';
import { StaticHosts } from './staticHosts.ts';
import { Timers } from './timers.ts';

/** Everything that a reload replaces. */
export interface PeerDiscoverySettings {
  readonly client: LighthouseClientSettings;
  readonly ownNetworks: readonly Prefix[];
  readonly remoteAllowList: RemoteAllowList;
  readonly localAllowList: LocalAllowList;
  readonly preferredRanges: readonly Prefix[];
  readonly staticHosts: readonly StaticHost[];
  /** `static_map.*`. */
  readonly staticMap: {
    readonly cadenceMs: number;
    readonly network: 'ip4' | 'ip6' | 'ip';
    readonly lookupTimeoutMs: number;
  };
  readonly calculatedRemotes: CalculatedRemotes;
  readonly advertiseAddrs: readonly HostPort[];
  readonly punchy: { readonly delayMs: number; readonly respond: boolean; readonly respondDelayMs: number };
  /** The UDP port that this node really has. */
  readonly port: number;
}

export interface PeerDiscoveryParts {
  readonly remotes: Remotes;
  /** The primary tunnel to a vpn address, or null. */
  readonly tunnelTo: (address: IpAddress) => LighthouseTunnel | null;
  readonly settings: PeerDiscoverySettings;
}

export class PeerDiscovery {
  readonly #remotes: Remotes;
  readonly #outbox: Outbox = new Outbox();
  readonly #tunnelTo: (address: IpAddress) => LighthouseTunnel | null;
  readonly #staticHosts: StaticHosts;
  readonly #client: LighthouseClient;
  readonly #punching: Punching;
  /** Names in `lighthouse.advertise_addrs` that have not been found yet, to be looked up again. */
  readonly #timers: Timers<Advertised> = new Timers();
  #advertised: Advertised[] = [];
  #localAddresses: readonly LocalAddress[] = [];
  #settings: PeerDiscoverySettings;
  #lastRequestId = 0;

  constructor(parts: PeerDiscoveryParts) {
    const { remotes, settings } = parts;
    this.#remotes = remotes;
    this.#tunnelTo = parts.tunnelTo;
    this.#settings = settings;
    this.#punching = new Punching(this.#outbox, punchingSettings(settings));
    this.#client = new LighthouseClient({
      outbox: this.#outbox,
      remotes,
      punching: this.#punching,
      tunnelTo: parts.tunnelTo,
      settings: settings.client,
    });
    this.#staticHosts = new StaticHosts({
      outbox: this.#outbox,
      remotes,
      ownAddress: settings.ownNetworks[0].address,
      requestId: () => ++this.#lastRequestId,
    });
    remotes.applyPolicy(remotesPolicy(settings));
  }

  get nextMs(): number | null {
    const times = [this.#staticHosts, this.#client, this.#punching, this.#timers].flatMap((part) => part.nextMs ?? []);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** The effects since the last call, to be carried out in order. */
  drain(): Effect[] {
    return this.#outbox.drain();
  }

  /** The node is up: static hosts count, the lighthouses are told where this node is. */
  start(now: Now, localAddresses: readonly LocalAddress[]): void {
    this.#localAddresses = localAddresses;
    this.#applyStaticHosts(now);
    this.#applyAdvertised();
    this.#client.start(now, this.#ownEndpoints());
  }

  applySettings(now: Now, settings: PeerDiscoverySettings): void {
    this.#settings = settings;
    this.#remotes.applyPolicy(remotesPolicy(settings));
    this.#punching.applySettings(punchingSettings(settings));
    this.#applyStaticHosts(now);
    this.#applyAdvertised();
    this.#client.applySettings(now, settings.client);
    this.#client.applyEndpoints(now, this.#ownEndpoints());
  }

  onTimer(now: Now): void {
    this.#staticHosts.onTimer(now);
    this.#client.onTimer(now);
    this.#punching.onTimer(now);
    for (let due = this.#timers.takeDue(now.ms); due !== null; due = this.#timers.takeDue(now.ms)) {
      this.#lookUp(due);
    }
  }

  /** Time went by in which this node did not run. */
  onStandstill(now: Now): void {
    this.#client.onStandstill(now);
  }

  /** What the control plane wants from this part, or should know; other effects are ignored. */
  onEffect(now: Now, effect: Effect): void {
    if (effect.kind === 'queryLighthouse') {
      this.#calculate(effect.address);
      this.#client.query(now, effect.address);
    } else if (effect.kind === 'hostUp') {
      this.#client.onHostUp(now, effect.addresses);
    } else if (effect.kind === 'hostFailed') {
      this.#onHostFailed(effect.address);
    } else if (effect.kind === 'tunnelClosed' && effect.isLast) {
      this.#client.onHostGone(now, effect.addresses);
    }
  }

  /** An opened lighthouse message from the peer of a tunnel. `body` is borrowed for the call. */
  onMessage(now: Now, sender: LighthouseTunnel, body: Uint8Array): void {
    this.#client.onMessage(now, sender, body);
  }

  /** The machine's addresses, at start and whenever the kernel says that they changed. */
  onLocalAddresses(now: Now, addresses: readonly LocalAddress[]): void {
    this.#localAddresses = addresses;
    this.#client.applyEndpoints(now, this.#ownEndpoints());
  }

  /** The answer to a `resolve` effect; late ones are ignored. */
  onResolved(now: Now, requestId: number, answer: ResolveAnswer): void {
    if (this.#staticHosts.onResolved(requestId, answer)) {
      return;
    }
    const advertised = this.#advertised.find((entry) => entry.requestId === requestId);
    if (advertised === undefined) {
      return;
    }
    for (const failure of answer.failures) {
      this.#outbox.log('error', 'DNS resolution failed for lighthouse.advertise_addrs', {
        hostname: failure.host,
        error: failure.error,
      });
    }
    if (answer.endpoints.length === 0) {
      this.#timers.schedule(now.ms + this.#settings.staticMap.cadenceMs, advertised);
    } else {
      advertised.endpoint = answer.endpoints[0];
      this.#client.applyEndpoints(now, this.#ownEndpoints());
    }
  }

  #applyStaticHosts(now: Now): void {
    this.#staticHosts.apply(now, { hosts: this.#settings.staticHosts, ...this.#settings.staticMap });
  }

  /** Names are looked up once; the first address counts (Nebula protocol: advertise_addrs). */
  #applyAdvertised(): void {
    const former = this.#advertised;
    this.#advertised = this.#settings.advertiseAddrs.map((target) => {
      const known = former.find((entry) => entry.target.host === target.host && entry.target.port === target.port);
      return { target, endpoint: target.endpoint ?? known?.endpoint ?? null, requestId: 0 };
    });
    for (const entry of this.#advertised) {
      if (entry.endpoint === null) {
        this.#lookUp(entry);
      }
    }
  }

  #lookUp(entry: Advertised): void {
    if (!this.#advertised.includes(entry)) {
      return;
    }
    entry.requestId = ++this.#lastRequestId;
    this.#outbox.push({
      kind: 'resolve',
      request: {
        id: entry.requestId,
        targets: [entry.target],
        network: 'ip',
        timeoutMs: this.#settings.staticMap.lookupTimeoutMs,
      },
    });
  }

  /** Where this node can be reached: what the operator says first, then the machine's addresses with our port. */
  #ownEndpoints(): Endpoint[] {
    const { localAllowList, ownNetworks, port } = this.#settings;
    const told = this.#advertised.flatMap(({ endpoint }) => endpoint ?? []);
    const local = selectLocalAddresses(this.#localAddresses, { allowList: localAllowList, ownNetworks });
    return [
      ...told.map((endpoint) => (endpoint.port === 0 ? endpointOf(endpoint.address, port) : endpoint)),
      ...local.map((address) => endpointOf(address, port)),
    ];
  }

  #calculate(address: IpAddress): void {
    if (this.#remotes.isStatic(address)) {
      return;
    }
    const endpoints = this.#settings.calculatedRemotes.of(address);
    if (endpoints.length > 0) {
      this.#remotes.report(this.#settings.ownNetworks[0].address, address, endpoints, []);
      this.#outbox.push({ kind: 'remotesChanged', address });
    }
  }

  /** Nobody is there: what was said about an address without a tunnel is not kept. */
  #onHostFailed(address: IpAddress): void {
    this.#client.onHostFailed(address);
    if (this.#tunnelTo(address) === null) {
      this.#remotes.forget([address]);
    }
  }
}

/** One entry of `lighthouse.advertise_addrs`. */
interface Advertised {
  readonly target: HostPort;
  /** Null until its name was found. */
  endpoint: Endpoint | null;
  requestId: number;
}

function punchingSettings(settings: PeerDiscoverySettings): PunchingSettings {
  return { ...settings.punchy, allowList: settings.remoteAllowList, ownNetworks: settings.ownNetworks };
}

function remotesPolicy(settings: PeerDiscoverySettings): RemotesPolicy {
  const { ownNetworks, remoteAllowList, preferredRanges } = settings;
  return { ownNetworks, allowList: remoteAllowList, preferredRanges };
}
