/**
 * Where this node can be reached, as it tells its lighthouses: the advertised addresses of the configuration first, then
 * the machine's own. Watches the kernel, so that a new address or interface is told at once.
 */
import type { HostPort } from '../shared/config/config.ts';
import { type Endpoint, endpointOf } from '../shared/ip/address.ts';
import type { Logger } from '../shared/log/logger.ts';
import { Netlink } from '../shared/sys/netlink.ts';
import { NetlinkMonitor } from '../shared/sys/netlinkMonitor.ts';
import { type LocalAddressPolicy, selectLocalAddresses } from './control/localAddresses.ts';
import type { DnsResolver } from './dnsResolver.ts';

export interface LocalEndpointsParts {
  /** The bound UDP port. */
  readonly port: number;
  readonly resolver: DnsResolver;
  readonly log: Logger;
  readonly onChange: () => void;
}

export interface LocalEndpointsSettings {
  /** `lighthouse.advertise_addrs`; port 0 stands for the bound one. */
  readonly advertised: readonly HostPort[];
  readonly policy: LocalAddressPolicy;
}

const LOOKUP_MS_MAX = 5000;

export class LocalEndpoints {
  readonly #parts: LocalEndpointsParts;
  readonly #netlink = new Netlink();
  #monitor: NetlinkMonitor | null = null;
  #settings: LocalEndpointsSettings | null = null;
  #advertised: readonly Endpoint[] = [];

  constructor(parts: LocalEndpointsParts) {
    this.#parts = parts;
  }

  start(settings: LocalEndpointsSettings): void {
    this.apply(settings);
    const { log, onChange } = this.#parts;
    this.#monitor = new NetlinkMonitor(
      (change) => {
        if (change.addresses || change.links) {
          onChange();
        }
      },
      (error) => log.error('Watching the network failed, address changes are told with the next update', { error }),
    );
  }

  apply(settings: LocalEndpointsSettings): void {
    this.#settings = settings;
    this.#advertised = settings.advertised.flatMap((target) => this.#withPort(target.endpoint) ?? []);
    const names = settings.advertised.filter((target) => target.endpoint === null);
    if (names.length > 0) {
      void this.#resolve(names);
    }
  }

  /** Best first. Reads the machine's addresses anew. */
  list(): readonly Endpoint[] {
    if (this.#settings === null) {
      return [];
    }
    const names = new Map(this.#netlink.links().map((link) => [link.index, link.name]));
    const local = this.#netlink.addresses().map(({ linkIndex, prefix }) => ({
      address: prefix.address,
      interfaceName: names.get(linkIndex) ?? '',
    }));
    const selected = selectLocalAddresses(local, this.#settings.policy);
    return [...this.#advertised, ...selected.map((address) => endpointOf(address, this.#parts.port))];
  }

  close(): void {
    this.#monitor?.close();
    this.#netlink.close();
  }

  /** Names are looked up once per configuration. */
  async #resolve(names: readonly HostPort[]): Promise<void> {
    const settings = this.#settings;
    const { resolver, log, onChange } = this.#parts;
    const request = { id: 0, targets: names, network: 'ip', timeoutMs: LOOKUP_MS_MAX } as const;
    const { endpoints, failures } = await resolver.resolve(request);
    for (const { host, error } of failures) {
      log.warn('lighthouse.advertise_addrs: name does not resolve', { host, error });
    }
    if (endpoints.length > 0 && settings === this.#settings) {
      const known = endpoints.map((endpoint) => this.#withPort(endpoint) ?? endpoint);
      this.#advertised = [...this.#advertised, ...known];
      onChange();
    }
  }

  #withPort(endpoint: Endpoint | null): Endpoint | null {
    return endpoint !== null && endpoint.port === 0 ? endpointOf(endpoint.address, this.#parts.port) : endpoint;
  }
}
