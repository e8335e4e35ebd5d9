/**
 * Where peers are: static hosts, calculated endpoints, the lighthouse client, punching, what this node tells about itself,
 * and what a lighthouse has to say to hosts without a tunnel. Composes these parts and routes to them.
 *
 *   handshakes, tunnels: query, host up, failed, gone ─┐                 ┌─▶ remotes
 *   worker: lighthouse messages and answers ───────────┼─▶ PeerDiscovery ┼─▶ wishes: connect, retry, …
 *   kernel: addresses, resolver: names ────────────────┘                 └─▶ effects: sendSealed, punch, resolve
 */

import type { Endpoint, IpAddress, Prefix } from '../../../shared/ip/address.ts';
import type { HostPort, StaticHost } from '../../config/config.ts';
import type { Outbox, ResolveAnswer } from '../effects.ts';
import { earliest, type Now } from '../now.ts';
import type { LocalAllowList, RemoteAllowList } from './allowList.ts';
import type { CalculatedRemotes } from './calculatedRemotes.ts';
import { LighthouseClient, type LighthouseClientSettings } from './lighthouseClient.ts';
import type { LocalAddress } from './localAddresses.ts';
import { OwnEndpoints, type OwnEndpointsSettings } from './ownEndpoints.ts';
import type { PeerTunnel } from './peerTunnel.ts';
import { Punching, type PunchingSettings } from './punching.ts';
import type { Remotes, RemotesPolicy } from './remotes.ts';
import { StaticHosts } from './staticHosts.ts';
import { WaitingAnswers } from './waitingAnswers.ts';
import type { Whereabouts } from './whereabouts.ts';
import type { Wishes } from './wishes.ts';

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
  readonly outbox: Outbox;
  readonly wishes: Wishes;
  readonly remotes: Remotes;
  /** The primary tunnel to a vpn address, or null. */
  readonly tunnelTo: (address: IpAddress) => PeerTunnel | null;
  readonly settings: PeerDiscoverySettings;
}

export class PeerDiscovery implements Whereabouts {
  readonly #parts: PeerDiscoveryParts;
  readonly #staticHosts: StaticHosts;
  readonly #ownEndpoints: OwnEndpoints;
  readonly #client: LighthouseClient;
  readonly #punching: Punching;
  readonly #answers: WaitingAnswers;
  #settings: PeerDiscoverySettings;
  #lastRequestId = 0;

  constructor(parts: PeerDiscoveryParts) {
    const { outbox, wishes, remotes, tunnelTo, settings } = parts;
    const requestId = (): number => ++this.#lastRequestId;
    this.#parts = parts;
    this.#settings = settings;
    this.#punching = new Punching(outbox, wishes, punchingSettings(settings));
    this.#client = new LighthouseClient({
      outbox,
      wishes,
      remotes,
      punching: this.#punching,
      tunnelTo,
      settings: settings.client,
    });
    this.#answers = new WaitingAnswers({ outbox, wishes, tunnelTo });
    this.#staticHosts = new StaticHosts({
      outbox,
      wishes,
      remotes,
      ownAddress: settings.ownNetworks[0].address,
      requestId,
    });
    this.#ownEndpoints = new OwnEndpoints(outbox, requestId, ownEndpointsSettings(settings));
    remotes.applyPolicy(remotesPolicy(settings));
  }

  get nextMs(): number | null {
    return earliest([this.#staticHosts, this.#client, this.#punching, this.#ownEndpoints]);
  }

  /** The node is up: static hosts count, the lighthouses are told where this node is. */
  start(now: Now, localAddresses: readonly LocalAddress[]): void {
    this.#applyStaticHosts(now);
    this.#ownEndpoints.applySettings(ownEndpointsSettings(this.#settings));
    this.#ownEndpoints.applyLocalAddresses(localAddresses);
    this.#client.start(now, this.#ownEndpoints.list());
  }

  applySettings(now: Now, settings: PeerDiscoverySettings): void {
    this.#settings = settings;
    this.#parts.remotes.applyPolicy(remotesPolicy(settings));
    this.#punching.applySettings(punchingSettings(settings));
    this.#applyStaticHosts(now);
    this.#ownEndpoints.applySettings(ownEndpointsSettings(settings));
    this.#client.applySettings(now, settings.client);
    this.#tellOwnEndpoints(now);
  }

  onTimer(now: Now): void {
    this.#staticHosts.onTimer(now);
    this.#client.onTimer(now);
    this.#punching.onTimer(now);
    this.#ownEndpoints.onTimer(now);
  }

  /** Time went by in which this node did not run. */
  onStandstill(now: Now): void {
    this.#client.onStandstill(now);
  }

  query(now: Now, address: IpAddress): void {
    this.#calculate(address);
    this.#client.query(now, address);
  }

  onHostUp(now: Now, tunnel: PeerTunnel): void {
    this.#client.onHostUp(now, tunnel.vpnAddresses);
    this.#answers.onHostUp(tunnel);
  }

  /** Nobody is there: what was said about an address without a tunnel is not kept. */
  onHostFailed(address: IpAddress): void {
    const { remotes, tunnelTo } = this.#parts;
    this.#client.onHostFailed(address);
    this.#answers.onHostFailed(address);
    if (tunnelTo(address) === null) {
      remotes.forget([address]);
    }
  }

  onHostGone(now: Now, addresses: readonly IpAddress[]): void {
    this.#client.onHostGone(now, addresses);
  }

  /** An opened lighthouse message from the peer of a tunnel. `body` is borrowed for the call. */
  onMessage(now: Now, sender: PeerTunnel, body: Uint8Array): void {
    this.#client.onMessage(now, sender, body);
  }

  /** What this lighthouse's worker has to say to a host without a tunnel: it waits until there is one. */
  onAnswer(host: IpAddress, body: Uint8Array): void {
    this.#answers.keep(host, body);
  }

  /** The machine's addresses, whenever the kernel says that they changed. */
  onLocalAddresses(now: Now, addresses: readonly LocalAddress[]): void {
    this.#ownEndpoints.applyLocalAddresses(addresses);
    this.#tellOwnEndpoints(now);
  }

  /** The answer to a `resolve` effect; late ones are ignored. */
  onResolved(now: Now, requestId: number, answer: ResolveAnswer): void {
    if (!this.#staticHosts.onResolved(requestId, answer)) {
      this.#ownEndpoints.onResolved(now, requestId, answer);
      this.#tellOwnEndpoints(now);
    }
  }

  #applyStaticHosts(now: Now): void {
    this.#staticHosts.apply(now, { hosts: this.#settings.staticHosts, ...this.#settings.staticMap });
  }

  #tellOwnEndpoints(now: Now): void {
    this.#client.applyEndpoints(now, this.#ownEndpoints.list());
  }

  #calculate(address: IpAddress): void {
    const { remotes, wishes } = this.#parts;
    const endpoints: readonly Endpoint[] = remotes.isStatic(address)
      ? []
      : this.#settings.calculatedRemotes.of(address);
    if (endpoints.length > 0) {
      remotes.report(this.#settings.ownNetworks[0].address, address, endpoints, []);
      wishes.add('retry', address);
    }
  }
}

function punchingSettings(settings: PeerDiscoverySettings): PunchingSettings {
  return { ...settings.punchy, allowList: settings.remoteAllowList, ownNetworks: settings.ownNetworks };
}

function ownEndpointsSettings(settings: PeerDiscoverySettings): OwnEndpointsSettings {
  const { advertiseAddrs, localAllowList, ownNetworks, port, staticMap } = settings;
  const { lookupTimeoutMs, cadenceMs } = staticMap;
  return { advertiseAddrs, localAllowList, ownNetworks, port, lookupTimeoutMs, cadenceMs };
}

function remotesPolicy(settings: PeerDiscoverySettings): RemotesPolicy {
  const { ownNetworks, remoteAllowList, preferredRanges } = settings;
  return { ownNetworks, allowList: remoteAllowList, preferredRanges };
}
