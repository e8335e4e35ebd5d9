/**
 * What a simulated node that looks for others has of a machine: a resolver with names that may change, and the kernel's
 * addresses.
 */
import type { LocalAddress } from '../../src/primary/control/discovery/localAddresses.ts';
import type { PeerDiscoverySettings } from '../../src/primary/control/discovery/peerDiscovery.ts';
import type { ResolveRequest } from '../../src/primary/control/effects.ts';
import type { Now } from '../../src/primary/control/now.ts';
import { Timers } from '../../src/primary/control/timers.ts';
import { type Endpoint, endpointOf } from '../../src/shared/ip/address.ts';
import { ip, target } from '../support/addresses.ts';
import { discoverySettings } from '../support/discoverySettings.ts';
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
  readonly settings: PeerDiscoverySettings;
  readonly #node: SimNode;
  readonly #names: Names;
  readonly #lookups = new Timers<ResolveRequest>();

  constructor(node: SimNode, wishes: DiscoveryWishes) {
    this.#node = node;
    this.#names = wishes.names;
    this.settings = discoverySettings(node.identity.networks, {
      client: {
        amLighthouse: wishes.amLighthouse,
        lighthouses: wishes.lighthouses.map(ip),
        intervalMs: wishes.intervalMs ?? 10_000,
        hasTwoVersions: node.identity.certificates.length === 2,
      },
      staticHosts: Object.entries(wishes.staticHosts).map(([address, targets]) => ({
        vpnAddress: ip(address),
        targets: targets.map(target),
      })),
      punchy: { delayMs: 1000, respond: wishes.respond ?? false, respondDelayMs: 5000 },
      port: node.endpoint.port,
    });
  }

  get nextMs(): number | null {
    return this.#lookups.nextMs;
  }

  get localAddresses(): readonly LocalAddress[] {
    const card = { interfaceKind: '', isDefault: true };
    return [
      { address: ip('127.0.0.1'), interfaceName: 'lo', interfaceKind: '', isDefault: false },
      { address: this.#node.endpoint.address, interfaceName: 'eth0', ...card },
      { address: this.#node.vpnAddress, interfaceName: 'nebula1', interfaceKind: 'tun', isDefault: false },
    ];
  }

  /** The machine has other addresses now; the kernel says so. */
  onLocalAddresses(now: Now): void {
    this.#node.control.onLocalAddresses(now, this.localAddresses);
    this.#node.settle(now);
  }

  resolve(now: Now, request: ResolveRequest): void {
    this.#lookups.schedule(now.ms + LOOKUP_MS, request);
  }

  onTimer(now: Now): void {
    for (let request = this.#lookups.takeDue(now.ms); request !== null; request = this.#lookups.takeDue(now.ms)) {
      this.#node.control.onResolved(now, request.id, {
        endpoints: request.targets.flatMap((target) =>
          target.endpoint === null
            ? (this.#names.get(target.host) ?? []).map((address) => endpointOf(address, target.port))
            : [target.endpoint],
        ),
        failures: request.targets
          .filter(({ endpoint, host }) => endpoint === null && !this.#names.has(host))
          .map(({ host }) => ({ host, error: 'no such name' })),
      });
    }
  }
}
