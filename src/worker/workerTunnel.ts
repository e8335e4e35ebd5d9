/**
 * All that a worker derives from one tunnel's row: its context, and from its peer's certificate what the firewall and a
 * lighthouse ask. One record per (slot, generation), made by `TunnelContexts`; nothing in it is truth.
 *
 * What the certificate gives is compiled when a packet first needs it. The firewall's view also belongs to this node's
 * own identity, so a reload has it compiled again.
 */
import type { Certificate } from '../shared/cert/certificate.ts';
import { parseCertificate } from '../shared/cert/parse.ts';
import type { OwnIdentity } from '../shared/firewall/identity.ts';
import { PeerView } from '../shared/firewall/peerView.ts';
import type { TunnelTable } from '../shared/memory/tunnelTable.ts';
import { type ContextKeys, TunnelContext } from '../shared/tunnel/tunnelContext.ts';
import { type LighthousePeer, lighthousePeer } from './lighthouse/lighthousePeer.ts';

export class WorkerTunnel extends TunnelContext {
  readonly #tunnels: TunnelTable;
  #certificate: Certificate | null = null;
  #view: PeerView | null = null;
  #lighthousePeer: LighthousePeer | null = null;

  constructor(tunnels: TunnelTable, slot: number, generation: number, keys: ContextKeys, destination: number) {
    super(tunnels, slot, generation, keys, destination);
    this.#tunnels = tunnels;
  }

  /** null only when the row changed under our hands: the packet is dropped, the next one finds the new row. */
  view(own: OwnIdentity): PeerView | null {
    const known = this.#view;
    if (known !== null && known.own === own) {
      return known;
    }
    const certificate = this.#readCertificate();
    this.#view = certificate === null ? null : new PeerView(certificate, own);
    return this.#view;
  }

  /** null as for `view`. */
  lighthousePeer(): LighthousePeer | null {
    const certificate = this.#lighthousePeer === null ? this.#readCertificate() : null;
    if (certificate !== null) {
      this.#lighthousePeer = lighthousePeer(this.slot, certificate);
    }
    return this.#lighthousePeer;
  }

  #readCertificate(): Certificate | null {
    if (this.#certificate === null) {
      const encoded = this.#tunnels.copyCertificate(this.slot);
      const version = this.#tunnels.certificateVersion(this.slot);
      if (this.#tunnels.generation(this.slot) === this.generation) {
        this.#certificate = parseCertificate(encoded, version);
      }
    }
    return this.#certificate;
  }
}
