/**
 * Ed25519 (RFC 8032), which signs certificates on curve 25519. Keys have tweetnacl's form, which is also Nebula's: the
 * private key is seed || public key. Signing is rare and on the command line, so the audited tweetnacl does it (a few
 * milliseconds); verifying happens in every handshake, so node:crypto does it (0.1 ms against 8).
 */
import { createPublicKey, verify } from 'node:crypto';
import nacl from 'tweetnacl';

const ED25519_PRIVATE_KEY_BYTES = 64;
const ED25519_PUBLIC_KEY_BYTES = 32;

/** Checks one signature under a key that was prepared before; false for anything malformed. */
export type SignatureCheck = (message: Uint8Array, signature: Uint8Array) => boolean;

export interface SigningKeyPair {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** The key pair of a 32-byte seed; both parts are fresh buffers that the caller may wipe. */
export function ed25519KeyPair(seed: Uint8Array): SigningKeyPair {
  const pair = nacl.sign.keyPair.fromSeed(seed);
  return { privateKey: pair.secretKey, publicKey: pair.publicKey };
}

/** The public half that belongs to a private key's seed, computed and not just cut out; null for a wrong length. */
export function ed25519PublicKey(privateKey: Uint8Array): Uint8Array | null {
  if (privateKey.length !== ED25519_PRIVATE_KEY_BYTES) {
    return null;
  }
  const pair = nacl.sign.keyPair.fromSeed(privateKey.subarray(0, 32));
  pair.secretKey.fill(0);
  return pair.publicKey;
}

/** The 64-byte signature. */
export function signEd25519(privateKey: Uint8Array, message: Uint8Array): Uint8Array {
  return nacl.sign.detached(message, privateKey);
}

/** A check under this public key; one that always fails when the key is malformed. */
export function ed25519Check(publicKey: Uint8Array): SignatureCheck {
  if (publicKey.length !== ED25519_PUBLIC_KEY_BYTES) {
    return () => false;
  }
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
  return (message, signature) => {
    try {
      return verify(null, message, key, signature);
    } catch {
      return false;
    }
  };
}

/** DER of RFC 8410 in front of the raw public key. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
