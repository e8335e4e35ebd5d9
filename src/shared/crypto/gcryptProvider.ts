/**
 * AEAD by libgcrypt (libgcrypt.so.20, on nearly every Linux because systemd and apt need it).
 *
 * Four calls per packet: nonce, associated data, data, tag. One handle per key, re-used for every packet; the library
 * wipes it on close. Constants are those of gcrypt.h, whose ABI has been stable since 1.6 (2013).
 */
import { type LibraryCall, type LibraryFunctions, readCString } from '../sys/library.ts';
import { TAG_BYTES } from '../wire/header.ts';
import { AeadError, type AeadKey, Cipher, KEY_BYTES, NONCE_BYTES } from './aead.ts';
import { type AeadScratch, type LoadedProvider, loadLibraryProvider } from './libraryProvider.ts';
import { GCRYPT_PROVIDER_NAME } from './providerNames.ts';

/** `names`: what the dynamic loader is asked for, in this order. */
export function loadGcryptProvider(names: readonly string[] = ['libgcrypt.so.20']): LoadedProvider {
  return loadLibraryProvider(
    GCRYPT_PROVIDER_NAME,
    { names, functions: signatures, reject: rejectVersion },
    (functions, cipher, key, scratch) => new GcryptKey(functions, cipher, key, scratch),
  );
}

class GcryptKey implements AeadKey {
  readonly #scratch: AeadScratch;
  readonly #nonceAddress: number;
  readonly #base: number;
  readonly #cipher: Cipher;
  readonly #setIv: LibraryCall;
  readonly #authenticate: LibraryCall;
  readonly #encrypt: LibraryCall;
  readonly #decrypt: LibraryCall;
  readonly #readTag: LibraryCall;
  readonly #checkTag: LibraryCall;
  readonly #close: LibraryCall;
  /** Null once destroyed. A number beside null stays boxed: V8 would otherwise box it anew for every call. */
  #handle: number | null = null;

  constructor(functions: Functions, cipher: Cipher, key: Uint8Array, scratch: AeadScratch) {
    this.#scratch = scratch;
    this.#base = scratch.arenaAddress;
    this.#nonceAddress = scratch.nonceAddress;
    this.#cipher = cipher;
    this.#setIv = functions.gcry_cipher_setiv;
    this.#authenticate = functions.gcry_cipher_authenticate;
    this.#encrypt = functions.gcry_cipher_encrypt;
    this.#decrypt = functions.gcry_cipher_decrypt;
    this.#readTag = functions.gcry_cipher_gettag;
    this.#checkTag = functions.gcry_cipher_checktag;
    this.#close = functions.gcry_cipher_close;
    const gcm = cipher === Cipher.Aes256Gcm;
    const algorithm = gcm ? ALGORITHM_AES256 : ALGORITHM_CHACHA20;
    const mode = gcm ? MODE_GCM : MODE_POLY1305;
    succeed(functions.gcry_cipher_open(scratch.lengthAddress, algorithm, mode, 0), 'gcry_cipher_open');
    const handle = scratch.writtenAddress();
    this.#handle = handle;
    const code = scratch.withKey(key, (address) => functions.gcry_cipher_setkey(handle, address, KEY_BYTES));
    if (code !== 0) {
      this.destroy();
    }
    succeed(code, 'gcry_cipher_setkey');
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
    const handle = this.#handle;
    const base = this.#base;
    if (handle === null) {
      throw new AeadError(GCRYPT_PROVIDER_NAME, 'seal with a destroyed key', null);
    }
    let code = this.#start(handle, adOffset, adLength, counterHigh, counterLow);
    if (code === 0 && length > 0) {
      code = this.#encrypt(handle, base + target, length, base + source, length);
    }
    if (code === 0) {
      code = this.#readTag(handle, base + target + length, TAG_BYTES);
    }
    if (code !== 0) {
      throw new AeadError(GCRYPT_PROVIDER_NAME, 'seal', code);
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
    const handle = this.#handle;
    if (handle === null || this.#start(handle, adOffset, adLength, counterHigh, counterLow) !== 0) {
      return false;
    }
    const address = this.#base + offset;
    if (length > 0 && this.#decrypt(handle, address, length, 0, 0) !== 0) {
      return false;
    }
    return this.#checkTag(handle, address + length, TAG_BYTES) === 0;
  }

  destroy(): void {
    if (this.#handle !== null) {
      this.#close(this.#handle);
      this.#handle = null;
    }
  }

  #start(handle: number, adOffset: number, adLength: number, counterHigh: number, counterLow: number): number {
    this.#scratch.writeNonce(this.#cipher, counterHigh, counterLow);
    const code = this.#setIv(handle, this.#nonceAddress, NONCE_BYTES);
    return code !== 0 || adLength === 0 ? code : this.#authenticate(handle, this.#base + adOffset, adLength);
  }
}

/** gcry_check_version must be the first call: it initialises the library. Chacha20-Poly1305 came with 1.7. */
function rejectVersion(functions: Functions): string | null {
  const found = readCString(functions.gcry_check_version(MINIMUM_VERSION));
  if (found === '') {
    return `older than ${MINIMUM_VERSION}`;
  }
  functions.gcry_control(CONTROL_DISABLE_SECURE_MEMORY, 0);
  functions.gcry_control(CONTROL_INITIALIZATION_FINISHED, 0);
  return null;
}

function succeed(code: number, call: string): void {
  if (code !== 0) {
    throw new AeadError(GCRYPT_PROVIDER_NAME, call, code);
  }
}

const signatures = {
  gcry_check_version: ['uintptr_t', ['str']],
  gcry_control: ['uint', ['int', 'int']],
  gcry_cipher_open: ['uint', ['uintptr_t', 'int', 'int', 'uint']],
  gcry_cipher_close: ['void', ['uintptr_t']],
  gcry_cipher_setkey: ['uint', ['uintptr_t', 'uintptr_t', 'size_t']],
  gcry_cipher_setiv: ['uint', ['uintptr_t', 'uintptr_t', 'size_t']],
  gcry_cipher_authenticate: ['uint', ['uintptr_t', 'uintptr_t', 'size_t']],
  gcry_cipher_encrypt: ['uint', ['uintptr_t', 'uintptr_t', 'size_t', 'uintptr_t', 'size_t']],
  gcry_cipher_decrypt: ['uint', ['uintptr_t', 'uintptr_t', 'size_t', 'uintptr_t', 'size_t']],
  gcry_cipher_gettag: ['uint', ['uintptr_t', 'uintptr_t', 'size_t']],
  gcry_cipher_checktag: ['uint', ['uintptr_t', 'uintptr_t', 'size_t']],
} as const;

type Functions = LibraryFunctions<typeof signatures>;

const MINIMUM_VERSION = '1.7.0';
const CONTROL_DISABLE_SECURE_MEMORY = 37;
const CONTROL_INITIALIZATION_FINISHED = 38;
const ALGORITHM_AES256 = 9;
const ALGORITHM_CHACHA20 = 316;
const MODE_GCM = 9;
const MODE_POLY1305 = 10;
