/**
 * The tun device's place in the kernel's network: addresses, MTU, queue length, routes; through netlink.
 *
 * The device itself is held by the queue descriptors and ends with them, and its addresses and routes with it: there is
 * nothing to undo at the end (`deviceRoutes.ts` touches no route of others). What somebody takes away from it while the
 * node runs comes back by `attend`. (Nebula protocol: Linux devices, routing.)
 */
import type { Endpoint, IpAddress } from '../../shared/ip/address.ts';
import { errorText } from '../../shared/log/errorText.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { Errno, SysError } from '../../shared/sys/libc.ts';
import type { Config } from '../config/config.ts';
import type { Identity } from '../pki/identity.ts';
import { isBehind, linkMtu, type PlacedRoute, planRoutes, routeKey, wantedRoutes } from './deviceRoutes.ts';
import { LoopGuard } from './loopGuard.ts';
import { Netlink } from './netlink.ts';
import type { Link } from './netlinkMessages.ts';

/** What the device is to look like. */
interface Wishes {
  readonly config: Config;
  readonly identity: Identity;
}

/** How `attend` found the device. */
export type DeviceState = 'up' | 'down' | 'gone';

export class Device {
  readonly name: string;
  readonly #netlink = new Netlink();
  readonly #linkIndex: number;
  readonly #log: Logger;
  /** In force since the activation or the last reload that went well. */
  #wishes: Wishes | null = null;
  /** Installed by us, by `routeKey`. */
  #routes: ReadonlyMap<string, PlacedRoute> = new Map();
  /** What was told of: routes beside those of others, and IPv6 that lacks. */
  #told = new Set<string>();
  #state: DeviceState = 'up';
  readonly #loops: LoopGuard;

  constructor(name: string, log: Logger) {
    const link = this.#netlink.link(name);
    if (link === null) {
      throw new Error(`tun device ${name} disappeared while it was being set up`);
    }
    this.name = name;
    this.#linkIndex = link.index;
    this.#log = log;
    this.#loops = new LoopGuard({ netlink: this.#netlink, device: name, linkIndex: link.index, log });
  }

  /** Whether the kernel would send to the endpoint through this device. Throws SysError. */
  isLoop(endpoint: Endpoint): boolean {
    return this.#wishes !== null && this.#loops.isLoop(endpoint, this.#wishes.config);
  }

  /** Everything that may be done before the workers run: no packet flows yet. Throws SysError. */
  configure(config: Config, identity: Identity): void {
    this.#netlink.setLink(this.#linkIndex, {
      noIpv6LinkLocal: true,
      mtu: linkMtu(config),
      txQueueLength: config.tun.txQueue,
    });
    this.#addAddresses(identity);
  }

  /** Brings the device up and installs the routes: packets flow from here on. Throws SysError. */
  activate(config: Config, identity: Identity): void {
    this.#netlink.setLink(this.#linkIndex, { isUp: true });
    this.#applyRoutes({ config, identity });
    this.#wishes = { config, identity };
  }

  /**
   * Follows a reload: MTU, routes, and addresses of a certificate version that was added; none can change or go. Throws
   * SysError when the kernel refuses one of them: the device is then as it was before, as far as the kernel lets it.
   */
  reload(config: Config, identity: Identity): void {
    const former = this.#wishes;
    try {
      this.#apply({ config, identity });
      this.#wishes = { config, identity };
    } catch (error) {
      if (former !== null) {
        try {
          this.#apply(former);
        } catch (restoring) {
          this.#log.error('The device could not be put back as it was', { error: errorText(restoring) });
        }
      }
      throw error;
    }
  }

  /**
   * Something in the machine's network has changed: puts back what the device has lost, and tells of a device that was
   * set down. Throws SysError.
   */
  attend(): DeviceState {
    const link = this.#link();
    const state = link === undefined ? 'gone' : link.isUp ? 'up' : 'down';
    if (state !== this.#state && state !== 'gone') {
      const fields = { interface: this.name };
      if (state === 'down') {
        this.#log.warn('The device was set down by somebody: no packets until it is up again', fields);
      } else {
        this.#log.info('The device is up again', fields);
      }
    }
    this.#state = state;
    if (state === 'up' && this.#wishes !== null) {
      this.#addAddresses(this.#wishes.identity);
      this.#applyRoutes(this.#wishes);
    }
    return state;
  }

  close(): void {
    this.#netlink.close();
  }

  #link(): Link | undefined {
    return this.#netlink.links().find(({ index }) => index === this.#linkIndex);
  }

  #apply(wishes: Wishes): void {
    this.#netlink.setLink(this.#linkIndex, { mtu: linkMtu(wishes.config) });
    this.#addAddresses(wishes.identity);
    if (this.#link()?.isUp === true) {
      this.#applyRoutes(wishes);
    }
  }

  /** Those that are there already stay as they are. */
  #addAddresses({ networks }: Identity): void {
    const there = this.#netlink.addresses(this.#linkIndex).map(({ prefix }) => prefix.text);
    for (const prefix of networks.filter(({ text }) => !there.includes(text))) {
      const work = (): void => this.#netlink.addAddress({ linkIndex: this.#linkIndex, prefix });
      this.#orWithoutIpv6(
        prefix.address,
        networks.map(({ address }) => address),
        work,
      );
    }
  }

  /** The device has to be up. */
  #applyRoutes({ config, identity: { networks } }: Wishes): void {
    const wanted = wantedRoutes(config, networks, this.#linkIndex);
    const plan = planRoutes(wanted, this.#netlink.routes(), this.#routes);
    for (const route of plan.remove) {
      this.#netlink.deleteRoute(route);
      this.#log.info('Removed route', { route: route.destination.text });
    }
    const own = networks.map(({ address }) => address);
    for (const { route } of plan.replace) {
      this.#orWithoutIpv6(route.destination.address, own, () => this.#netlink.replaceRoute(route));
    }
    for (const { route } of plan.add) {
      const isAdded = this.#orWithoutIpv6(route.destination.address, own, () => this.#netlink.addRoute(route));
      if (isAdded && route.isConnected !== true) {
        this.#log.info('Added route', {
          route: route.destination.text,
          mtu: route.mtu ?? 0,
          metric: route.metric ?? 0,
        });
      }
    }
    this.#routes = plan.placed;
    this.#tellOfOthers(plan.placed);
  }

  #tellOfOthers(placed: ReadonlyMap<string, PlacedRoute>): void {
    for (const each of placed.values()) {
      const { route, others } = each;
      if (others.length > 0) {
        const message = isBehind(each)
          ? 'Another route to this network stands already and stays in force: ours is behind it'
          : 'Another route to this network stands already: ours is preferred to it, and it stays as it is';
        const names = new Map(this.#netlink.links().map((link) => [link.index, link.name]));
        this.#tellOnce(`${routeKey(route)} ${others.map(routeKey).join()}`, message, {
          route: route.destination.text,
          metric: route.metric ?? 0,
          others: others.map(({ linkIndex, metric = 0 }) => `${names.get(linkIndex) ?? linkIndex} metric ${metric}`),
        });
      }
    }
  }

  /**
   * Runs a step; false when it failed for IPv6 while the node has IPv4 networks: the machine may have IPv6 switched off,
   * and IPv4 works without. Throws SysError for any other failure.
   */
  #orWithoutIpv6(address: IpAddress, own: readonly IpAddress[], step: () => void): boolean {
    try {
      step();
      if (address.family === 6) {
        this.#told.delete(IPV6_LACKS);
      }
      return true;
    } catch (error) {
      const isOptional = address.family === 6 && own.some(({ family }) => family === 4);
      if (!(error instanceof SysError) || !isOptional) {
        throw error;
      }
      const isSwitchedOff = IPV6_OFF.includes(error.errno);
      this.#tellOnce(IPV6_LACKS, 'IPv6 of the overlay is not in force, IPv4 is', {
        interface: this.name,
        error: error.message,
        ...(isSwitchedOff ? { reason: 'IPv6 is switched off on this machine (net.ipv6.conf.*.disable_ipv6)' } : {}),
      });
      return false;
    }
  }

  #tellOnce(key: string, message: string, fields: Readonly<Record<string, unknown>>): void {
    if (!this.#told.has(key)) {
      this.#told.add(key);
      this.#log.warn(message, fields);
    }
  }
}

const IPV6_LACKS = 'IPv6 lacks';

/** What the kernel says to IPv6 addresses and routes where IPv6 is disabled, or not there at all. */
const IPV6_OFF: readonly number[] = [Errno.EACCES, Errno.EAFNOSUPPORT, Errno.EOPNOTSUPP];
