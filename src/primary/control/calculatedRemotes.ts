/**
 * Endpoints that follow from a vpn address (`lighthouse.calculated_remotes`): the network bits of a mask's address, the
 * host bits of the vpn address, a port. For networks where overlay and underlay are numbered alike, so that hosts find
 * each other before, or without, a lighthouse. (Nebula protocol: calculated_remotes.)
 */
import { addressFromBytes, type Endpoint, endpointOf, type IpAddress, type Prefix } from '../../shared/ip/address.ts';
import { PrefixTable } from '../../shared/ip/prefixTable.ts';

/** A mask whose family is not that of the network it stands under. */
export class CalculatedRemotesError extends Error {
  override readonly name: string = 'CalculatedRemotesError';
}

export interface CalculatedNetwork {
  readonly network: Prefix;
  readonly remotes: readonly CalculatedRemote[];
}

export interface CalculatedRemote {
  readonly mask: Prefix;
  readonly port: number;
}

export class CalculatedRemotes {
  readonly #networks: PrefixTable<readonly CalculatedRemote[]> = new PrefixTable();

  /** Throws `CalculatedRemotesError`. */
  constructor(networks: readonly CalculatedNetwork[] = []) {
    for (const { network, remotes } of networks) {
      const misfit = remotes.find((remote) => remote.mask.address.family !== network.address.family);
      if (misfit !== undefined) {
        throw new CalculatedRemotesError(
          `config \`lighthouse.calculated_remotes\`: invalid mask: ${misfit.mask.text} for cidr: ${network.text}: ` +
            'both must be IPv4 or both IPv6',
        );
      }
      this.#networks.set(network, remotes);
    }
  }

  /** The endpoints for a vpn address, from the most specific network that it is in. */
  of(vpnAddress: IpAddress): readonly Endpoint[] {
    const remotes = this.#networks.lookup(vpnAddress) ?? [];
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
