/**
 * Runs the lighthouse's DNS server as the configuration says, and follows its reloads: on, off, another address. The
 * sockets are bound here, for that may need a privilege, and read by a process without any (`src/dns`). A server that
 * cannot be opened is reported and tried again at the next reload; the node goes on without it.
 */
import { lookup } from 'node:dns/promises';
import { type IpAddress, parseAddress } from '../../../shared/ip/address.ts';
import { errorText } from '../../../shared/log/errorText.ts';
import type { Logger, LogSettings } from '../../../shared/log/logger.ts';
import { DNS_COUNTER_BYTES, DNS_COUNTERS, DnsCounters } from '../../../shared/memory/dnsCounters.ts';
import { createSharedMemory } from '../../../shared/sys/sharedMemory.ts';
import type { Boundary } from '../../boundary.ts';
import { openServiceSockets, type ServiceSockets } from '../../machine/serviceSockets.ts';
import type { Launch } from '../../workers/childLaunch.ts';
import { ZoneFeed, type ZoneFeedParts } from './feed.ts';
import { DnsProcess } from './process.ts';

export interface DnsSettings {
  /** `lighthouse.serve_dns`, and this node is a lighthouse. */
  readonly isEnabled: boolean;
  readonly host: string;
  readonly port: number;
  readonly log: LogSettings;
}

interface Running {
  readonly sockets: ServiceSockets;
  readonly process: DnsProcess;
}

export class DnsService {
  readonly #feed: ZoneFeed;
  readonly #log: Logger;
  readonly #boundary: Boundary;
  readonly #launch: Launch;
  #running: Running | null = null;
  #settings: DnsSettings | null = null;
  /** Made when the server is first wanted, kept from then on. */
  #counters: { readonly fd: number; readonly values: DnsCounters } | null = null;
  #restarts = 0;
  /** Changes one after the other, however fast they are asked for. */
  #work: Promise<void> = Promise.resolve();

  constructor(parts: ZoneFeedParts, log: Logger, boundary: Boundary, launch: Launch) {
    this.#feed = new ZoneFeed(parts);
    this.#log = log;
    this.#boundary = boundary;
    this.#launch = launch;
  }

  /** The port that is answered on, or null. */
  get port(): number | null {
    return this.#running?.sockets.port ?? null;
  }

  /** Of the DNS process; 0 while there is none. */
  get pid(): number {
    return this.#running?.process.pid ?? 0;
  }

  /** By metric name; empty while DNS was never on. */
  get counts(): ReadonlyMap<string, number> {
    const values = this.#counters?.values;
    return values === undefined
      ? new Map()
      : new Map([['dns.restarts', this.#restarts], ...DNS_COUNTERS.map((name) => [name, values.value(name)] as const)]);
  }

  /** A handshake with this host has completed; or it is this node itself. Ignored while there is no server. */
  add(certificateName: string, vpnAddresses: readonly IpAddress[]): void {
    if (this.#settings?.isEnabled === true) {
      this.#feed.add(certificateName, vpnAddresses);
    }
  }

  /** A tunnel to these vpn addresses has ended. */
  refresh(vpnAddresses: readonly IpAddress[]): void {
    if (this.#settings?.isEnabled === true) {
      this.#feed.refresh(vpnAddresses);
    }
  }

  /** Opens, closes or moves the server; resolves when that is done or has failed. */
  apply(settings: DnsSettings): Promise<void> {
    this.#work = this.#work.then(() => this.#boundary.guardAsync('dns', () => this.#change(settings)));
    return this.#work;
  }

  /** Ends the process, closes the sockets. */
  close(): Promise<void> {
    this.#work = this.#work.then(() => this.#boundary.guardAsync('dns', () => this.#end()));
    return this.#work;
  }

  async #change(settings: DnsSettings): Promise<void> {
    const { isEnabled, host, port, log } = settings;
    // A server without TCP is made anew at every reload, for the port may be free by now.
    const isWhole = this.#running !== null && this.#running.sockets.tcp !== null;
    const isSame = isWhole && host === this.#settings?.host && port === this.#settings.port;
    this.#settings = settings;
    this.#feed.configure(log);
    if (isEnabled && isSame) {
      return;
    }
    await this.#end();
    if (!isEnabled) {
      this.#feed.clear();
      return;
    }
    try {
      this.#running = await this.#open(host, port);
      this.#tellUp(host, this.#running.sockets);
    } catch (error) {
      this.#log.error('DNS server could not be started; check lighthouse.dns.host and lighthouse.dns.port', {
        host,
        port,
        error: errorText(error),
      });
    }
  }

  #tellUp(host: string, { port, tcp }: ServiceSockets): void {
    this.#log.info('DNS server is up', { host, port });
    if (tcp === null) {
      this.#log.warn('DNS server answers over UDP only, another process has the TCP port; long answers are cut off', {
        host,
        port,
      });
    }
  }

  async #open(host: string, port: number): Promise<Running> {
    const address = await addressOf(host);
    const sockets = openServiceSockets(address, port);
    try {
      const counters = this.#countersMade();
      const process = new DnsProcess({
        fds: { udp: sockets.udp, tcp: sockets.tcp, counters: counters.fd },
        beats: () => counters.values.beats,
        family: address.family,
        launch: this.#launch,
        feed: this.#feed,
        log: this.#log,
        boundary: this.#boundary,
        onDeath: () => {
          this.#restarts++;
        },
      });
      return { sockets, process };
    } catch (error) {
      sockets.close();
      throw error;
    }
  }

  #countersMade(): { readonly fd: number; readonly values: DnsCounters } {
    if (this.#counters === null) {
      const { fd, buffer } = createSharedMemory('weft-dns', DNS_COUNTER_BYTES);
      this.#counters = { fd, values: new DnsCounters(buffer) };
    }
    return this.#counters;
  }

  async #end(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    await running?.process.stop();
    running?.sockets.close();
  }
}

/** `lighthouse.dns.host`: empty for all addresses, `[::]` means `::`, or a name. */
async function addressOf(host: string): Promise<IpAddress> {
  const bare = host === '' ? '::' : host.replace(/^\[(.*)\]$/, '$1');
  const address = parseAddress(bare) ?? parseAddress((await lookup(bare)).address);
  if (address === null) {
    throw new Error(`${host} is no address`);
  }
  return address;
}
