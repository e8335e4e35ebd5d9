/**
 * The contract of the packet ciphers: keys that seal and open packets inside an arena.
 *
 * `tunnel/tunnelContext.ts` holds one AeadKey per tunnel and direction for `tunnel/seal.ts` and `tunnel/open.ts`;
 * `providers.ts` chooses who implements it. Memory is named by arena offset, the nonce by its counter, so a call needs
 * no object. Who may use which counter is not decided here: a counter must never be sealed twice with one key.
 */
import type { Arena } from '../sys/arena.ts';

/** The ciphers of `cipher: aes` and `cipher: chachapoly` (Nebula protocol: keys, nonce, AEAD). */
export const Cipher = { Aes256Gcm: 0, ChaCha20Poly1305: 1 } as const;
export type Cipher = (typeof Cipher)[keyof typeof Cipher];

/** Bytes of every key and of the nonce; the tag behind every ciphertext has `TAG_BYTES` (`wire/header.ts`). */
export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;

/** One key with its native context. Not shared between tunnels; used by one thread. */
export interface AeadKey {
  /**
   * Encrypts `length` bytes at arena offset `source` to `target` (may equal `source`, must not overlap it otherwise) and
   * puts the tag behind them. The nonce is 4 zero bytes and the 64-bit counter, big endian for AES, little for ChaCha;
   * its halves may be signed numbers, which are not boxed on their way from 2^31 on. The associated data of a packet
   * is its header, but that of a relayed one is all of it, so it has an offset and a length of its own.
   * `length` may be 0: then only the associated data is authenticated. Throws when the library refuses, which no packet
   * can cause: sending what lies in `target` then would leak plaintext.
   */
  seal(
    adOffset: number,
    adLength: number,
    source: number,
    length: number,
    target: number,
    counterHigh: number,
    counterLow: number,
  ): void;

  /**
   * Decrypts in place `length` ciphertext bytes at `offset`, whose tag lies behind them. False: not authentic, and the
   * bytes are then undefined.
   */
  open(
    adOffset: number,
    adLength: number,
    offset: number,
    length: number,
    counterHigh: number,
    counterLow: number,
  ): boolean;

  /** Wipes and frees native state. The key must not be used afterwards: seal throws, open answers false. */
  destroy(): void;
}

/** One implementation of the ciphers, loaded once per process. */
export interface AeadProvider {
  readonly name: string;
  /** Those that it implements. */
  readonly ciphers: readonly Cipher[];
  /** `key` has 32 bytes and is copied. Throws AeadError when the library refuses. */
  createKey(cipher: Cipher, key: Uint8Array, arena: Arena): AeadKey;
}

/** A cipher library that does not do what it should: never the fault of a packet. */
export class AeadError extends Error {
  override readonly name = 'AeadError';

  constructor(provider: string, call: string, code: number | null) {
    super(`crypto provider ${provider}: ${call} ${code === null ? 'failed' : `answered ${code}`}`);
  }
}

/**
 * Writes a 64-bit counter into the nonce of 12 bytes at `offset`, whose first four stay zero: little endian for ChaCha,
 * big endian for AES. Runs per packet: no allocation.
 */
export function writeNonce(cipher: Cipher, view: DataView, offset: number, high: number, low: number): void {
  if (cipher === Cipher.ChaCha20Poly1305) {
    view.setUint32(offset + 4, low, true);
    view.setUint32(offset + 8, high, true);
  } else {
    view.setUint32(offset + 4, high);
    view.setUint32(offset + 8, low);
  }
}

/**
 * node:crypto's name of a cipher. Typed as one of them, because the types of the two differ and their use does not: with
 * `authTagLength` node treats both as AEAD ciphers.
 */
export function nodeCipherName(cipher: Cipher): 'aes-256-gcm' {
  return (cipher === Cipher.Aes256Gcm ? 'aes-256-gcm' : 'chacha20-poly1305') as 'aes-256-gcm';
}

/** Refuses keys of a wrong length before they reach native code. */
export function checkKey(provider: string, key: Uint8Array): void {
  if (key.length !== KEY_BYTES) {
    throw new AeadError(provider, `a key must have ${KEY_BYTES} bytes, createKey`, key.length);
  }
}
