/**
 * Discovery of a simulated node: the real peer discovery, on a lighthouse also its workers and its table; and the names
 * that its resolver finds. What `primary/discovery.ts` is to a node.
 */
import { LocalAllowList, RemoteAllowList } from '../../src/primary/control/allowList.ts';
import { CalculatedRemotes } from '../../src/primary/control/calculatedRemotes.ts';
import type { Effect, ResolveRequest } from '../../src/primary/control/effects.ts';
import type { Now } from '../../src/primary/control/now.ts';
import { PeerDiscovery } from '../../src/primary/control/peerDiscovery.ts';
import { Timers } from '../../src/primary/control/timers.ts';
import type { TunnelStore } from '../../src/primary/control/tunnelStore.ts';
import { LighthouseStore } from '../../src/primary/lighthouse/store.ts';
import { type Endpoint, endpointOf } from '../../src/shared/ip/address.ts';
import { ip, target } from '../support/addresses.ts';
import type { MemoryRow, MemoryTunnelStore } from '../support/memoryTunnelStore.ts';
import { SimLighthouse } from './simLighthouse.ts';
import type { SimCompanion, SimNode } from './simNode.ts';

/** Host name → where it leads at this moment. */
export type Names = Map<string, readonly Endpoint['address'][]>;

export interface DiscoveryWishes {
  readonly names: Names;
  readonly amLighthouse: boolean;
  /** Vpn address → targets, as in `static_host_map`. */
  readonly staticHosts: { readonly [vpnAddress: string]: readonly string[] };
  /** `lighthouse.hosts`. */
  readonly lighthouses: readonly string[];
  readonly intervalMs?: number;
  readonly respond?: boolean;
}

const LOOKUP_MS = 20;

export class SimDiscovery implements SimCompanion {
  /** Null on a node that is no lighthouse. */
  readonly lighthouse: SimLighthouse | null;
  readonly #node: SimNode;
  readonly #names: Names;
  readonly #peers: PeerDiscovery;
  readonly #lookups = new Timers<ResolveRequest>();

  constructor(node: SimNode, wishes: DiscoveryWishes) {
    this.#node = node;
    this.#names = wishes.names;
    this.lighthouse = wishes.amLighthouse ? new SimLighthouse(node, 1024) : null;
    this.#peers = new PeerDiscovery({
      remotes: node.remotes,
      tunnelTo: (address) => node.control.primary(address),
      settings: {
        client: {
          amLighthouse: wishes.amLighthouse,
          lighthouses: wishes.lighthouses.map(ip),
          intervalMs: wishes.intervalMs ?? 10_000,
          queryBuffer: 64,
          relays: [],
          hasTwoVersions: node.identity.certificates.length === 2,
        },
        ownNetworks: node.identity.networks,
        remoteAllowList: RemoteAllowList.all,
        localAllowList: LocalAllowList.all,
        preferredRanges: [],
        staticHosts: Object.entries(wishes.staticHosts).map(([address, targets]) => ({
          vpnAddress: ip(address),
          targets: targets.map(target),
        })),
        staticMap: { cadenceMs: 30_000, network: 'ip4', lookupTimeoutMs: 250 },
        calculatedRemotes: new CalculatedRemotes(),
        advertiseAddrs: [],
        punchy: { delayMs: 1000, respond: wishes.respond ?? false, respondDelayMs: 5000 },
        port: node.endpoint.port,
      },
    });
  }

  get nextMs(): number | null {
    const times = [this.#peers.nextMs, this.#lookups.nextMs].filter((time) => time !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  start(now: Now): void {
    this.#peers.start(now, this.#localAddresses());
  }

  /** The machine has other addresses now; the kernel says so. */
  onLocalAddresses(now: Now): void {
    this.#peers.onLocalAddresses(now, this.#localAddresses());
    this.#node.settle(now);
  }

  onStandstill(now: Now): void {
    this.#peers.onStandstill(now);
  }

  onTimer(now: Now): void {
    this.#peers.onTimer(now);
    for (let request = this.#lookups.takeDue(now.ms); request !== null; request = this.#lookups.takeDue(now.ms)) {
      this.#peers.onResolved(now, request.id, {
        endpoints: request.targets.flatMap((target) =>
          target.endpoint === null
            ? (this.#names.get(target.host) ?? []).map((address) => endpointOf(address, target.port))
            : [target.endpoint],
        ),
        failures: [],
      });
    }
  }

  drain(): Effect[] {
    return [...this.#peers.drain(), ...(this.lighthouse?.outbox.drain() ?? [])];
  }

  onEffect(now: Now, effect: Effect): void {
    this.#peers.onEffect(now, effect);
    this.lighthouse?.answers.onEffect(effect);
    this.#node.control.onEffect(now, effect);
    if (effect.kind === 'resolve') {
      this.#lookups.schedule(now.ms + LOOKUP_MS, effect.request);
    }
  }

  onLighthouseMessage(now: Now, row: MemoryRow, body: Uint8Array): void {
    if (this.lighthouse?.handle(row, body) === true) {
      return;
    }
    const tunnel = this.#node.control.tunnelAt(row.slot, row.generation);
    if (tunnel !== null) {
      this.#peers.onMessage(now, tunnel, body);
    }
  }

  storeAround(store: MemoryTunnelStore): TunnelStore {
    return this.lighthouse === null
      ? store
      : new LighthouseStore(store, this.lighthouse.hosts, (address) => {
          throw new Error(`no room for ${address.text}`);
        });
  }

  #localAddresses(): Parameters<PeerDiscovery['start']>[1] {
    const card = { interfaceKind: '', isDefault: true };
    return [
      { address: ip('127.0.0.1'), interfaceName: 'lo', interfaceKind: '', isDefault: false },
      { address: this.#node.endpoint.address, interfaceName: 'eth0', ...card },
      { address: this.#node.vpnAddress, interfaceName: 'nebula1', interfaceKind: 'tun', isDefault: false },
    ];
  }
}
