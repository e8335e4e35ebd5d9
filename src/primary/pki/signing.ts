/**
 * Making certificates, and checking that one was signed by a key. Only the command line signs; a node verifies.
 * Nebula protocol: certificates §1 to §3.
 */

import type { Certificate, CertificateFields } from '../../shared/cert/certificate.ts';
import { CertificateError } from '../../shared/cert/certificateError.ts';
import { signedBytes, version1Certificate, version2Certificate } from '../../shared/cert/parse.ts';
import { checkedFields, constraintFault } from '../../shared/cert/rules.ts';
import { detailsVersion1 } from '../../shared/cert/version1.ts';
import { detailsVersion2, signedBytesVersion2 } from '../../shared/cert/version2.ts';
import { Curve } from '../../shared/crypto/curve.ts';
import { ed25519Check, type SignatureCheck, signEd25519 } from '../../shared/crypto/ed25519.ts';
import { p256Check, signP256 } from '../../shared/crypto/p256.ts';

/** The key that signs: 64 bytes of Ed25519 or the 32-byte P-256 scalar. */
export interface SigningKey {
  readonly curve: Curve;
  readonly privateKey: Uint8Array;
}

/**
 * Signs a host certificate as `ca`, whose fingerprint becomes the issuer, or with `ca` null a CA by itself. Throws
 * CertificateError when a rule of the version or a constraint of the CA is broken. That `key` belongs to `ca` is for the
 * caller to check.
 */
export function signCertificate(
  fields: Omit<CertificateFields, 'issuer'>,
  ca: Certificate | null,
  key: SigningKey,
): Certificate {
  if (key.curve !== fields.curve) {
    throw new CertificateError("curve in cert and private key supplied don't match");
  }
  if (ca === null && !fields.isCa) {
    throw new CertificateError('a self-signed certificate must be a CA');
  }
  if (ca !== null && fields.isCa) {
    throw new CertificateError('can not sign a CA certificate with another');
  }
  const checked = checkedFields({ ...fields, issuer: ca === null ? '' : ca.fingerprint });
  const broken = ca === null ? null : constraintFault(ca, checked);
  if (broken !== null) {
    throw new CertificateError(broken.fault);
  }
  if (checked.version === 1) {
    return version1Certificate(checked, sign(key, detailsVersion1(checked, true)));
  }
  const rawDetails = detailsVersion2(checked);
  const signature = sign(key, signedBytesVersion2(rawDetails, checked.curve, checked.publicKey));
  return version2Certificate(checked, signature, rawDetails);
}

/** Prepares checking signatures of one CA; the result can be kept as long as the CA. */
export function signatureCheckOf(ca: Certificate): (certificate: Certificate) => boolean {
  const check: SignatureCheck = ca.curve === Curve.P256 ? p256Check(ca.publicKey) : ed25519Check(ca.publicKey);
  return (certificate) => check(signedBytes(certificate), certificate.signature);
}

function sign(key: SigningKey, message: Uint8Array): Uint8Array {
  return key.curve === Curve.P256 ? signP256(key.privateKey, message) : signEd25519(key.privateKey, message);
}
