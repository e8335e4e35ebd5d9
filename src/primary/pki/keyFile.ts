/**
 * Keys as PEM files. A host's key does Diffie-Hellman (X25519 or P-256); a CA's key signs (Ed25519 or ECDSA P-256) and
 * may be encrypted with a passphrase. The banner says which is which. Nebula protocol: certificates §4.
 */

import { CertificateError } from '../../shared/cert/certificateError.ts';
import { Curve } from '../../shared/crypto/curve.ts';
import type { Argon2Parameters } from './argon2.ts';
import { decryptKey, encryptKey } from './encryptedKey.ts';
import { firstPemBlock, formatPem } from './pem.ts';

export type KeyKind = 'host private' | 'host public' | 'ca private' | 'ca public';

export interface CurveKey {
  readonly curve: Curve;
  readonly bytes: Uint8Array;
}

interface KeyForm {
  readonly kind: KeyKind;
  readonly curve: Curve;
  readonly banner: string;
  readonly byteCount: number;
  /** What Nebula's errors call it. */
  readonly label: string;
}

/** The key in a file's first block. The result is a fresh buffer. Throws CertificateError. */
export function parseKey(file: Uint8Array, kind: KeyKind): CurveKey {
  const block = firstPemBlock(file);
  const form = FORMS.find((candidate) => candidate.kind === kind && candidate.banner === block.banner);
  if (form === undefined) {
    block.content.fill(0);
    if (kind === 'ca private' && encryptedCurve(block.banner) !== null) {
      throw new CertificateError('the private key is encrypted');
    }
    throw new CertificateError(`bytes did not contain a proper ${BANNER_NAMES[kind]} banner: ${block.banner}`);
  }
  return checkedKey(form, block.content);
}

/** The PEM block of a key, as bytes that the caller may wipe. */
export function formatKey(kind: KeyKind, key: CurveKey): Uint8Array {
  return formatPem(formOf(kind, key.curve).banner, key.bytes);
}

/** True when the first block is a CA key behind a passphrase. */
export function isEncryptedKey(file: Uint8Array): boolean {
  const block = firstPemBlock(file);
  block.content.fill(0);
  return encryptedCurve(block.banner) !== null;
}

/** Decrypts a CA's private key; takes long by design (Argon2). Throws CertificateError, also for a wrong passphrase. */
export function parseEncryptedKey(file: Uint8Array, passphrase: Uint8Array): CurveKey {
  const block = firstPemBlock(file);
  const curve = encryptedCurve(block.banner);
  if (curve === null) {
    throw new CertificateError(
      `bytes did not contain a proper encrypted Ed25519/ECDSA private key banner: ${block.banner}`,
    );
  }
  return checkedKey(formOf('ca private', curve), decryptKey(block.content, passphrase));
}

/** Encrypts a CA's private key. `salt` has 32 random bytes, `nonce` 12, both fresh. */
export function formatEncryptedKey(
  key: CurveKey,
  passphrase: Uint8Array,
  parameters: Argon2Parameters,
  salt: Uint8Array,
  nonce: Uint8Array,
): Uint8Array {
  const encrypted = encryptKey(key.bytes, passphrase, parameters, salt, nonce);
  return formatPem(ENCRYPTED_BANNERS[key.curve], encrypted);
}

function checkedKey(form: KeyForm, bytes: Uint8Array): CurveKey {
  if (bytes.length !== form.byteCount) {
    bytes.fill(0);
    throw new CertificateError(`key was not ${form.byteCount} bytes, is invalid ${form.label}`);
  }
  return { curve: form.curve, bytes };
}

function formOf(kind: KeyKind, curve: Curve): KeyForm {
  const form = FORMS.find((candidate) => candidate.kind === kind && candidate.curve === curve);
  if (form === undefined) {
    throw new RangeError(`no ${kind} keys on curve ${curve}`);
  }
  return form;
}

function encryptedCurve(banner: string): Curve | null {
  if (banner === ENCRYPTED_BANNERS[Curve.Curve25519]) {
    return Curve.Curve25519;
  }
  return banner === ENCRYPTED_BANNERS[Curve.P256] ? Curve.P256 : null;
}

const BANNER_NAMES: Readonly<Record<KeyKind, string>> = {
  'host private': 'private key',
  'host public': 'public key',
  'ca private': 'Ed25519/ECDSA private key',
  'ca public': 'Ed25519/ECDSA public key',
};

const ENCRYPTED_BANNERS: Readonly<Record<Curve, string>> = {
  [Curve.Curve25519]: 'NEBULA ED25519 ENCRYPTED PRIVATE KEY',
  [Curve.P256]: 'NEBULA ECDSA P256 ENCRYPTED PRIVATE KEY',
};

const FORMS: readonly KeyForm[] = [
  form('host private', Curve.Curve25519, 'NEBULA X25519 PRIVATE KEY', 32, 'X25519 private key'),
  form('host public', Curve.Curve25519, 'NEBULA X25519 PUBLIC KEY', 32, 'X25519 public key'),
  form('host private', Curve.P256, 'NEBULA P256 PRIVATE KEY', 32, 'P256 private key'),
  form('host public', Curve.P256, 'NEBULA P256 PUBLIC KEY', 65, 'P256 public key'),
  form('ca private', Curve.Curve25519, 'NEBULA ED25519 PRIVATE KEY', 64, 'ed25519 private key'),
  form('ca public', Curve.Curve25519, 'NEBULA ED25519 PUBLIC KEY', 32, 'ed25519 public key'),
  form('ca private', Curve.P256, 'NEBULA ECDSA P256 PRIVATE KEY', 32, 'ECDSA P256 private key'),
  form('ca public', Curve.P256, 'NEBULA ECDSA P256 PUBLIC KEY', 65, 'ECDSA P256 public key'),
];

function form(kind: KeyKind, curve: Curve, banner: string, byteCount: number, label: string): KeyForm {
  return { kind, curve, banner, byteCount, label };
}
