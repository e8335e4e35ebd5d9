/**
 * Follows peers that change their endpoint. A worker reports an authenticated packet from elsewhere than the tunnel's
 * endpoint; here it is decided whether the tunnel moves there (Nebula protocol: roaming).
 */
import type { Endpoint } from '../../../shared/ip/address.ts';
import type { Now } from '../now.ts';
import type { Context } from './context.ts';
import { tunnelFields } from './peerFields.ts';
import type { Tunnels } from './tunnels.ts';

/** For so long a tunnel does not go back to where it came from: packets on two paths would toss it to and fro. */
const ROAM_BACK_MS = 2000;

export class Roaming {
  readonly #context: Context;
  readonly #tunnels: Tunnels;

  constructor(context: Context, tunnels: Tunnels) {
    this.#context = context;
    this.#tunnels = tunnels;
  }

  /** `from` is the source of a packet that was authentic and new. Reports about rows of the past are ignored. */
  onRoam(now: Now, slot: number, generation: number, from: Endpoint): void {
    const { outbox, remoteFilter } = this.#context;
    const tunnel = this.#tunnels.hosts.bySlot(slot, generation);
    if (tunnel === null || tunnel.endpoint?.text === from.text) {
      return;
    }
    const fields = { ...tunnelFields(tunnel), newAddr: from.text };
    if (!remoteFilter.allowsAll(tunnel.vpnAddresses, from.address)) {
      outbox.count('tunnels.roam_not_allowed');
      outbox.log('debug', 'lighthouse.remote_allow_list denied roaming', fields);
      return;
    }
    if (tunnel.roamedFrom?.text === from.text && now.ms - tunnel.roamedMs < ROAM_BACK_MS) {
      outbox.count('tunnels.roam_suppressed');
      outbox.log('debug', 'Suppressing roam back to previous remote', fields);
      return;
    }
    outbox.log('info', 'Host roamed to new udp ip/port.', fields);
    outbox.count('tunnels.roamed');
    tunnel.roamedFrom = tunnel.endpoint;
    tunnel.roamedMs = now.ms;
    this.#tunnels.move(tunnel, from);
  }
}
