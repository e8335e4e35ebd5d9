/** A host's new key pair, for `keygen` and `sign`: only the file of its private key outlives the making. */
import { randomBytes } from 'node:crypto';
import type { Curve } from '../../../shared/crypto/curve.ts';
import { generateKeyPair } from '../../../shared/crypto/dh.ts';
import { formatKey } from '../../pki/keyFile.ts';

/** Wipe `keyFile` after use. */
export function newHostKey(curve: Curve): { readonly publicKey: Uint8Array; readonly keyFile: Uint8Array } {
  const seed = randomBytes(32);
  const pair = generateKeyPair(curve, seed);
  seed.fill(0);
  const keyFile = formatKey('host private', { curve, bytes: pair.privateKey });
  pair.privateKey.fill(0);
  return { publicKey: pair.publicKey, keyFile };
}
