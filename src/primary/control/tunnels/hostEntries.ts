/**
 * Writes down which tunnel leads to a host, and where the host is: in the tunnel store for the data path, and on a
 * lighthouse in the table that its workers answer from. So the two always say the same: a host is known from its first
 * tunnel on and forgotten with its last. A tunnel that nobody has confirmed leads to no host and enters nothing.
 */
import type { Endpoint, IpAddress } from '../../../shared/ip/address.ts';
import type { Context } from './context.ts';
import type { Tunnel } from './tunnel.ts';

export class HostEntries {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** The tunnel is the primary one of this address from now on. */
  set(address: IpAddress, tunnel: Tunnel): void {
    const { store, register, outbox } = this.#context;
    store.setHost(address, tunnel.slot);
    if (register === null || address.text !== tunnel.vpnAddress.text) {
      return;
    }
    if (!register.add(tunnel.vpnAddresses, tunnel.slot, tunnel.peer.certificate.version)) {
      outbox.log('error', TABLE_FULL, { vpnAddr: address.text, refused: register.refusedCount });
    } else if (tunnel.endpoint !== null) {
      register.learn(address, tunnel.endpoint);
    }
  }

  /** No tunnel leads to this address any more. */
  clear(address: IpAddress): void {
    const { store, register } = this.#context;
    store.clearHost(address);
    register?.remove(address);
  }

  /** The tunnel's packets go there from now on. */
  moveTo(tunnel: Tunnel, endpoint: Endpoint): void {
    const { store, register } = this.#context;
    tunnel.endpoint = endpoint;
    store.setEndpoint(tunnel.slot, endpoint);
    register?.learn(tunnel.vpnAddress, endpoint);
  }
}

const TABLE_FULL = 'The lighthouse table is full, this host cannot be found; raise lighthouse.max_hosts';
