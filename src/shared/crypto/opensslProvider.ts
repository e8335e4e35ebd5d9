/**
 * AEAD by OpenSSL's EVP interface: from the node binary itself, or from the system's libcrypto.so.3.
 *
 * Each key has one context per direction; per packet only the nonce is set. About 0.5 µs of each packet is EVP's fixed
 * cost (2-core x86-64, OpenSSL 3.0, 2026). libcrypto.so.3 is loaded with its own symbols bound first, because node
 * exports the same names.
 */
import type { LibraryCall, LibraryFunctions } from '../sys/library.ts';
import { TAG_BYTES } from '../wire/header.ts';
import { AeadError, type AeadKey, Cipher } from './aead.ts';
import { type AeadScratch, type LoadedProvider, loadLibraryProvider } from './libraryProvider.ts';
import { opensslProviderNames } from './providerNames.ts';

export type OpensslProviderName = (typeof opensslProviderNames)[keyof typeof opensslProviderNames];

export function loadOpensslProvider(name: OpensslProviderName): LoadedProvider {
  const isNode = name === opensslProviderNames.node;
  return loadLibraryProvider(
    name,
    { names: isNode ? [null] : ['libcrypto.so.3'], functions: signatures, deep: !isNode, reject: rejectVersion },
    (functions, cipher, key, scratch) => new EvpKey(name, functions, cipher, key, scratch),
  );
}

class EvpKey implements AeadKey {
  readonly #name: string;
  readonly #scratch: AeadScratch;
  readonly #nonceAddress: number;
  readonly #lengthAddress: number;
  readonly #base: number;
  readonly #cipher: Cipher;
  readonly #init: LibraryCall;
  readonly #finish: LibraryCall;
  readonly #update: LibraryCall;
  readonly #control: LibraryCall;
  readonly #free: LibraryCall;
  /** Contexts, null once destroyed. A number beside null stays boxed: V8 would otherwise box it anew for every call. */
  #sealing: number | null = null;
  #opening: number | null = null;

  constructor(name: string, functions: Functions, cipher: Cipher, key: Uint8Array, scratch: AeadScratch) {
    this.#name = name;
    this.#scratch = scratch;
    this.#base = scratch.arenaAddress;
    this.#nonceAddress = scratch.nonceAddress;
    this.#lengthAddress = scratch.lengthAddress;
    this.#cipher = cipher;
    this.#init = functions.EVP_CipherInit_ex;
    this.#update = functions.EVP_CipherUpdate;
    this.#finish = functions.EVP_CipherFinal_ex;
    this.#control = functions.EVP_CIPHER_CTX_ctrl;
    this.#free = functions.EVP_CIPHER_CTX_free;
    const type = cipher === Cipher.Aes256Gcm ? functions.EVP_aes_256_gcm() : functions.EVP_chacha20_poly1305();
    try {
      scratch.withKey(key, (address) => {
        this.#sealing = newContext(name, functions, type, address, 1);
        this.#opening = newContext(name, functions, type, address, 0);
      });
    } catch (error) {
      this.destroy();
      throw error;
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
    const context = this.#sealing;
    const written = this.#lengthAddress;
    const out = this.#base + target;
    if (context === null) {
      throw new AeadError(this.#name, 'seal with a destroyed key', null);
    }
    let ok = this.#start(context, adOffset, adLength, counterHigh, counterLow);
    if (length > 0) {
      ok = ok && this.#update(context, out, written, this.#base + source, length) === 1;
    }
    ok = ok && this.#finish(context, out + length, written) === 1;
    ok = ok && this.#control(context, CONTROL_READ_TAG, TAG_BYTES, out + length) === 1;
    if (!ok) {
      throw new AeadError(this.#name, 'seal', null);
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
    const context = this.#opening;
    const address = this.#base + offset;
    if (context === null || !this.#start(context, adOffset, adLength, counterHigh, counterLow)) {
      return false;
    }
    if (length > 0 && this.#update(context, address, this.#lengthAddress, address, length) !== 1) {
      return false;
    }
    return (
      this.#control(context, CONTROL_SET_TAG, TAG_BYTES, address + length) === 1 &&
      this.#finish(context, address + length, this.#lengthAddress) === 1
    );
  }

  destroy(): void {
    if (this.#sealing !== null) {
      this.#free(this.#sealing);
      this.#sealing = null;
    }
    if (this.#opening !== null) {
      this.#free(this.#opening);
      this.#opening = null;
    }
  }

  #start(context: number, adOffset: number, adLength: number, counterHigh: number, counterLow: number): boolean {
    this.#scratch.writeNonce(this.#cipher, counterHigh, counterLow);
    if (this.#init(context, 0, 0, 0, this.#nonceAddress, KEEP_DIRECTION) !== 1) {
      return false;
    }
    return adLength === 0 || this.#update(context, 0, this.#lengthAddress, this.#base + adOffset, adLength) === 1;
  }
}

function newContext(name: string, functions: Functions, type: number, key: number, direction: number): number {
  const context = functions.EVP_CIPHER_CTX_new();
  if (context === 0 || functions.EVP_CipherInit_ex(context, type, 0, key, 0, direction) !== 1) {
    functions.EVP_CIPHER_CTX_free(context);
    throw new AeadError(name, 'EVP_CipherInit_ex', null);
  }
  return context;
}

/** OpenSSL_version_num is 0xMNN00PP0 since 3.0. BoringSSL and LibreSSL call themselves 1.x or 2.x. */
function rejectVersion(functions: Functions): string | null {
  const major = functions.OpenSSL_version_num() >>> 28;
  return major === 3 ? null : `major version ${major}, not 3`;
}

const signatures = {
  OpenSSL_version_num: ['uint', []],
  EVP_aes_256_gcm: ['uintptr_t', []],
  EVP_chacha20_poly1305: ['uintptr_t', []],
  EVP_CIPHER_CTX_new: ['uintptr_t', []],
  EVP_CIPHER_CTX_free: ['void', ['uintptr_t']],
  EVP_CIPHER_CTX_ctrl: ['int', ['uintptr_t', 'int', 'int', 'uintptr_t']],
  EVP_CipherInit_ex: ['int', ['uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'int']],
  EVP_CipherUpdate: ['int', ['uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'int']],
  EVP_CipherFinal_ex: ['int', ['uintptr_t', 'uintptr_t', 'uintptr_t']],
} as const;

type Functions = LibraryFunctions<typeof signatures>;

const KEEP_DIRECTION = -1;
const CONTROL_READ_TAG = 0x10;
const CONTROL_SET_TAG = 0x11;
