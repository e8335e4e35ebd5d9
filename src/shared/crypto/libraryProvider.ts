/**
 * What all providers by a native library have in common: loading, and the memory that their keys share.
 *
 * The libraries' own files say which functions they need and how a key seals and opens with them. Loading runs foreign
 * code: `providers.ts` does the first load in a process where a crash costs nothing.
 */
import type { Arena } from '../sys/arena.ts';
import { type LibraryFunctions, type LibraryRequest, loadLibrary, type Signatures } from '../sys/library.ts';
import { TAG_BYTES } from '../wire/header.ts';
import { type AeadKey, type AeadProvider, Cipher, checkKey, KEY_BYTES, writeNonce } from './aead.ts';

/** A provider, or null with one reason per library name tried. */
export interface LoadedProvider {
  readonly provider: AeadProvider | null;
  readonly reasons: readonly string[];
}

/** `makeKey` gets 32 bytes of key, which it copies, and the memory for the keys of its arena. `ciphers`: what it offers. */
export function loadLibraryProvider<S extends Signatures>(
  name: string,
  request: LibraryRequest<S>,
  makeKey: (functions: LibraryFunctions<S>, cipher: Cipher, key: Uint8Array, scratch: AeadScratch) => AeadKey,
  ciphers: readonly Cipher[] = Object.values(Cipher),
): LoadedProvider {
  const { library, reasons } = loadLibrary(request);
  if (library === null) {
    return { provider: null, reasons };
  }
  const scratches = new WeakMap<Arena, AeadScratch>();
  const createKey = (cipher: Cipher, key: Uint8Array, arena: Arena): AeadKey => {
    checkKey(name, key);
    const scratch = scratches.get(arena) ?? new AeadScratch(arena);
    scratches.set(arena, scratch);
    return makeKey(library.functions, cipher, key, scratch);
  };
  return { provider: { name, ciphers, createKey }, reasons };
}

/**
 * Native memory that the keys of one provider share within one arena: nonce, a length word, and room to hand a raw key
 * over. Calls are synchronous and the process has one packet thread, so one copy is enough.
 */
export class AeadScratch {
  /** Address of the arena's offset 0. */
  readonly arenaAddress: number;
  /** Address of the nonce; its first four bytes stay zero. */
  readonly nonceAddress: number;
  /** Address of an 8-byte word for a length or a pointer that a library writes. */
  readonly lengthAddress: number;
  /** Address of room for a library's working state of one call. */
  readonly contextAddress: number;
  /** Arena offset of room for a computed tag. */
  readonly tag: number;
  readonly view: DataView;
  readonly #bytes: Uint8Array;
  readonly #nonce: number;
  readonly #length: number;
  readonly #key: number;

  constructor(arena: Arena) {
    this.arenaAddress = arena.address;
    this.#bytes = arena.bytes;
    this.view = arena.view;
    this.#nonce = arena.allocate(16, 16);
    this.nonceAddress = arena.address + this.#nonce;
    this.#length = arena.allocate(8);
    this.lengthAddress = arena.address + this.#length;
    this.#key = arena.allocate(KEY_BYTES);
    this.tag = arena.allocate(TAG_BYTES, 16);
    this.contextAddress = arena.address + arena.allocate(CONTEXT_BYTES, 64);
  }

  /** Writes the nonce of the next call. */
  writeNonce(cipher: Cipher, counterHigh: number, counterLow: number): void {
    writeNonce(cipher, this.view, this.#nonce, counterHigh, counterLow);
  }

  /** The address that the library wrote into the length word. */
  writtenAddress(): number {
    const { view } = this;
    return view.getUint32(this.#length, true) + view.getUint32(this.#length + 4, true) * 0x1_0000_0000;
  }

  /** What `use` answers to the address of a copy of the key, which is then wiped. */
  withKey<T>(key: Uint8Array, use: (address: number) => T): T {
    this.#bytes.set(key, this.#key);
    try {
      return use(this.arenaAddress + this.#key);
    } finally {
      this.#bytes.fill(0, this.#key, this.#key + KEY_BYTES);
    }
  }
}

/** libIPSec_MB's `struct gcm_context_data` has less than 100 bytes. */
const CONTEXT_BYTES = 256;
