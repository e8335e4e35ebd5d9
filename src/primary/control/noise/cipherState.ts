/**
 * CipherState of the Noise Protocol Framework (revision 34, §5.1) with the two ciphers that Nebula uses. Handshakes
 * only: the data path seals with its own keys through `crypto/aead`.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { type Cipher, NONCE_BYTES, nodeCipherName, writeNonce } from '../../../shared/crypto/aead.ts';
import { TAG_BYTES } from '../../../shared/wire/header.ts';

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
    const cipher = createCipheriv(nodeCipherName(this.#cipher), this.#key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(ad);
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    this.#nonce++;
    return ciphertext;
  }

  /** The plaintext, or null when the ciphertext is not authentic; then the nonce has not moved. */
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array | null {
    if (this.#key === null) {
      return ciphertext;
    }
    const bodyBytes = ciphertext.length - TAG_BYTES;
    if (bodyBytes < 0) {
      return null;
    }
    const nonce = this.#nonceBytes();
    const decipher = createDecipheriv(nodeCipherName(this.#cipher), this.#key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(ad);
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

  /** As Noise §12.3 and §12.4 say, which is the nonce of the data path too. */
  #nonceBytes(): Uint8Array {
    const nonce = new Uint8Array(NONCE_BYTES);
    writeNonce(this.#cipher, new DataView(nonce.buffer), 0, 0, this.#nonce);
    return nonce;
  }
}
