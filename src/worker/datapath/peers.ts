/**
 * The firewall's view of each tunnel's peer, compiled from the certificate in shared memory when a packet first needs it.
 *
 * A view belongs to one (slot, generation), as a tunnel context does; nothing in it is truth.
 */
import { parseCertificate } from '../../shared/cert/parse.ts';
import type { OwnIdentity } from '../../shared/firewall/identity.ts';
import { PeerView } from '../../shared/firewall/peerView.ts';
import type { TunnelTable } from '../../shared/memory/tunnelTable.ts';
import type { TunnelContext } from '../../shared/tunnel/tunnelContext.ts';

export class Peers {
  readonly #tunnels: TunnelTable;
  readonly #own: OwnIdentity;
  readonly #peers: (PeerView | null)[];
  readonly #generations: Int32Array;

  constructor(tunnels: TunnelTable, own: OwnIdentity) {
    this.#tunnels = tunnels;
    this.#own = own;
    this.#peers = new Array<PeerView | null>(tunnels.capacity).fill(null);
    this.#generations = new Int32Array(tunnels.capacity);
  }

  /** null only when the row changed under our hands: the packet is dropped, the next one finds the new row. */
  of(context: TunnelContext): PeerView | null {
    const slot = context.slot;
    const known = this.#peers[slot];
    if (known !== null && this.#generations[slot] === context.generation) {
      return known;
    }
    const encoded = this.#tunnels.copyCertificate(slot);
    const version = this.#tunnels.certificateVersion(slot);
    if (this.#tunnels.generation(slot) !== context.generation) {
      return null;
    }
    const peer = new PeerView(parseCertificate(encoded, version), this.#own);
    this.#peers[slot] = peer;
    this.#generations[slot] = context.generation;
    return peer;
  }

  release(slot: number): void {
    this.#peers[slot] = null;
  }
}
