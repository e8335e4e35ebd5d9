/** A tunnel, as far as discovery asks; `Tunnel` is one. */
import type { Certificate } from '../../../shared/cert/certificate.ts';
import type { IpAddress } from '../../../shared/ip/address.ts';

export interface PeerTunnel {
  readonly slot: number;
  /** The peer's addresses, first one first. */
  readonly vpnAddresses: readonly IpAddress[];
  /** Our certificate that the peer has seen: its version is the form of what we send. */
  readonly ownCertificate: Certificate;
}
