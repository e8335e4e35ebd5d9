/**
 * The tun device's place in the kernel's network: addresses, MTU, queue length, routes; through netlink.
 *
 * The device itself is held by the queue descriptors and ends with them, and its addresses and routes with it: there is
 * nothing to undo at the end. (Nebula protocol: Linux devices, routing.)
 */

import { maskedPrefix } from '../../shared/ip/address.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Config } from '../config/config.ts';
import type { Identity } from '../pki/identity.ts';
import { Netlink } from './netlink.ts';
import type { KernelRoute } from './netlinkRoutes.ts';

/** TCP and IP headers: what a segment size leaves room for. */
const HEADER_BYTES = 40;

/** What the kernel gives the connected route of an IPv6 address: ours takes its place. */
const CONNECTED_METRIC_IPV6 = 256;

export class Device {
  readonly #netlink = new Netlink();
  readonly #linkIndex: number;
  readonly #log: Logger;
  /** Installed by us beyond the connected ones, by destination and metric. */
  #routes = new Map<string, KernelRoute>();

  constructor(name: string, log: Logger) {
    const link = this.#netlink.link(name);
    if (link === null) {
      throw new Error(`tun device ${name} disappeared while it was being set up`);
    }
    this.#linkIndex = link.index;
    this.#log = log;
  }

  /** Everything that may be done before the workers run: no packet flows yet. */
  configure(config: Config, identity: Identity): void {
    this.#netlink.setLink(this.#linkIndex, {
      noIpv6LinkLocal: true,
      mtu: linkMtu(config),
      txQueueLength: config.tun.txQueue,
    });
    this.#addAddresses(identity);
  }

  /** Brings the device up and installs the routes: packets flow from here on. */
  activate(config: Config, identity: Identity): void {
    this.#netlink.setLink(this.#linkIndex, { isUp: true });
    this.#applyRoutes(config, identity);
  }

  /** Follows a reload: MTU, routes, and addresses of a certificate version that was added; none can change or go. */
  reload(config: Config, identity: Identity): void {
    this.#netlink.setLink(this.#linkIndex, { mtu: linkMtu(config) });
    this.#addAddresses(identity);
    this.#applyRoutes(config, identity);
  }

  close(): void {
    this.#netlink.close();
  }

  /** Those that are there already stay as they are. */
  #addAddresses(identity: Identity): void {
    for (const prefix of identity.networks) {
      this.#netlink.addAddress({ linkIndex: this.#linkIndex, prefix });
    }
  }

  #applyRoutes(config: Config, identity: Identity): void {
    const wanted = new Map(
      wantedRoutes(config, identity, this.#linkIndex).map((route) => [
        `${route.destination.text} ${route.metric ?? 0}`,
        route,
      ]),
    );
    for (const [key, route] of this.#routes) {
      if (!wanted.has(key)) {
        this.#netlink.deleteRoute(route);
        this.#log.info('Removed route', { route: route.destination.text });
      }
    }
    for (const [key, route] of wanted) {
      this.#netlink.replaceRoute(route);
      if (!this.#routes.has(key) && route.isConnected !== true) {
        this.#log.info('Added route', { route: route.destination.text, mtu: route.mtu ?? 0 });
      }
    }
    this.#routes = wanted;
  }
}

/** The device takes the largest packet that any of its routes allows. */
function linkMtu({ tun }: Config): number {
  return Math.max(tun.mtu, ...tun.routes.map(({ mtu }) => mtu), ...tun.unsafeRoutes.map(({ mtu }) => mtu));
}

/** The connected routes with the MTU of the overlay, the routes with an MTU of their own, and the unsafe routes. */
function wantedRoutes(config: Config, identity: Identity, linkIndex: number): KernelRoute[] {
  const { tun } = config;
  const limits = (mtu: number): Pick<KernelRoute, 'mtu' | 'advmss'> =>
    mtu === linkMtu(config) ? {} : { mtu, advmss: mtu - HEADER_BYTES };
  return [
    ...identity.networks.map((network) => ({
      destination: maskedPrefix(network),
      linkIndex,
      source: network.address,
      isConnected: true,
      ...(network.address.family === 6 ? { metric: CONNECTED_METRIC_IPV6 } : {}),
      ...limits(tun.mtu),
    })),
    ...tun.routes.map(({ route, mtu }) => ({ destination: maskedPrefix(route), linkIndex, ...limits(mtu) })),
    ...tun.unsafeRoutes
      .filter(({ install }) => install)
      .map(({ route, mtu, metric }) => ({
        destination: maskedPrefix(route),
        linkIndex,
        ...(metric > 0 ? { metric } : {}),
        ...limits(mtu === 0 ? tun.mtu : mtu),
      })),
  ];
}
