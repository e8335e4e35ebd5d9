/**
 * HandshakeState of the Noise Protocol Framework (revision 34, §5.3) for the one pattern that Nebula uses:
 *
 *   IX:   -> e, s
 *         <- e, ee, se, s, es
 *
 * A translation of the specification's tokens, without I/O and without randomness: the ephemeral key pair comes in with
 * the message that carries it.
 * A message that cannot be read leaves the state as it was, and one that was read can be taken back: an answer of
 * somebody else does not spoil a handshake that waits for the real one. P-256 is Nebula's extension: the Noise specification does not name it.
 */

import { Cipher } from '../../../shared/crypto/aead.ts';
import { Curve } from '../../../shared/crypto/curve.ts';
import { type DhKeyPair, publicKeyBytes, sharedSecret } from '../../../shared/crypto/dh.ts';
import { TAG_BYTES } from '../../../shared/wire/header.ts';
import { SymmetricState } from './symmetricState.ts';

export interface HandshakeKeys {
  readonly cipher: Cipher;
  readonly curve: Curve;
  readonly isInitiator: boolean;
  readonly staticKeys: DhKeyPair;
}

export class HandshakeState {
  readonly #keys: HandshakeKeys;
  readonly #publicKeyBytes: number;
  readonly #symmetric: SymmetricState;
  #ephemeralKeys: DhKeyPair | null = null;
  #remoteEphemeral: Uint8Array | null = null;
  #remoteStatic: Uint8Array | null = null;
  #messageIndex = 0;
  /** What `unread` goes back to; null when the last message was not read. */
  #beforeRead: ReadState | null = null;

  /** `prologue` is empty in Nebula, and mixed in all the same. */
  constructor(keys: HandshakeKeys, prologue: Uint8Array = new Uint8Array(0)) {
    this.#keys = keys;
    this.#publicKeyBytes = publicKeyBytes(keys.curve);
    this.#symmetric = new SymmetricState(protocolName(keys.curve, keys.cipher), keys.cipher);
    this.#symmetric.mixHash(prologue);
  }

  /** The peer's static public key, once a message with it has been read; proven only when message 2 has been read. */
  get remoteStatic(): Uint8Array | null {
    return this.#remoteStatic;
  }

  get hash(): Uint8Array {
    return this.#symmetric.hash;
  }

  /**
   * The next message with `payload` in it, or null when the peer's key is no valid point; then nothing changed.
   * `ephemeralKeys` must be fresh: never used before, never used again.
   */
  writeMessage(payload: Uint8Array, ephemeralKeys: DhKeyPair): Uint8Array | null {
    const snapshot = this.#symmetric.snapshot();
    this.#beforeRead = null;
    this.#ephemeralKeys = ephemeralKeys;
    const parts: Uint8Array[] = [];
    for (const token of this.#tokens()) {
      const part = this.#writeToken(token, ephemeralKeys);
      if (part === null) {
        this.#symmetric.restore(snapshot);
        this.#ephemeralKeys = null;
        return null;
      }
      parts.push(part);
    }
    parts.push(this.#symmetric.encryptAndHash(payload));
    this.#messageIndex++;
    return new Uint8Array(Buffer.concat(parts));
  }

  /** The payload of the peer's message (it may be a view of it), or null when it is malformed or not authentic; then nothing changed. */
  readMessage(message: Uint8Array): Uint8Array | null {
    const before: ReadState = {
      symmetric: this.#symmetric.snapshot(),
      remoteEphemeral: this.#remoteEphemeral,
      remoteStatic: this.#remoteStatic,
    };
    const payload = this.#readTokens(message);
    if (payload === null) {
      this.#restore(before);
      return null;
    }
    this.#messageIndex++;
    this.#beforeRead = before;
    return payload;
  }

  /** Takes back the message that was read last: the state is as if it had never come. */
  unread(): void {
    if (this.#beforeRead === null) {
      throw new Error('the last message of the handshake was not read');
    }
    this.#restore(this.#beforeRead);
    this.#beforeRead = null;
    this.#messageIndex--;
  }

  /** The transport keys after both messages: the first is the initiator's for sending, the second the responder's. */
  split(): readonly [Uint8Array, Uint8Array] {
    if (this.#messageIndex !== PATTERN.length) {
      throw new Error('the handshake is not complete');
    }
    return this.#symmetric.split();
  }

  #restore({ symmetric, remoteEphemeral, remoteStatic }: ReadState): void {
    this.#symmetric.restore(symmetric);
    this.#remoteEphemeral = remoteEphemeral;
    this.#remoteStatic = remoteStatic;
  }

  #tokens(): readonly Token[] {
    if (this.#messageIndex >= PATTERN.length) {
      throw new Error('the handshake has no more messages');
    }
    return PATTERN[this.#messageIndex];
  }

  /** The bytes that the token puts into the message: none for a key agreement. Null when that fails. */
  #writeToken(token: Token, ephemeralKeys: DhKeyPair): Uint8Array | null {
    switch (token) {
      case 'e':
        this.#symmetric.mixHash(ephemeralKeys.publicKey);
        return ephemeralKeys.publicKey;
      case 's':
        return this.#symmetric.encryptAndHash(this.#keys.staticKeys.publicKey);
      default:
        return this.#mixSecret(token) ? NOTHING : null;
    }
  }

  #readTokens(message: Uint8Array): Uint8Array | null {
    let offset = 0;
    for (const token of this.#tokens()) {
      if (token !== 'e' && token !== 's') {
        if (!this.#mixSecret(token)) {
          return null;
        }
        continue;
      }
      const isSealed = token === 's' && this.#symmetric.hasKey();
      const end = offset + this.#publicKeyBytes + (isSealed ? TAG_BYTES : 0);
      if (end > message.length || !this.#readKey(token, new Uint8Array(message.subarray(offset, end)))) {
        return null;
      }
      offset = end;
    }
    return this.#symmetric.decryptAndHash(message.subarray(offset));
  }

  #readKey(token: 'e' | 's', bytes: Uint8Array): boolean {
    if (token === 'e') {
      this.#remoteEphemeral = bytes;
      this.#symmetric.mixHash(bytes);
      return true;
    }
    this.#remoteStatic = this.#symmetric.decryptAndHash(bytes);
    return this.#remoteStatic !== null;
  }

  /** The first letter names the initiator's key, the second the responder's. False when the peer's key is no point. */
  #mixSecret(token: 'ee' | 'se' | 'es'): boolean {
    const { curve, isInitiator, staticKeys } = this.#keys;
    const ownLetter = isInitiator ? token[0] : token[1];
    const remoteLetter = isInitiator ? token[1] : token[0];
    const own = ownLetter === 's' ? staticKeys : this.#ephemeralKeys;
    const remote = remoteLetter === 's' ? this.#remoteStatic : this.#remoteEphemeral;
    if (own === null || remote === null) {
      throw new Error(`the handshake has no keys yet for ${token}`);
    }
    const secret = sharedSecret(curve, own.privateKey, remote);
    if (secret === null) {
      return false;
    }
    this.#symmetric.mixKey(secret);
    return true;
  }
}

interface ReadState {
  readonly symmetric: ReturnType<SymmetricState['snapshot']>;
  readonly remoteEphemeral: Uint8Array | null;
  readonly remoteStatic: Uint8Array | null;
}

export function protocolName(curve: Curve, cipher: Cipher): string {
  const dh = curve === Curve.P256 ? 'P256' : '25519';
  return `Noise_IX_${dh}_${cipher === Cipher.Aes256Gcm ? 'AESGCM' : 'ChaChaPoly'}_SHA256`;
}

type Token = 'e' | 's' | 'ee' | 'se' | 'es';

const PATTERN: readonly (readonly Token[])[] = [
  ['e', 's'],
  ['e', 'ee', 'se', 's', 'es'],
];

const NOTHING = new Uint8Array(0);
