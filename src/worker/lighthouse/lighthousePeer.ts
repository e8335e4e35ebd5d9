/**
 * What the lighthouse handler knows of the peer at the other end of a tunnel: made from its certificate when a tunnel's
 * slot is first used, valid for that (slot, generation), never changed.
 */
import type { Certificate } from '../../shared/cert/certificate.ts';
import { addressWords, networkWords } from '../../shared/ip/networkWords.ts';

export interface LighthousePeer {
  readonly slot: number;
  /** The vpn addresses, four words each, in the certificate's order. */
  readonly addresses: Int32Array;
  /** The vpn networks, one array each (`networkWords`), in the certificate's order. */
  readonly networks: readonly Int32Array[];
}

export function lighthousePeer(slot: number, certificate: Certificate): LighthousePeer {
  return {
    slot,
    addresses: addressWords(certificate.networks.map((network) => network.address)),
    networks: certificate.networks.map((network) => networkWords([network])),
  };
}
