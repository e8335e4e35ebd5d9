/**
 * Argon2id (RFC 9106), version 1.3, which turns a passphrase into the key of an encrypted CA key. Only `weft cert` calls
 * it. Node's own implementation is taken where it exists (from 24.7); before, @noble/hashes, which needs about ten times
 * as long: 2 GiB in one pass took 23 s on Node 20. Both need the whole memory at once.
 */
import * as crypto from 'node:crypto';
import { argon2id } from '@noble/hashes/argon2.js';
import { errorText } from '../../shared/log/errorText.ts';

export interface Argon2Parameters {
  readonly memoryKib: number;
  readonly iterations: number;
  readonly parallelism: number;
}

/** What a JavaScript typed array of both implementations can hold. */
export const ARGON2_MEMORY_KIB_MAX = 4 * 1024 * 1024 - 1;

/** `lengthBytes` of key material. Throws RangeError for parameters out of range or more memory than there is. */
export function deriveKey(
  passphrase: Uint8Array,
  salt: Uint8Array,
  parameters: Argon2Parameters,
  lengthBytes: number,
): Uint8Array {
  const { memoryKib, iterations, parallelism } = parameters;
  if (memoryKib < 8 * parallelism || memoryKib > ARGON2_MEMORY_KIB_MAX) {
    throw new RangeError(
      `Argon2 memory must be between ${8 * parallelism} and ${ARGON2_MEMORY_KIB_MAX} KiB, not ${memoryKib}`,
    );
  }
  const fast = deriveNatively(passphrase, salt, parameters, lengthBytes);
  if (fast !== null) {
    return fast;
  }
  try {
    return argon2id(passphrase, salt, {
      t: iterations,
      m: memoryKib,
      p: parallelism,
      dkLen: lengthBytes,
      maxmem: 0xffff_ffff,
    });
  } catch (error) {
    const detail = errorText(error);
    throw new RangeError(
      `Argon2id with ${memoryKib} KiB of memory, ${iterations} iterations and parallelism ${parallelism} failed, ` +
        `is there enough free memory? (${detail})`,
    );
  }
}

/** Null when this Node has no Argon2, or one that refuses these parameters. */
function deriveNatively(
  passphrase: Uint8Array,
  salt: Uint8Array,
  parameters: Argon2Parameters,
  lengthBytes: number,
): Uint8Array | null {
  try {
    const key = nativeArgon2()?.('argon2id', {
      message: passphrase,
      nonce: salt,
      parallelism: parameters.parallelism,
      tagLength: lengthBytes,
      memory: parameters.memoryKib,
      passes: parameters.iterations,
    });
    return key === undefined ? null : new Uint8Array(key);
  } catch {
    return null;
  }
}

type NativeArgon2 = (
  algorithm: 'argon2id',
  parameters: {
    readonly message: Uint8Array;
    readonly nonce: Uint8Array;
    readonly parallelism: number;
    readonly tagLength: number;
    readonly memory: number;
    readonly passes: number;
  },
) => Uint8Array;

/** node:crypto's argon2Sync; absent before Node 24.7 and in builds against an OpenSSL before 3.2. */
function nativeArgon2(): NativeArgon2 | null {
  const candidate: unknown = Reflect.get(crypto, 'argon2Sync');
  return typeof candidate === 'function' ? (candidate as NativeArgon2) : null;
}
