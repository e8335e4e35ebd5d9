/**
 * Endpoints that follow from a vpn address (`lighthouse.calculated_remotes`): the network bits of a mask's address, the
 * host bits of the vpn address, a port. For networks where overlay and underlay are numbered alike, so that hosts find
 * each other before, or without, a lighthouse. (Nebula protocol: calculated_remotes.)
 */

import {
  addressFromBytes,
  type Endpoint,
  endpointOf,
  type IpAddress,
  type Prefix,
} from '../../../shared/ip/address.ts';
import type { CalculatedNetwork } from '../../config/config.ts';
import { PrefixTable } from './prefixTable.ts';

export class CalculatedRemotes {
  readonly #remotes: PrefixTable<CalculatedNetwork['remotes']> = new PrefixTable();

  /** Masks are of their network's family: the configuration has been checked for that. */
  constructor(networks: readonly CalculatedNetwork[] = []) {
    for (const { network, remotes } of networks) {
      this.#remotes.set(network, remotes);
    }
  }

  /** The endpoints for a vpn address, from the most specific network that it is in. */
  of(vpnAddress: IpAddress): readonly Endpoint[] {
    const remotes = this.#remotes.lookup(vpnAddress) ?? [];
    return remotes.map((remote) => endpointOf(combine(remote.mask, vpnAddress), remote.port));
  }
}

function combine(mask: Prefix, vpnAddress: IpAddress): IpAddress {
  const bytes = mask.address.bytes.map((networkByte, index) => {
    const bits = Math.min(8, Math.max(0, mask.bits - index * 8));
    const hostMask = 0xff >> bits;
    return (networkByte & ~hostMask) | (vpnAddress.bytes[index] & hostMask);
  });
  return addressFromBytes(bytes);
}
