/**
 * Feeds the lighthouse's DNS server with what the control plane knows: own name, names of hosts with a tunnel,
 * certificates. Decides when the server runs; how it is run is `dns/`, how it answers `src/dns`.
 */

import type { IpAddress } from '../../shared/ip/address.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Boundary } from '../boundary.ts';
import type { Config } from '../config/config.ts';
import type { ControlPlane } from '../control/controlPlane.ts';
import { certificateJson } from '../pki/certificateJson.ts';
import type { Identity } from '../pki/identity.ts';
import type { Launch } from '../workers/childLaunch.ts';
import { DnsService } from './dns/service.ts';

export class LighthouseNames {
  readonly #control: ControlPlane;
  readonly #log: Logger;
  readonly #service: DnsService;
  #identity: Identity;

  constructor(control: ControlPlane, identity: Identity, log: Logger, boundary: Boundary, launch: Launch) {
    this.#control = control;
    this.#log = log;
    this.#identity = identity;
    const parts = {
      certificateJson: (address: IpAddress) => this.#certificateJson(address),
      ownAddresses: () => this.#ownAddresses(),
    };
    this.#service = new DnsService(parts, log, boundary, launch);
  }

  /** At start and after a reload: opens, moves or closes the server. Resolves when that is done; never rejects. */
  async apply(config: Config, identity: Identity): Promise<void> {
    const { amLighthouse, serveDns, dns } = config.lighthouse;
    this.#identity = identity;
    if (serveDns && !amLighthouse) {
      this.#log.warn('DNS server refusing to run because this host is not a lighthouse.');
    }
    const isEnabled = serveDns && amLighthouse;
    await this.#service.apply({ isEnabled, host: dns.host, port: dns.port, log: config.logging });
    this.#service.add(this.#identity.certificates[0].name, this.#ownAddresses());
    for (const { tunnel } of this.#control.hosts()) {
      this.#service.add(tunnel.peer.certificate.name, tunnel.vpnAddresses);
    }
  }

  /** A tunnel to the host of this name is up. */
  onHostUp(name: string, vpnAddresses: readonly IpAddress[]): void {
    this.#service.add(name, vpnAddresses);
  }

  /** The last tunnel to these vpn addresses has ended: their certificate is no longer shown. */
  onHostGone(vpnAddresses: readonly IpAddress[]): void {
    this.#service.refresh(vpnAddresses);
  }

  /** Of the DNS process, by metric name. */
  get counts(): ReadonlyMap<string, number> {
    return this.#service.counts;
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  #certificateJson(address: IpAddress): string | null {
    const own = this.#identity.certificates.findLast((certificate) =>
      certificate.networks.some((network) => network.address.text === address.text),
    );
    const certificate = own ?? this.#control.primary(address)?.peer.certificate ?? null;
    return certificate === null ? null : certificateJson(certificate);
  }

  #ownAddresses(): readonly IpAddress[] {
    return this.#identity.networks.map((network) => network.address);
  }
}
