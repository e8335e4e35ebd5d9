/**
 * Where an overlay packet goes: which peer is asked to carry it, and whether it may leave at all.
 *
 * A destination inside one of this node's networks is its own peer; any other goes to a gateway of the longest matching
 * unsafe route, chosen by a hash of the ports among several (Nebula protocol: routing). Runs per packet: results are
 * fields, compared words are numbers, nothing is allocated. Built anew on reload.
 */

import { addressFromBytes, type IpAddress, type Prefix } from '../../shared/ip/address.ts';
import { IpProtocol } from '../../shared/ip/headers.ts';
import {
  addressWords,
  containsAddress,
  findNetwork,
  isMappedWords,
  networkWords,
} from '../../shared/ip/networkWords.ts';
import type { PacketTuple } from '../../shared/ip/packetTuple.ts';
import type { RouteSetting } from '../../shared/ipc/messages.ts';
import type { HostTable } from '../../shared/memory/hostTable.ts';

export const Route = {
  /** A tunnel exists: its slot is the result. */
  Miss: -1,
  OwnAddress: -2,
  Broadcast: -3,
  Multicast: -4,
  NoRoute: -5,
  /** This node's own, on the way to another node: the kernel routes the underlay into the device. */
  OwnDatagram: -6,
} as const;

/** Told of gateways that were passed over because they have no tunnel yet. */
export interface GatewayMisses {
  reportMiss(a0: number, a1: number, a2: number, a3: number): void;
}

export interface RouterOptions {
  /** This node's networks with host bits. */
  readonly networks: readonly Prefix[];
  readonly routes: readonly RouteSetting[];
  readonly dropsMulticast: boolean;
  readonly dropsLocalBroadcast: boolean;
  /** The UDP port of this node. */
  readonly ownPort: number;
}

interface Gateway {
  readonly words: Int32Array;
  /** Upper end, inclusive, of this gateway's share of the hash range. */
  readonly bound: number;
}

export class Router {
  /** The peer that `resolve` chose, as four words: what a miss is reported for. */
  host0 = 0;
  host1 = 0;
  host2 = 0;
  host3 = 0;

  readonly #hosts: HostTable;
  readonly #misses: GatewayMisses;
  readonly #networks: Int32Array;
  readonly #own: Int32Array;
  readonly #broadcasts: Int32Array;
  readonly #routeWords: Int32Array;
  readonly #gateways: readonly (readonly Gateway[])[];
  readonly #dropsMulticast: boolean;
  readonly #ownPort: number;

  constructor(options: RouterOptions, hosts: HostTable, misses: GatewayMisses) {
    const { networks } = options;
    const routes = [...options.routes].sort((a, b) => b.route.bits - a.route.bits);
    this.#hosts = hosts;
    this.#misses = misses;
    this.#dropsMulticast = options.dropsMulticast;
    this.#ownPort = options.ownPort;
    this.#networks = networkWords(networks);
    this.#own = addressWords(networks.map((network) => network.address));
    this.#broadcasts = options.dropsLocalBroadcast ? addressWords(networks.flatMap(broadcastOf)) : new Int32Array(0);
    this.#routeWords = networkWords(routes.map(({ route }) => route));
    this.#gateways = routes.map((route) => gatewaysOf(route));
  }

  /** The slot of the tunnel that carries an outgoing packet, or a `Route` code; sets `host0..3`. */
  resolve(tuple: PacketTuple): number {
    const d0 = tuple.remote0;
    const d1 = tuple.remote1;
    const d2 = tuple.remote2;
    const d3 = tuple.remote3;
    if (this.#broadcasts.length > 0 && containsAddress(this.#broadcasts, d0, d1, d2, d3)) {
      return Route.Broadcast;
    }
    if (containsAddress(this.#own, d0, d1, d2, d3)) {
      return Route.OwnAddress;
    }
    if (this.#dropsMulticast && isMulticast(d0, d1, d2, d3)) {
      return Route.Multicast;
    }
    if (findNetwork(this.#networks, d0, d1, d2, d3) >= 0) {
      this.#setHost(d0, d1, d2, d3);
      const slot = this.#hosts.lookup(d0, d1, d2, d3);
      return slot >= 0 ? slot : Route.Miss;
    }
    const route = findNetwork(this.#routeWords, d0, d1, d2, d3);
    if (route < 0) {
      return Route.NoRoute;
    }
    return this.#isOwnDatagram(tuple) ? Route.OwnDatagram : this.#resolveGateway(this.#gateways[route], tuple);
  }

  /** The kernel gives a datagram that it routes into the device the device's own address. */
  #isOwnDatagram(tuple: PacketTuple): boolean {
    return (
      tuple.localPort === this.#ownPort &&
      tuple.protocol === IpProtocol.Udp &&
      containsAddress(this.#own, tuple.local0, tuple.local1, tuple.local2, tuple.local3)
    );
  }

  #resolveGateway(gateways: readonly Gateway[], tuple: PacketTuple): number {
    let chosen = 0;
    if (gateways.length > 1) {
      const hash = flowHash(tuple.localPort, tuple.remotePort);
      while (chosen < gateways.length - 1 && hash > gateways[chosen].bound) {
        chosen++;
      }
    }
    const slot = this.#lookupGateway(gateways[chosen]);
    if (slot >= 0 || gateways.length === 1) {
      return slot;
    }
    const first = gateways[chosen].words;
    for (let index = 0; index < gateways.length; index++) {
      if (index === chosen) {
        continue;
      }
      const other = this.#lookupGateway(gateways[index]);
      if (other >= 0) {
        this.#misses.reportMiss(first[0], first[1], first[2], first[3]);
        return other;
      }
    }
    this.#setHost(first[0], first[1], first[2], first[3]);
    return Route.Miss;
  }

  #lookupGateway(gateway: Gateway): number {
    const words = gateway.words;
    this.#setHost(words[0], words[1], words[2], words[3]);
    const slot = this.#hosts.lookup(words[0], words[1], words[2], words[3]);
    return slot >= 0 ? slot : Route.Miss;
  }

  #setHost(a0: number, a1: number, a2: number, a3: number): void {
    this.host0 = a0;
    this.host1 = a1;
    this.host2 = a2;
    this.host3 = a3;
  }
}

/** Spreads flows over gateways: 31 bits (Nebula protocol: routing; its constants make the same choice as Nebula). */
export function flowHash(localPort: number, remotePort: number): number {
  let mixed = ((localPort << 16) | remotePort) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xd35a2d97) >>> 0;
  return (mixed ^ (mixed >>> 15)) & 0x7fffffff;
}

/** The upper ends of each weight's share of the 31-bit hash range. */
export function weightBounds(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let cumulative = 0;
  return weights.map((weight) => {
    cumulative += weight;
    return Math.floor((cumulative * 2 ** 31 + Math.floor(total / 2)) / total) - 1;
  });
}

function gatewaysOf(route: RouteSetting): Gateway[] {
  const bounds = weightBounds(route.via.map(({ weight }) => weight));
  return route.via.map(({ gateway }, index) => ({ words: addressWords([gateway]), bound: bounds[index] }));
}

/** The IPv4 broadcast address of a network; none for IPv6 and for networks without one. */
function broadcastOf(network: Prefix): IpAddress[] {
  if (network.address.family === 6 || network.bits > 30) {
    return [];
  }
  const hostBits = 32 - network.bits;
  const view = new DataView(network.address.bytes.slice().buffer);
  view.setUint32(0, (view.getUint32(0) | (hostBits === 32 ? -1 : 2 ** hostBits - 1)) >>> 0);
  return [addressFromBytes(new Uint8Array(view.buffer))];
}

function isMulticast(d0: number, d1: number, d2: number, d3: number): boolean {
  if (isMappedWords(d0, d1, d2)) {
    return d3 >>> 28 === 0xe;
  }
  return d0 >>> 24 === 0xff;
}
