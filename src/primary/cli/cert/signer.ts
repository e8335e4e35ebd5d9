/** The CA that signs: its key, decrypted if need be, and the certificate that belongs to it. For `sign` and `renew`. */

import type { Certificate, CertificateFields } from '../../../shared/cert/certificate.ts';
import { Curve } from '../../../shared/crypto/curve.ts';
import { publicKeyOf } from '../../../shared/crypto/dh.ts';
import { ed25519PublicKey } from '../../../shared/crypto/ed25519.ts';
import { isValidAt } from '../../pki/caPool.ts';
import { parseFirstCertificate } from '../../pki/certificateFile.ts';
import { type CurveKey, isEncryptedKey, parseEncryptedKey, parseKey } from '../../pki/keyFile.ts';
import { signCertificate } from '../../pki/signing.ts';
import { attempt, type CertIo, CommandError, readInput, unixSeconds } from './io.ts';
import { readPassphrase } from './passphrase.ts';

export class Signer {
  readonly certificate: Certificate;
  readonly #key: CurveKey;

  constructor(certificate: Certificate, key: CurveKey) {
    this.certificate = certificate;
    this.#key = key;
  }

  /** Throws CommandError when a rule or a constraint of the CA is broken. */
  sign(fields: Omit<CertificateFields, 'issuer'>): Certificate {
    const signingKey = { curve: this.#key.curve, privateKey: this.#key.bytes };
    return attempt('error while signing', () => signCertificate(fields, this.certificate, signingKey));
  }

  wipe(): void {
    this.#key.bytes.fill(0);
  }
}

/** Reads key and certificate and checks that they are a pair and not expired. Wipe the result after use. */
export async function readSigner(io: CertIo, keyPath: string, certificatePath: string): Promise<Signer> {
  const key = await readCaKey(io, keyPath);
  try {
    const certificate = await readCaCertificate(io, certificatePath);
    if (!isPair(certificate, key)) {
      throw new CommandError('refusing to sign, root certificate does not match private key');
    }
    if (!isValidAt(certificate, unixSeconds(io))) {
      throw new CommandError('ca certificate is expired');
    }
    return new Signer(certificate, key);
  } catch (error) {
    key.bytes.fill(0);
    throw error;
  }
}

async function readCaKey(io: CertIo, path: string): Promise<CurveKey> {
  const file = await readInput(io, path, 'ca-key');
  const what = 'error while parsing ca-key';
  try {
    if (!attempt(what, () => isEncryptedKey(file))) {
      return attempt(what, () => parseKey(file, 'ca private'));
    }
    const passphrase = await readPassphrase(io, {
      notInteractive: 'ca-key is encrypted and must be decrypted interactively',
      empty: 'cannot open encrypted ca-key without passphrase',
    });
    try {
      return attempt(what, () => parseEncryptedKey(file, passphrase));
    } finally {
      passphrase.fill(0);
    }
  } finally {
    file.fill(0);
  }
}

async function readCaCertificate(io: CertIo, path: string): Promise<Certificate> {
  const file = await readInput(io, path, 'ca-crt');
  return attempt('error while parsing ca-crt', () => parseFirstCertificate(file));
}

/** The key must make the certificate's public key; of an Ed25519 key also the half that it carries along. */
function isPair(certificate: Certificate, key: CurveKey): boolean {
  if (certificate.curve !== key.curve) {
    return false;
  }
  const publicKey = key.curve === Curve.P256 ? publicKeyOf(key.curve, key.bytes) : ed25519PublicKey(key.bytes);
  if (publicKey === null || Buffer.compare(publicKey, certificate.publicKey) !== 0) {
    return false;
  }
  return key.curve === Curve.P256 || Buffer.compare(publicKey, key.bytes.subarray(32)) === 0;
}
