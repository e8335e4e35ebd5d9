/**
 * ECDSA on P-256 with SHA-256 (FIPS 186-5), which signs certificates on the P256 curve; signatures are ASN.1 DER.
 *
 * With (r, s) also (r, n - s) is valid, so anyone can turn a certificate into its twin with another fingerprint. What is
 * signed here always has the low s; `twinSignature` gives the other one, for the blocklist. Nebula protocol: low-s.
 */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { DerReader, derElement, isMinimalInteger } from '../wire/der.ts';
import { Curve } from './curve.ts';
import { publicKeyOf } from './dh.ts';
import type { SignatureCheck } from './ed25519.ts';

/** The group's order n. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
/** floor(n / 2), which still counts as low. */
const HALF_ORDER = ORDER >> 1n;

const TAG_INTEGER = 0x02;
const TAG_SEQUENCE = 0x30;

/** The low-s signature by a 32-byte scalar. Throws RangeError for a key that is no scalar. */
export function signP256(privateKey: Uint8Array, message: Uint8Array): Uint8Array {
  if (publicKeyOf(Curve.P256, privateKey) === null) {
    throw new RangeError('a P-256 private key is a scalar of 32 bytes between 1 and the order of the curve');
  }
  const der = Buffer.concat([SEC1_PREFIX, privateKey, SEC1_CURVE]);
  try {
    const key = createPrivateKey({ key: der, format: 'der', type: 'sec1' });
    return lowSignature(new Uint8Array(sign('sha256', message, key)));
  } finally {
    der.fill(0);
  }
}

/** A check under this uncompressed point; one that always fails when it is no point of the curve. Takes high s, too. */
export function p256Check(publicKey: Uint8Array): SignatureCheck {
  if (publicKey.length !== 65 || publicKey[0] !== 0x04) {
    return () => false;
  }
  try {
    const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
    return (message, signature) => {
      try {
        return verify('sha256', message, key, signature);
      } catch {
        return false;
      }
    };
  } catch {
    return () => false;
  }
}

/** The same signature with s replaced by n - s; null when it is no strict DER signature with 0 < r, s < n. */
export function twinSignature(signature: Uint8Array): Uint8Array | null {
  const parsed = parseSignature(signature);
  return parsed === null ? null : formatSignature(parsed.r, ORDER - parsed.s);
}

/** True when s is at most floor(n / 2); null for a malformed signature. */
export function hasLowS(signature: Uint8Array): boolean | null {
  const parsed = parseSignature(signature);
  return parsed === null ? null : parsed.s <= HALF_ORDER;
}

function lowSignature(signature: Uint8Array): Uint8Array {
  return hasLowS(signature) === false ? (twinSignature(signature) ?? signature) : signature;
}

function parseSignature(signature: Uint8Array): { r: bigint; s: bigint } | null {
  const outer = new DerReader(signature);
  if (outer.read(TAG_SEQUENCE) !== 0 || !outer.isAtEnd) {
    return null;
  }
  const inner = outer.inside();
  const r = readScalar(inner);
  const s = readScalar(inner);
  return r === null || s === null || !inner.isAtEnd ? null : { r, s };
}

function readScalar(reader: DerReader): bigint | null {
  if (reader.read(TAG_INTEGER) !== 0) {
    return null;
  }
  const content = reader.content();
  if (content.length > 33 || !isMinimalInteger(content) || content[0] >= 0x80) {
    return null;
  }
  const value = BigInt(`0x${Buffer.from(content).toString('hex')}`);
  return value > 0n && value < ORDER ? value : null;
}

function formatSignature(r: bigint, s: bigint): Uint8Array {
  return derElement(TAG_SEQUENCE, formatScalar(r), formatScalar(s));
}

function formatScalar(value: bigint): Uint8Array {
  const text = value.toString(16);
  const bytes = Buffer.from(text.length % 2 === 0 ? text : `0${text}`, 'hex');
  return derElement(TAG_INTEGER, bytes[0] >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
}

/** SubjectPublicKeyInfo (RFC 5480) in front of the uncompressed point. */
const SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
/** ECPrivateKey (RFC 5915) around the scalar, without the optional public key. */
const SEC1_PREFIX = Buffer.from('303102010104' + '20', 'hex');
const SEC1_CURVE = Buffer.from('a00a06082a8648ce3d030107', 'hex');
