/** What tunnels and handshakes ask and tell the part of the core that knows where peers are (`peerDiscovery.ts`). */
import type { IpAddress } from '../../../shared/ip/address.ts';
import type { Now } from '../now.ts';
import type { PeerTunnel } from './peerTunnel.ts';

export interface Whereabouts {
  /** Asks whoever may know where a host is. What is known at once counts at once, the rest comes later. */
  query(now: Now, address: IpAddress): void;
  /** The tunnel leads to its host now. */
  onHostUp(now: Now, tunnel: PeerTunnel): void;
  /** A handshake with this address was given up. */
  onHostFailed(address: IpAddress): void;
  /** The last tunnel to these addresses is gone. */
  onHostGone(now: Now, addresses: readonly IpAddress[]): void;
}
