/**
 * The contract of the packet ciphers: keys that seal and open packets inside an arena.
 *
 * `datapath/seal` and `datapath/open` (and the primary for its own packets) hold one AeadKey per tunnel and direction;
 * `providers.ts` chooses who implements it. Memory is named by arena offset, the nonce by its counter, so a call needs
 * no object. Who may use which counter is not decided here: a counter must never be sealed twice with one key.
 */
import type { Arena } from '../sys/arena.ts';

/** The ciphers of `cipher: aes` and `cipher: chachapoly` (Nebula protocol: keys, nonce, AEAD). */
export const Cipher = { Aes256Gcm: 0, ChaCha20Poly1305: 1 } as const;
export type Cipher = (typeof Cipher)[keyof typeof Cipher];

/** Bytes of every key, of the authentication tag behind every ciphertext, and of the nonce. */
export const keyBytes = 32;
export const tagBytes = 16;
export const nonceBytes = 12;

/** One key with its native context. Not shared between tunnels; used by one thread. */
export interface AeadKey {
  /**
   * Encrypts `length` bytes at arena offset `source` to `target` (may equal `source`, must not overlap it otherwise) and
   * puts the tag behind them. The nonce is 4 zero bytes and the 64-bit counter, big endian for AES, little for ChaCha;
   * its halves may be signed numbers, which are not boxed on their way from 2^31 on.
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

/** Refuses keys of a wrong length before they reach native code. */
export function checkKey(provider: string, key: Uint8Array): void {
  if (key.length !== keyBytes) {
    throw new AeadError(provider, `a key must have ${keyBytes} bytes, createKey`, key.length);
  }
}

/**
 * Native memory that the keys of one provider share within one arena: nonce, a length word, and room to hand a raw key
 * over. Calls are synchronous and the process has one packet thread, so one copy is enough.
 */
export class AeadScratch {
  readonly view: DataView;
  /** Address of the nonce; its first four bytes stay zero. */
  readonly nonceAddress: number;
  /** Address of an 8-byte word for a length or a pointer that a library writes. */
  readonly lengthAddress: number;
  readonly #nonce: number;
  readonly #length: number;
  readonly #key: number;
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.view = arena.view;
    this.#nonce = arena.allocate(16, 16);
    this.nonceAddress = arena.address + this.#nonce;
    this.#length = arena.allocate(8);
    this.lengthAddress = arena.address + this.#length;
    this.#key = arena.allocate(keyBytes);
  }

  /** Writes the 64-bit counter of the next call's nonce: little endian for ChaCha, big endian for AES. */
  writeCounter(littleEndian: boolean, high: number, low: number): void {
    if (littleEndian) {
      this.view.setUint32(this.#nonce + 4, low, true);
      this.view.setUint32(this.#nonce + 8, high, true);
    } else {
      this.view.setUint32(this.#nonce + 4, high);
      this.view.setUint32(this.#nonce + 8, low);
    }
  }

  /** The address that the library wrote into the length word. */
  writtenAddress(): number {
    const view = this.view;
    return view.getUint32(this.#length, true) + view.getUint32(this.#length + 4, true) * 0x1_0000_0000;
  }

  /** Runs `use` with the address of a copy of the key, and wipes the copy. */
  withKey(key: Uint8Array, use: (address: number) => void): void {
    const bytes = this.#arena.bytes;
    bytes.set(key, this.#key);
    try {
      use(this.#arena.address + this.#key);
    } finally {
      bytes.fill(0, this.#key, this.#key + keyBytes);
    }
  }
}

/** Hands out one scratch per arena. */
export class ScratchPool {
  readonly #byArena: WeakMap<Arena, AeadScratch> = new WeakMap();

  of(arena: Arena): AeadScratch {
    let scratch = this.#byArena.get(arena);
    if (scratch === undefined) {
      scratch = new AeadScratch(arena);
      this.#byArena.set(arena, scratch);
    }
    return scratch;
  }
}
