/**
 * AES-256-GCM by libIPSec_MB, Intel's multi-buffer library (Debian: libipsec-mb1), the fastest here on x86-64.
 *
 * One direct call per packet. The library exports them once per instruction set; which one the processor can run is
 * read from its flags, and proved by the trial (`trial.ts`), which runs in a process of its own. The names and
 * signatures are those of intel-ipsec-mb.h from 1.3 to 2.0. Its ChaCha20-Poly1305 is behind a job structure that
 * changes from release to release, so that cipher stays with the other libraries.
 *
 * A key's expansion lies in a cell of a slab, wiped when the key is destroyed. The library writes the tag that it
 * computed; it is compared here, all 16 bytes at once.
 */
import { readFileSync } from 'node:fs';
import { arch } from 'node:os';
import type { LibraryCall, LibraryFunctions } from '../sys/library.ts';
import { Slab } from '../sys/slab.ts';
import { TAG_BYTES } from '../wire/header.ts';
import { AeadError, type AeadKey, Cipher } from './aead.ts';
import { type AeadScratch, type LoadedProvider, loadLibraryProvider } from './libraryProvider.ts';
import { IPSEC_MB_PROVIDER_NAME } from './providerNames.ts';

/** Suffixes of the library's functions, best first, with the processor flags (/proc/cpuinfo) that each needs. */
const VARIANTS = [
  { suffix: 'vaes_avx512', flags: ['vaes', 'vpclmulqdq', 'avx512f', 'avx512dq', 'avx512bw', 'avx512vl'] },
  { suffix: 'avx512', flags: ['aes', 'pclmulqdq', 'avx512f', 'avx512dq', 'avx512bw', 'avx512vl', 'bmi2'] },
  { suffix: 'avx_gen4', flags: ['aes', 'pclmulqdq', 'avx2', 'bmi2'] },
  { suffix: 'sse', flags: ['aes', 'pclmulqdq', 'sse4_2'] },
] as const;
export type IpsecMbVariant = (typeof VARIANTS)[number]['suffix'];

/** The variants that a processor with these flags can run, best first. */
export function ipsecMbVariants(flags: readonly string[]): readonly IpsecMbVariant[] {
  return VARIANTS.filter((variant) => variant.flags.every((flag) => flags.includes(flag))).map(({ suffix }) => suffix);
}

/** The flags of this machine's first processor; none on another architecture or where /proc is not readable. */
export function processorFlags(path: string = '/proc/cpuinfo'): readonly string[] {
  if (arch() !== 'x64') {
    return [];
  }
  try {
    return /^flags\s*:\s*(.*)$/m.exec(readFileSync(path, 'utf8'))?.[1].split(' ') ?? [];
  } catch {
    return [];
  }
}

/** The best variant that the library has, of those that may be used here. */
export function loadIpsecMbProvider(
  names: readonly string[] = ['libIPSec_MB.so.2', 'libIPSec_MB.so.1'],
  variants: readonly IpsecMbVariant[] = ipsecMbVariants(processorFlags()),
): LoadedProvider {
  const reasons: string[] = variants.length === 0 ? ['this processor has no instructions for AES-GCM'] : [];
  const slab = new Slab(KEY_DATA_BYTES);
  for (const variant of variants) {
    const loaded = loadLibraryProvider(
      IPSEC_MB_PROVIDER_NAME,
      { names, functions: signaturesOf(variant) },
      (functions, cipher, key, scratch) =>
        new IpsecMbKey(namedFunctions(functions, variant), cipher, key, scratch, slab),
      [Cipher.Aes256Gcm],
    );
    if (loaded.provider !== null) {
      return loaded;
    }
    reasons.push(...loaded.reasons);
  }
  return { provider: null, reasons };
}

class IpsecMbKey implements AeadKey {
  readonly #scratch: AeadScratch;
  readonly #slab: Slab;
  readonly #view: DataView;
  readonly #base: number;
  readonly #nonceAddress: number;
  readonly #context: number;
  readonly #tag: number;
  readonly #tagAddress: number;
  readonly #encrypt: LibraryCall;
  readonly #decrypt: LibraryCall;
  /** Null once destroyed. A number beside null stays boxed: V8 would otherwise box it anew for every call. */
  #keyData: number | null;

  constructor(functions: Functions, cipher: Cipher, key: Uint8Array, scratch: AeadScratch, slab: Slab) {
    if (cipher !== Cipher.Aes256Gcm) {
      throw new AeadError(IPSEC_MB_PROVIDER_NAME, 'only AES-256-GCM is offered, createKey', cipher);
    }
    this.#scratch = scratch;
    this.#slab = slab;
    this.#view = scratch.view;
    this.#base = scratch.arenaAddress;
    this.#nonceAddress = scratch.nonceAddress;
    this.#context = scratch.contextAddress;
    this.#tag = scratch.tag;
    this.#tagAddress = scratch.arenaAddress + scratch.tag;
    this.#encrypt = functions.encrypt;
    this.#decrypt = functions.decrypt;
    const keyData = slab.take();
    this.#keyData = keyData;
    scratch.withKey(key, (address) => functions.expand(address, keyData));
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
    const keyData = this.#keyData;
    const base = this.#base;
    if (keyData === null) {
      throw new AeadError(IPSEC_MB_PROVIDER_NAME, 'seal with a destroyed key', null);
    }
    const out = base + target;
    this.#scratch.writeNonce(Cipher.Aes256Gcm, counterHigh, counterLow);
    this.#encrypt(
      keyData,
      this.#context,
      out,
      base + source,
      length,
      this.#nonceAddress,
      base + adOffset,
      adLength,
      out + length,
      TAG_BYTES,
    );
  }

  open(
    adOffset: number,
    adLength: number,
    offset: number,
    length: number,
    counterHigh: number,
    counterLow: number,
  ): boolean {
    const keyData = this.#keyData;
    if (keyData === null) {
      return false;
    }
    const address = this.#base + offset;
    this.#scratch.writeNonce(Cipher.Aes256Gcm, counterHigh, counterLow);
    this.#decrypt(
      keyData,
      this.#context,
      address,
      address,
      length,
      this.#nonceAddress,
      this.#base + adOffset,
      adLength,
      this.#tagAddress,
      TAG_BYTES,
    );
    return this.#isTag(offset + length);
  }

  destroy(): void {
    if (this.#keyData !== null) {
      this.#slab.giveBack(this.#keyData);
      this.#keyData = null;
    }
  }

  /** Without a branch on secrets: how long it takes does not tell how many bytes were right. */
  #isTag(received: number): boolean {
    const view = this.#view;
    const computed = this.#tag;
    const difference =
      (view.getInt32(received, true) ^ view.getInt32(computed, true)) |
      (view.getInt32(received + 4, true) ^ view.getInt32(computed + 4, true)) |
      (view.getInt32(received + 8, true) ^ view.getInt32(computed + 8, true)) |
      (view.getInt32(received + 12, true) ^ view.getInt32(computed + 12, true));
    return difference === 0;
  }
}

interface Functions {
  /** Key, key data. */
  readonly expand: LibraryCall;
  readonly encrypt: LibraryCall;
  readonly decrypt: LibraryCall;
}

function signaturesOf(variant: IpsecMbVariant): Signatures {
  return {
    [`aes_gcm_pre_256_${variant}`]: ['void', ['uintptr_t', 'uintptr_t']],
    [`aes_gcm_enc_256_${variant}`]: ['void', PACKET_PARAMETERS],
    [`aes_gcm_dec_256_${variant}`]: ['void', PACKET_PARAMETERS],
  };
}

function namedFunctions(functions: LibraryFunctions<Signatures>, variant: IpsecMbVariant): Functions {
  return {
    expand: functions[`aes_gcm_pre_256_${variant}`],
    encrypt: functions[`aes_gcm_enc_256_${variant}`],
    decrypt: functions[`aes_gcm_dec_256_${variant}`],
  };
}

type Signatures = Readonly<Record<string, readonly [string, readonly string[]]>>;

/** Key data, context; target, source, length; nonce (12 bytes); associated data, its length; tag, its length. */
const PACKET_PARAMETERS: readonly string[] = [
  'uintptr_t',
  'uintptr_t',
  'uintptr_t',
  'uintptr_t',
  'uint64_t',
  'uintptr_t',
  'uintptr_t',
  'uint64_t',
  'uintptr_t',
  'uint64_t',
];

/** `struct gcm_key_data` has 1024 bytes in 1.3; twice that leaves room for releases with more powers of the hash key. */
const KEY_DATA_BYTES = 2048;
