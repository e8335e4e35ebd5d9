/**
 * AEAD by BoringSSL, or AWS-LC which has the same interface: one call per packet, the fastest here where it is found.
 *
 * Few distributions install it: Debian as the package `android-libboringssl`, under a path of its own. It exports the
 * names of OpenSSL, so it is loaded with its own symbols bound first. Its EVP_AEAD contexts are stateless: one serves
 * both directions.
 */
import { arch } from 'node:os';
import type { Arena } from '../sys/arena.ts';
import { type LibraryFunctions, loadLibrary } from '../sys/library.ts';
import {
  AeadError,
  type AeadKey,
  type AeadProvider,
  type AeadScratch,
  Cipher,
  checkKey,
  keyBytes,
  nonceBytes,
  ScratchPool,
  tagBytes,
} from './aead.ts';

export const boringProviderName = 'boringssl';

/** The provider, or null with one reason per name tried. */
export function loadBoringProvider(names: readonly string[] = boringNames()): {
  provider: AeadProvider | null;
  reasons: readonly string[];
} {
  const { library, reasons } = loadLibrary({ names, functions: signatures, deep: true });
  if (library === null) {
    return { provider: null, reasons };
  }
  const functions = library.functions;
  const scratches = new ScratchPool();
  const createKey = (cipher: Cipher, key: Uint8Array, arena: Arena): AeadKey => {
    checkKey(boringProviderName, key);
    return new BoringKey(functions, cipher, key, arena, scratches.of(arena));
  };
  return { provider: { name: boringProviderName, createKey }, reasons };
}

class BoringKey implements AeadKey {
  readonly #scratch: AeadScratch;
  readonly #nonceAddress: number;
  readonly #lengthAddress: number;
  readonly #base: number;
  readonly #littleEndian: boolean;
  readonly #seal: Call;
  readonly #open: Call;
  readonly #free: Call;
  /** Null once destroyed. A number beside null stays boxed: V8 would otherwise box it anew for every call. */
  #context: number | null = null;

  constructor(functions: Functions, cipher: Cipher, key: Uint8Array, arena: Arena, scratch: AeadScratch) {
    this.#scratch = scratch;
    this.#base = arena.address;
    this.#nonceAddress = scratch.nonceAddress;
    this.#lengthAddress = scratch.lengthAddress;
    this.#littleEndian = cipher === Cipher.ChaCha20Poly1305;
    this.#seal = functions.EVP_AEAD_CTX_seal;
    this.#open = functions.EVP_AEAD_CTX_open;
    this.#free = functions.EVP_AEAD_CTX_free;
    const gcm = cipher === Cipher.Aes256Gcm;
    const algorithm = gcm ? functions.EVP_aead_aes_256_gcm() : functions.EVP_aead_chacha20_poly1305();
    let context = 0;
    scratch.withKey(key, (address) => {
      context = functions.EVP_AEAD_CTX_new(algorithm, address, keyBytes, tagBytes);
    });
    this.#context = context;
    if (context === 0) {
      throw new AeadError(boringProviderName, 'EVP_AEAD_CTX_new', null);
    }
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
    const context = this.#context;
    const base = this.#base;
    this.#scratch.writeCounter(this.#littleEndian, counterHigh, counterLow);
    const ok =
      context !== null &&
      this.#seal(
        context,
        base + target,
        this.#lengthAddress,
        length + tagBytes,
        this.#nonceAddress,
        nonceBytes,
        base + source,
        length,
        base + adOffset,
        adLength,
      ) === 1;
    if (!ok) {
      throw new AeadError(boringProviderName, 'seal', null);
    }
  }

  open(
    adOffset: number,
    adLength: number,
    offset: number,
    length: number,
    counterHigh: number,
    counterLow: number,
  ): boolean {
    const context = this.#context;
    const address = this.#base + offset;
    this.#scratch.writeCounter(this.#littleEndian, counterHigh, counterLow);
    return (
      context !== null &&
      this.#open(
        context,
        address,
        this.#lengthAddress,
        length + tagBytes,
        this.#nonceAddress,
        nonceBytes,
        address,
        length + tagBytes,
        this.#base + adOffset,
        adLength,
      ) === 1
    );
  }

  destroy(): void {
    if (this.#context !== null) {
      this.#free(this.#context);
      this.#context = null;
    }
  }
}

/** Where distributions put it; the plain names are what an operator would install one as. */
function boringNames(): readonly string[] {
  const triplet = arch() === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  return ['libboringssl.so', 'libcrypto-awslc.so', `/usr/lib/${triplet}/android/libcrypto.so.0`];
}

const signatures = {
  EVP_aead_aes_256_gcm: ['uintptr_t', []],
  EVP_aead_chacha20_poly1305: ['uintptr_t', []],
  EVP_AEAD_CTX_new: ['uintptr_t', ['uintptr_t', 'uintptr_t', 'size_t', 'size_t']],
  EVP_AEAD_CTX_free: ['void', ['uintptr_t']],
  EVP_AEAD_CTX_seal: [
    'int',
    [
      'uintptr_t',
      'uintptr_t',
      'uintptr_t',
      'size_t',
      'uintptr_t',
      'size_t',
      'uintptr_t',
      'size_t',
      'uintptr_t',
      'size_t',
    ],
  ],
  EVP_AEAD_CTX_open: [
    'int',
    [
      'uintptr_t',
      'uintptr_t',
      'uintptr_t',
      'size_t',
      'uintptr_t',
      'size_t',
      'uintptr_t',
      'size_t',
      'uintptr_t',
      'size_t',
    ],
  ],
} as const;

type Functions = LibraryFunctions<typeof signatures>;
type Call = (...values: (number | string | null)[]) => number;
