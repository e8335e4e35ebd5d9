/** Lighthouses on public addresses, hosts behind all sorts of NATs, and pairs of hosts that want to talk. */

import { ep, ip } from '../support/addresses.ts';
import { Random } from '../support/random.ts';
import { Nat } from './network.ts';
import { type DiscoveryWishes, type Names, SimDiscovery } from './simDiscovery.ts';
import type { SimNode } from './simNode.ts';
import { World } from './world.ts';

export interface DiscoveryWorldWishes {
  readonly seed: number;
  readonly hostCount: number;
  readonly loss?: number;
  readonly lighthouseCount?: number;
  /** Of every host. */
  readonly discovery?: Partial<DiscoveryWishes>;
}

export type HostPair = readonly [SimNode, SimNode];

export class DiscoveryWorld {
  readonly world: World;
  readonly random: Random;
  readonly names: Names = new Map();
  readonly lighthouses: readonly SimNode[];
  readonly hosts: readonly SimNode[];

  constructor(wishes: DiscoveryWorldWishes) {
    const { seed, hostCount, loss = 0, lighthouseCount = 2, discovery = {} } = wishes;
    this.random = new Random(seed);
    this.world = new World(seed, { loss, duplication: 0.02, delayMsMin: 2, delayMsMax: 40 });
    const staticHosts: Record<string, readonly string[]> = {};
    for (let index = 0; index < lighthouseCount; index++) {
      const name = `lighthouse${index + 1}.example`;
      this.names.set(name, [ip(`192.0.2.${index + 1}`)]);
      staticHosts[`10.42.0.${index + 1}`] = [`${name}:4242`];
    }
    const common = { names: this.names, staticHosts, lighthouses: Object.keys(staticHosts), ...discovery };
    this.lighthouses = Object.keys(staticHosts).map((_, index) =>
      this.world.addNode(`lighthouse${index + 1}`, {
        settings: { amLighthouse: true },
        companion: (node) =>
          new SimDiscovery(node, { ...common, staticHosts: {}, lighthouses: [], amLighthouse: true }),
      }),
    );
    const settings = { lighthouses: common.lighthouses.map(ip), punch: true };
    this.hosts = Array.from({ length: hostCount }, (_, index) => {
      const nat = this.#nat(index);
      return this.world.addNode(`host${index}`, {
        settings,
        companion: (node) => new SimDiscovery(node, { ...common, amLighthouse: false }),
        ...(nat === null ? {} : { nat, endpoint: ep(`192.168.${index}.2:4242`) }),
      });
    });
  }

  discoveryOf(node: SimNode): SimDiscovery {
    return node.companion as SimDiscovery;
  }

  /** How many hosts a lighthouse knows. */
  knownHosts(lighthouse: SimNode): number {
    return lighthouse.hosts?.count ?? 0;
  }

  allPairs(): HostPair[] {
    return this.hosts.flatMap((a, index) => this.hosts.slice(index + 1).map((b): HostPair => [a, b]));
  }

  /** Different pairs that have no tunnel, in random direction. */
  newPairs(count: number): HostPair[] {
    const free = this.allPairs().filter(([a, b]) => a.control.primary(b.vpnAddress) === null);
    const pairs: HostPair[] = [];
    while (pairs.length < count && free.length > 0) {
      const [[a, b]] = free.splice(this.random.below(free.length), 1);
      pairs.push(this.random.bool() ? [a, b] : [b, a]);
    }
    return pairs;
  }

  /** Milliseconds until `condition` holds, in steps of a quarter of a second; infinity when it does not in `maxMs`. */
  timeUntil(maxMs: number, condition: () => boolean): number {
    const startMs = this.world.nowMs;
    while (!condition()) {
      if (this.world.nowMs - startMs >= maxMs) {
        return Number.POSITIVE_INFINITY;
      }
      this.world.run(250);
    }
    return this.world.nowMs - startMs;
  }

  /** The first of every pair sends a packet a second until one has come through; the pairs for which none has. */
  unreachable(pairs: readonly HostPair[], maxMs: number): string[] {
    let waiting = pairs.map(([from, to]) => ({ from, to, text: `${from.name} at ${this.world.nowMs}` }));
    const untilMs = this.world.nowMs + maxMs;
    while (waiting.length > 0 && this.world.nowMs < untilMs) {
      for (const { from, to, text } of waiting) {
        this.world.ping(from, to, text);
      }
      this.world.run(1000);
      waiting = waiting.filter(({ to, text }) => !to.delivered.some((delivery) => delivery.text === text));
    }
    return waiting.map(({ from, to }) => `${from.name} to ${to.name}`);
  }

  #nat(index: number): Nat | null {
    const kind = this.random.pick(['none', 'endpoint', 'endpoint', 'public'] as const);
    return kind === 'public' ? null : new Nat(ep(`203.0.113.${index}:${1024 + this.random.below(60_000)}`), kind);
  }
}
