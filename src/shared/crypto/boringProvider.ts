/**
 * AEAD by BoringSSL, or AWS-LC which has the same interface: one call per packet, the fastest here where it is found.
 *
 * Few distributions install it: Debian as the package `android-libboringssl`, under a path of its own. It exports the
 * names of OpenSSL, so it is loaded with its own symbols bound first. Its EVP_AEAD contexts are stateless: one serves
 * both directions.
 */
import { arch } from 'node:os';
import type { LibraryCall, LibraryFunctions } from '../sys/library.ts';
import { TAG_BYTES } from '../wire/header.ts';
import { AeadError, type AeadKey, Cipher, KEY_BYTES, NONCE_BYTES } from './aead.ts';
import { type AeadScratch, type LoadedProvider, loadLibraryProvider } from './libraryProvider.ts';
import { BORING_PROVIDER_NAME } from './providerNames.ts';

export function loadBoringProvider(): LoadedProvider {
  return loadLibraryProvider(
    BORING_PROVIDER_NAME,
    { names: boringNames(), functions: signatures, deep: true },
    (functions, cipher, key, scratch) => new BoringKey(functions, cipher, key, scratch),
  );
}

class BoringKey implements AeadKey {
  readonly #scratch: AeadScratch;
  readonly #nonceAddress: number;
  readonly #lengthAddress: number;
  readonly #base: number;
  readonly #cipher: Cipher;
  readonly #seal: LibraryCall;
  readonly #open: LibraryCall;
  readonly #free: LibraryCall;
  /** Null once destroyed. A number beside null stays boxed: V8 would otherwise box it anew for every call. */
  #context: number | null = null;

  constructor(functions: Functions, cipher: Cipher, key: Uint8Array, scratch: AeadScratch) {
    this.#scratch = scratch;
    this.#base = scratch.arenaAddress;
    this.#nonceAddress = scratch.nonceAddress;
    this.#lengthAddress = scratch.lengthAddress;
    this.#cipher = cipher;
    this.#seal = functions.EVP_AEAD_CTX_seal;
    this.#open = functions.EVP_AEAD_CTX_open;
    this.#free = functions.EVP_AEAD_CTX_free;
    const gcm = cipher === Cipher.Aes256Gcm;
    const algorithm = gcm ? functions.EVP_aead_aes_256_gcm() : functions.EVP_aead_chacha20_poly1305();
    this.#context = scratch.withKey(key, (address) =>
      functions.EVP_AEAD_CTX_new(algorithm, address, KEY_BYTES, TAG_BYTES),
    );
    if (this.#context === 0) {
      throw new AeadError(BORING_PROVIDER_NAME, 'EVP_AEAD_CTX_new', null);
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
    this.#scratch.writeNonce(this.#cipher, counterHigh, counterLow);
    const ok =
      context !== null &&
      this.#seal(
        context,
        base + target,
        this.#lengthAddress,
        length + TAG_BYTES,
        this.#nonceAddress,
        NONCE_BYTES,
        base + source,
        length,
        base + adOffset,
        adLength,
      ) === 1;
    if (!ok) {
      throw new AeadError(BORING_PROVIDER_NAME, 'seal', null);
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
    this.#scratch.writeNonce(this.#cipher, counterHigh, counterLow);
    return (
      context !== null &&
      this.#open(
        context,
        address,
        this.#lengthAddress,
        length + TAG_BYTES,
        this.#nonceAddress,
        NONCE_BYTES,
        address,
        length + TAG_BYTES,
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

/** Context; target, where its length is written, room there; then nonce, source and associated data with their lengths. */
const PACKET_PARAMETERS = [
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
] as const;

const signatures = {
  EVP_aead_aes_256_gcm: ['uintptr_t', []],
  EVP_aead_chacha20_poly1305: ['uintptr_t', []],
  EVP_AEAD_CTX_new: ['uintptr_t', ['uintptr_t', 'uintptr_t', 'size_t', 'size_t']],
  EVP_AEAD_CTX_free: ['void', ['uintptr_t']],
  EVP_AEAD_CTX_seal: ['int', PACKET_PARAMETERS],
  EVP_AEAD_CTX_open: ['int', PACKET_PARAMETERS],
} as const;

type Functions = LibraryFunctions<typeof signatures>;
