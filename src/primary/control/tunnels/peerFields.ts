/** How a peer is named in log lines: Nebula's field names, so that people and their tools find what they know. */
import type { Certificate } from '../../../shared/cert/certificate.ts';
import type { Endpoint, IpAddress } from '../../../shared/ip/address.ts';
import type { LogFields } from '../effects.ts';
import type { Tunnel } from './tunnel.ts';

export function textsOf(addresses: readonly IpAddress[]): readonly string[] {
  return addresses.map((address) => address.text);
}

/** A peer that has just shown its certificate, at an endpoint. */
export function peerFields(certificate: Certificate, from: Endpoint): LogFields {
  return {
    vpnAddrs: certificate.networks.map((network) => network.address.text),
    from: from.text,
    certName: certificate.name,
    certVersion: certificate.version,
    fingerprint: certificate.fingerprint,
    issuer: certificate.issuer,
  };
}

export function tunnelFields(tunnel: Tunnel): LogFields {
  return {
    vpnAddrs: textsOf(tunnel.vpnAddresses),
    certName: tunnel.peer.certificate.name,
    localIndex: tunnel.localIndex,
    remoteIndex: tunnel.remoteIndex,
    udpAddr: tunnel.endpoint?.text ?? '',
  };
}
