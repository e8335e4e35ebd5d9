/**
 * The form of a certificate that travels in a handshake: without its public key, which is the Noise static key beside
 * it, and in version 2 without its curve, which is the tunnel's. Used by the handshake of both sides.
 * Nebula protocol: handshake §3.
 */
import type { Certificate } from '../../shared/cert/certificate.ts';
import { CertificateError } from '../../shared/cert/certificateError.ts';
import { parseAny } from '../../shared/cert/parse.ts';
import { encodeVersion1 } from '../../shared/cert/version1.ts';
import { handshakeFormVersion2, rawDetailsOf } from '../../shared/cert/version2.ts';
import type { Curve } from '../../shared/crypto/curve.ts';

/** The bytes for the handshake payload, made once per certificate: not to be changed. */
export function handshakeForm(certificate: Certificate): Uint8Array {
  const known = forms.get(certificate);
  if (known !== undefined) {
    return known;
  }
  const form = encodeForm(certificate);
  forms.set(certificate, form);
  return form;
}

const forms = new WeakMap<Certificate, Uint8Array>();

function encodeForm(certificate: Certificate): Uint8Array {
  return certificate.version === 1
    ? encodeVersion1(certificate, certificate.signature, false)
    : handshakeFormVersion2(rawDetailsOf(certificate.encoded), certificate.signature);
}

/**
 * Puts a peer's certificate together again: `version` as in the payload (0 from peers up to 1.9 means 1), `publicKey` the
 * static key that the handshake carried, `curve` our own. Throws CertificateError when the encoding is malformed, breaks
 * a rule, contains a key of its own, or belongs to another curve. Its signature is not checked here.
 */
export function parseHandshakeCertificate(
  encoded: Uint8Array,
  version: number,
  publicKey: Uint8Array,
  curve: Curve,
): Certificate {
  if (version !== 0 && version !== 1 && version !== 2) {
    throw new CertificateError(`certificate version ${version} is unknown`);
  }
  const certificate = parseAny(encoded, version === 2 ? 2 : 1, { publicKey, curve });
  if (certificate.curve !== curve) {
    throw new CertificateError('certificate curve does not match the curve of this network');
  }
  return certificate;
}
