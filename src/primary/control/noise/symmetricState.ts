/**
 * SymmetricState of the Noise Protocol Framework (revision 34, §5.2) over SHA-256: the chaining key, the transcript
 * hash and the cipher keyed so far. Values are replaced, never changed in place, so a copy is cheap and complete.
 */
import { createHash, createHmac } from 'node:crypto';
import type { Cipher } from '../../../shared/crypto/aead.ts';
import { CipherState } from './cipherState.ts';

const HASH_BYTES = 32;

export class SymmetricState {
  #cipherState: CipherState;
  #chainingKey: Uint8Array;
  #hash: Uint8Array;

  /** The protocol name seeds both hash and chaining key: zero-padded when it fits, hashed when it does not. */
  constructor(protocolName: string, cipher: Cipher) {
    const name = Buffer.from(protocolName, 'ascii');
    this.#hash = name.length <= HASH_BYTES ? padded(name) : sha256(name);
    this.#chainingKey = this.#hash;
    this.#cipherState = new CipherState(cipher);
  }

  /** The transcript hash; both sides have the same one after the same messages. */
  get hash(): Uint8Array {
    return this.#hash;
  }

  hasKey(): boolean {
    return this.#cipherState.hasKey();
  }

  mixKey(input: Uint8Array): void {
    const [chainingKey, key] = deriveTwo(this.#chainingKey, input);
    this.#chainingKey = chainingKey;
    this.#cipherState.initializeKey(key);
  }

  mixHash(data: Uint8Array): void {
    this.#hash = sha256(this.#hash, data);
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.#cipherState.encryptWithAd(this.#hash, plaintext);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** Null when the ciphertext is not authentic; the state has not changed then. */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array | null {
    const plaintext = this.#cipherState.decryptWithAd(this.#hash, ciphertext);
    if (plaintext !== null) {
      this.mixHash(ciphertext);
    }
    return plaintext;
  }

  /** The transport keys: the first for what the initiator sends, the second for what the responder sends. */
  split(): readonly [Uint8Array, Uint8Array] {
    return deriveTwo(this.#chainingKey, new Uint8Array(0));
  }

  snapshot(): SymmetricSnapshot {
    return { cipherState: this.#cipherState.copy(), chainingKey: this.#chainingKey, hash: this.#hash };
  }

  /** Goes back to a snapshot, which must not be used again afterwards. */
  restore(snapshot: SymmetricSnapshot): void {
    this.#cipherState = snapshot.cipherState;
    this.#chainingKey = snapshot.chainingKey;
    this.#hash = snapshot.hash;
  }
}

export interface SymmetricSnapshot {
  readonly cipherState: CipherState;
  readonly chainingKey: Uint8Array;
  readonly hash: Uint8Array;
}

/** HKDF of Noise §4.3 with two outputs. */
function deriveTwo(chainingKey: Uint8Array, input: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const secret = hmac(chainingKey, input);
  const first = hmac(secret, Uint8Array.of(1));
  return [first, hmac(secret, first, Uint8Array.of(2))];
}

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key);
  for (const part of parts) {
    mac.update(part);
  }
  return mac.digest();
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(part);
  }
  return hash.digest();
}

function padded(name: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HASH_BYTES);
  bytes.set(name);
  return bytes;
}
