/**
 * When a healthy tunnel is replaced by a new one, and whether a tunnel may take over as primary: decisions only.
 * (Nebula protocol: re-handshake, duplicate tunnels.) The new tunnel simply becomes primary; the old one drains.
 */

import { compareAddresses } from '../../../shared/ip/address.ts';
import type { Identity } from '../../pki/identity.ts';
import { certificateOf } from './handshakeMachine.ts';
import type { Tunnel } from './tunnel.ts';

/** Messages after which a tunnel is replaced: 2^34. Reached only by a very busy one, long before nonces run out. */
const REHANDSHAKE_COUNT = 2 ** 34;

export interface RehandshakeReason {
  readonly reason: string;
  /** Which of our certificates the new handshake shows; null for the usual choice. */
  readonly version: 1 | 2 | null;
}

/** Why this tunnel should be replaced, or null. `sendCount` is its send counter. */
export function rehandshakeReason(identity: Identity, tunnel: Tunnel, sendCount: number): RehandshakeReason | null {
  const used = tunnel.ownCertificate;
  const peerVersion = tunnel.peer.certificate.version;
  const current = certificateOf(identity, used.version);
  if (current === null) {
    return { reason: 'local certificate removed', version: null };
  }
  if (used.version < peerVersion && certificateOf(identity, peerVersion) !== null) {
    return { reason: 'local certificate version lower than peer, attempting to correct', version: peerVersion };
  }
  if (current.fingerprint !== used.fingerprint) {
    return { reason: 'local certificate is not current', version: null };
  }
  if (used.version < identity.initiatingVersion) {
    return { reason: 'current cert version < pki.initiatingVersion', version: null };
  }
  if (sendCount >= REHANDSHAKE_COUNT) {
    return { reason: 'message counter rehandshake threshold reached', version: null };
  }
  return null;
}

/**
 * Whether a tunnel that the peer uses, and we do not, becomes our primary. Both nodes ask the same question with the
 * roles reversed and only one may say yes, or they would swap for ever: the one with the smaller address.
 */
export function mayTakeOver(identity: Identity, tunnel: Tunnel, sendCount: number): boolean {
  const current = certificateOf(identity, tunnel.ownCertificate.version);
  const isOwnCertificateCurrent = current === null || current.fingerprint === tunnel.ownCertificate.fingerprint;
  const order = compareAddresses(tunnel.vpnAddress, identity.networks[0].address);
  return order >= 0 && sendCount < REHANDSHAKE_COUNT && isOwnCertificateCurrent;
}
