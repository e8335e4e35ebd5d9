/**
 * From bytes to a `Certificate` and to what is hashed and signed, for both versions. The files beside this one know one
 * encoding each; everyone else (identity, CA pool, worker's peer table, command line) comes here. A certificate that was
 * parsed kept the rules of its version; that its signature is good is the CA pool's business. Nothing here keeps state.
 */
import { createHash } from 'node:crypto';
import { Curve } from '../crypto/curve.ts';
import { twinSignature } from '../crypto/p256.ts';
import type { Certificate, CertificateFields } from './certificate.ts';
import { CertificateError } from './certificateError.ts';
import { checkedFields } from './rules.ts';
import { detailsVersion1, encodeVersion1, readVersion1 } from './version1.ts';
import { encodeVersion2, type HandshakeKey, rawDetailsOf, readVersion2, signedBytesVersion2 } from './version2.ts';

/** Parses a certificate as in its PEM block. The result shares no memory with `encoded`. Throws CertificateError. */
export function parseCertificate(encoded: Uint8Array, version: 1 | 2): Certificate {
  return parseAny(encoded, version, null);
}

/** Parses either form; the handshake's key and curve come from outside. Throws CertificateError. */
export function parseAny(encoded: Uint8Array, version: 1 | 2, handshakeKey: HandshakeKey | null): Certificate {
  if (encoded.length === 0) {
    throw new CertificateError('the encoding is empty');
  }
  if (version === 1) {
    const { fields, signature } = readVersion1(encoded, handshakeKey === null ? null : handshakeKey.publicKey);
    return version1Certificate(checkedFields(fields), signature);
  }
  const { fields, signature, rawDetails } = readVersion2(encoded, handshakeKey);
  return version2Certificate(checkedFields(fields), signature, rawDetails);
}

/** A version 1 certificate of checked fields. */
export function version1Certificate(fields: CertificateFields, signature: Uint8Array): Certificate {
  const encoded = encodeVersion1(fields, signature, true);
  return { ...fields, signature, encoded, fingerprint: sha256Hex(encoded) };
}

/** A version 2 certificate of checked fields and the details element that says the same. */
export function version2Certificate(
  fields: CertificateFields,
  signature: Uint8Array,
  rawDetails: Uint8Array,
): Certificate {
  return {
    ...fields,
    signature,
    encoded: encodeVersion2(rawDetails, fields.curve, fields.publicKey, signature),
    fingerprint: sha256Hex(signedBytesVersion2(rawDetails, fields.curve, fields.publicKey), signature),
  };
}

/** The bytes that the CA signed. */
export function signedBytes(certificate: Certificate): Uint8Array {
  return certificate.version === 1
    ? detailsVersion1(certificate, true)
    : signedBytesVersion2(rawDetailsOf(certificate.encoded), certificate.curve, certificate.publicKey);
}

/**
 * The fingerprint of the same certificate with the other valid P-256 signature (s replaced by n - s), which anyone can
 * make from it: a blocklist must name either. Null on curve 25519 and for a signature that is none.
 */
export function twinFingerprint(certificate: Certificate): string | null {
  const twin = certificate.curve === Curve.P256 ? twinSignature(certificate.signature) : null;
  if (twin === null) {
    return null;
  }
  return certificate.version === 1
    ? sha256Hex(encodeVersion1(certificate, twin, true))
    : sha256Hex(signedBytes(certificate), twin);
}

function sha256Hex(...parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(part);
  }
  return hash.digest('hex');
}
