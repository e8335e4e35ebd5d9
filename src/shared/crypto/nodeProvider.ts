/**
 * AEAD by node:crypto: the provider that is always there, and the oracle the others are tested against.
 *
 * It builds a cipher object per packet (about 5 µs, ten times libgcrypt), so it is the last choice. Loads nothing.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Arena } from '../sys/arena.ts';
import { TAG_BYTES } from '../wire/header.ts';
import {
  AeadError,
  type AeadKey,
  type AeadProvider,
  Cipher,
  checkKey,
  NONCE_BYTES,
  nodeCipherName,
  writeNonce,
} from './aead.ts';
import { NODE_PROVIDER_NAME } from './providerNames.ts';

export function createNodeProvider(): AeadProvider {
  return {
    name: NODE_PROVIDER_NAME,
    ciphers: Object.values(Cipher),
    createKey(cipher: Cipher, key: Uint8Array, arena: Arena): AeadKey {
      checkKey(NODE_PROVIDER_NAME, key);
      return new NodeKey(cipher, key, arena);
    },
  };
}

class NodeKey implements AeadKey {
  readonly #cipher: Cipher;
  readonly #algorithm: 'aes-256-gcm';
  readonly #key: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #nonce: Uint8Array = new Uint8Array(NONCE_BYTES);
  readonly #nonceView: DataView = new DataView(this.#nonce.buffer);
  #isDestroyed = false;

  constructor(cipher: Cipher, key: Uint8Array, arena: Arena) {
    this.#cipher = cipher;
    this.#algorithm = nodeCipherName(cipher);
    this.#key = Uint8Array.from(key);
    this.#bytes = arena.bytes;
  }

  seal(
    adOffset: number,
    adLength: number,
    source: number,
    length: number,
    target: number,
    counterHigh: number,
    counterLow: number,
  ): void {
    if (this.#isDestroyed) {
      throw new AeadError(NODE_PROVIDER_NAME, 'seal with a destroyed key', null);
    }
    writeNonce(this.#cipher, this.#nonceView, 0, counterHigh, counterLow);
    const bytes = this.#bytes;
    const cipher = createCipheriv(this.#algorithm, this.#key, this.#nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(bytes.subarray(adOffset, adOffset + adLength));
    const sealed = cipher.update(bytes.subarray(source, source + length));
    cipher.final();
    bytes.set(sealed, target);
    bytes.set(cipher.getAuthTag(), target + length);
  }

  open(
    adOffset: number,
    adLength: number,
    offset: number,
    length: number,
    counterHigh: number,
    counterLow: number,
  ): boolean {
    if (this.#isDestroyed) {
      return false;
    }
    writeNonce(this.#cipher, this.#nonceView, 0, counterHigh, counterLow);
    const bytes = this.#bytes;
    const decipher = createDecipheriv(this.#algorithm, this.#key, this.#nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(bytes.subarray(adOffset, adOffset + adLength));
    decipher.setAuthTag(bytes.subarray(offset + length, offset + length + TAG_BYTES));
    const plain = decipher.update(bytes.subarray(offset, offset + length));
    try {
      decipher.final();
    } catch {
      return false;
    }
    bytes.set(plain, offset);
    return true;
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#key.fill(0);
  }
}
