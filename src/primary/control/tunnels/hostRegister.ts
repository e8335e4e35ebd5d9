/**
 * The table that a lighthouse's workers answer from, as far as the control plane writes it: which hosts there are, behind
 * which tunnels and endpoints. A port as the tunnel store is; `lighthouse/hosts.ts` implements it.
 */
import type { Endpoint, IpAddress } from '../../../shared/ip/address.ts';

export interface HostRegister {
  /** Hosts that found the table full, since start. */
  readonly refusedCount: number;
  /**
   * Makes a host findable under all its addresses, first one first, behind this slot; also right for one that is known,
   * whose addresses or tunnel have changed. False when the table is full.
   */
  add(vpnAddresses: readonly IpAddress[], slot: number, certificateVersion: 1 | 2): boolean;
  /** Where the packets of a host come from. `vpnAddress` is its first one; ignored for a host that is not known. */
  learn(vpnAddress: IpAddress, endpoint: Endpoint): void;
  /** `vpnAddress` is the host's first one; any other is ignored. */
  remove(vpnAddress: IpAddress): void;
}
