/**
 * Diffie-Hellman of the handshake and the host keys behind it: X25519 (RFC 7748) and, as Nebula's extension of Noise,
 * ECDH on P-256 with uncompressed points (SEC 1). node:crypto does the arithmetic: 0.05 ms an operation, where a
 * JavaScript implementation takes 0.6 ms. Randomness comes in as an argument.
 *
 * Bringing an X25519 key into OpenSSL costs more than the operation: 0.5 ms (private) and 0.1 ms (public) as DER, 0.05
 * and 0.01 as JWK, with OpenSSL 3.0. So public keys and fresh private ones go in as JWK, and an imported private key is
 * kept for as long as somebody holds its bytes. A long-term key goes in as DER, once: of JWK's text no copy can be wiped.
 */
import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { Curve } from './curve.ts';

export interface DhKeyPair {
  /** 32 bytes: the X25519 secret or the big-endian P-256 scalar. */
  readonly privateKey: Uint8Array;
  /** 32 bytes, or 65 of an uncompressed P-256 point. */
  readonly publicKey: Uint8Array;
}

/** Bytes of a private key, of either curve. */
export const PRIVATE_KEY_BYTES = 32;

export function publicKeyBytes(curve: Curve): number {
  return curve === Curve.P256 ? 65 : 32;
}

/**
 * A key pair from 32 random bytes, which become (a copy of) the private key. Only for P-256 and once in 2^32 draws the
 * bytes are no valid scalar; then their hash is tried in their place.
 */
export function generateKeyPair(curve: Curve, randomBytes32: Uint8Array): DhKeyPair {
  if (randomBytes32.length !== PRIVATE_KEY_BYTES) {
    throw new RangeError(`a private key needs ${PRIVATE_KEY_BYTES} random bytes, not ${randomBytes32.length}`);
  }
  // Not slice(): of a Buffer that is a view, and callers wipe their randomness.
  let privateKey = new Uint8Array(randomBytes32);
  if (curve === Curve.Curve25519) {
    return { privateKey, publicKey: publicKeyOfFresh(privateKey) };
  }
  let publicKey = publicKeyOf(curve, privateKey);
  while (publicKey === null) {
    privateKey = new Uint8Array(createHash('sha256').update(privateKey).digest());
    publicKey = publicKeyOf(curve, privateKey);
  }
  return { privateKey, publicKey };
}

/** The public key of a private one; null when it has a wrong length or is no valid scalar (0, or not below the order). */
export function publicKeyOf(curve: Curve, privateKey: Uint8Array): Uint8Array | null {
  if (privateKey.length !== PRIVATE_KEY_BYTES) {
    return null;
  }
  try {
    if (curve === Curve.P256) {
      const ecdh = createECDH('prime256v1');
      ecdh.setPrivateKey(privateKey);
      return new Uint8Array(ecdh.getPublicKey());
    }
    return publicKeyOfImported(importPrivateKey(privateKey));
  } catch {
    return null;
  }
}

/**
 * The shared secret of 32 bytes: X25519's output or the point's X coordinate. Null when the peer's key is no point of
 * the curve, has a wrong length, or is one of X25519's low-order points (the secret would be zero, RFC 7748 §6.1).
 */
export function sharedSecret(curve: Curve, privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null {
  if (privateKey.length !== PRIVATE_KEY_BYTES || publicKey.length !== publicKeyBytes(curve)) {
    return null;
  }
  if (curve === Curve.P256 && publicKey[0] !== 0x04) {
    return null;
  }
  try {
    if (curve === Curve.P256) {
      const ecdh = createECDH('prime256v1');
      ecdh.setPrivateKey(privateKey);
      return new Uint8Array(ecdh.computeSecret(publicKey));
    }
    const secret = diffieHellman({
      privateKey: importedPrivateKey(privateKey),
      publicKey: createPublicKey({ key: { ...X25519_JWK, x: textOf(publicKey) }, format: 'jwk' }),
    });
    return secret.every((byte) => byte === 0) ? null : new Uint8Array(secret);
  } catch {
    // node:crypto throws for every point that it refuses; which one it was does not matter to the handshake.
    return null;
  }
}

/**
 * Ends a private key: its bytes become zero and what was imported from them is let go of, for OpenSSL to wipe when it is
 * collected. Zeroing the bytes alone would leave `sharedSecret` working.
 */
export function wipePrivateKey(privateKey: Uint8Array): void {
  importedKeys.delete(privateKey);
  privateKey.fill(0);
}

/** By the array that holds the bytes, which must not change: they go, and the imported key goes with them. */
const importedKeys = new WeakMap<Uint8Array, KeyObject>();

/** Node 26 compares the public key in a JWK with the private one; before, any text serves. */
let needsPublicKeyInJwk = false;

function importedPrivateKey(privateKey: Uint8Array): KeyObject {
  const known = importedKeys.get(privateKey);
  if (known !== undefined) {
    return known;
  }
  const imported = importPrivateKey(privateKey);
  importedKeys.set(privateKey, imported);
  return imported;
}

function publicKeyOfFresh(privateKey: Uint8Array): Uint8Array {
  const imported = importFreshPrivateKey(privateKey);
  importedKeys.set(privateKey, imported);
  return publicKeyOfImported(imported);
}

function importFreshPrivateKey(privateKey: Uint8Array): KeyObject {
  if (!needsPublicKeyInJwk) {
    try {
      return createPrivateKey({ key: { ...X25519_JWK, x: ANY_TEXT, d: textOf(privateKey) }, format: 'jwk' });
    } catch {
      needsPublicKeyInJwk = true;
    }
  }
  return importPrivateKey(privateKey);
}

function importPrivateKey(privateKey: Uint8Array): KeyObject {
  const pkcs8 = Buffer.concat([X25519_PKCS8_PREFIX, privateKey]);
  try {
    return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  } finally {
    pkcs8.fill(0);
  }
}

/** Exporting the private key instead would put it into a text. */
function publicKeyOfImported(imported: KeyObject): Uint8Array {
  return new Uint8Array(Buffer.from(createPublicKey(imported).export({ format: 'jwk' }).x ?? '', 'base64url'));
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('base64url');
}

const X25519_JWK: JsonWebKey = { kty: 'OKP', crv: 'X25519' };
const ANY_TEXT = 'A'.repeat(43);
/** DER of RFC 8410 in front of the raw key: PrivateKeyInfo of X25519. */
const X25519_PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
