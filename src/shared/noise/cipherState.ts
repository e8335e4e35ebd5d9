/**
 * CipherState of the Noise Protocol Framework (revision 34, §5.1) with the two ciphers that Nebula uses. Handshakes
 * only: the data path seals with its own keys through `crypto/aead`.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { Cipher } from '../crypto/aead.ts';

export const NOISE_TAG_BYTES = 16;

export class CipherState {
  readonly #cipher: Cipher;
  #key: Uint8Array | null = null;
  /** A handshake encrypts at most twice with one key, so a Number is a wide enough counter. */
  #nonce = 0;

  constructor(cipher: Cipher) {
    this.#cipher = cipher;
  }

  /** 32 bytes; the nonce starts over at 0. */
  initializeKey(key: Uint8Array): void {
    this.#key = key;
    this.#nonce = 0;
  }

  hasKey(): boolean {
    return this.#key !== null;
  }

  /** Ciphertext with its tag, or the plaintext itself while there is no key. */
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    if (this.#key === null) {
      return plaintext;
    }
    const nonce = this.#nonceBytes();
    const cipher =
      this.#cipher === Cipher.Aes256Gcm
        ? createCipheriv('aes-256-gcm', this.#key, nonce)
        : createCipheriv('chacha20-poly1305', this.#key, nonce, { authTagLength: NOISE_TAG_BYTES });
    cipher.setAAD(ad, { plaintextLength: plaintext.length });
    const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    this.#nonce++;
    return Buffer.concat([body, cipher.getAuthTag()]);
  }

  /** The plaintext, or null when the ciphertext is not authentic; then the nonce has not moved. */
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array | null {
    if (this.#key === null) {
      return ciphertext;
    }
    const bodyBytes = ciphertext.length - NOISE_TAG_BYTES;
    if (bodyBytes < 0) {
      return null;
    }
    const nonce = this.#nonceBytes();
    const decipher =
      this.#cipher === Cipher.Aes256Gcm
        ? createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: NOISE_TAG_BYTES })
        : createDecipheriv('chacha20-poly1305', this.#key, nonce, { authTagLength: NOISE_TAG_BYTES });
    decipher.setAAD(ad, { plaintextLength: bodyBytes });
    decipher.setAuthTag(ciphertext.subarray(bodyBytes));
    try {
      const plaintext = Buffer.concat([decipher.update(ciphertext.subarray(0, bodyBytes)), decipher.final()]);
      this.#nonce++;
      return plaintext;
    } catch {
      return null;
    }
  }

  copy(): CipherState {
    const copy = new CipherState(this.#cipher);
    copy.#key = this.#key;
    copy.#nonce = this.#nonce;
    return copy;
  }

  /** Four zero bytes, then the counter: big endian for AESGCM, little endian for ChaChaPoly (Noise §12.3, §12.4). */
  #nonceBytes(): Uint8Array {
    const nonce = new Uint8Array(12);
    const view = new DataView(nonce.buffer);
    if (this.#cipher === Cipher.Aes256Gcm) {
      view.setUint32(8, this.#nonce);
    } else {
      view.setUint32(4, this.#nonce, true);
    }
    return nonce;
  }
}
