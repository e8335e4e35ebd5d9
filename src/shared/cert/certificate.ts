/**
 * What a certificate says, whichever version it was encoded in. Parsing, signing and verifying live beside this file;
 * the data path and the control plane only read these values.
 */
import type { Curve } from '../crypto/curve.ts';
import type { Prefix } from '../ip/address.ts';

/** The fields of a certificate without what signing adds. */
export interface CertificateFields {
  readonly version: 1 | 2;
  readonly name: string;
  /** Host certificates keep host bits: 10.1.2.3/16 is the host's address and its network. */
  readonly networks: readonly Prefix[];
  readonly unsafeNetworks: readonly Prefix[];
  readonly groups: readonly string[];
  /** Unix seconds, inclusive on both ends. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly isCa: boolean;
  /** Lower-case hex fingerprint of the CA; empty for a CA. */
  readonly issuer: string;
  readonly curve: Curve;
  readonly publicKey: Uint8Array;
}

export interface Certificate extends CertificateFields {
  readonly signature: Uint8Array;
  /** Lower-case hex SHA-256, as `pki.blocklist` and `ca_sha` name it. */
  readonly fingerprint: string;
  /** The canonical encoding of the whole certificate (as in its PEM block). */
  readonly encoded: Uint8Array;
}
