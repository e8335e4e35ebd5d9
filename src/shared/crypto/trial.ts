/**
 * The trial every provider must pass before it may encrypt a packet: known answers, forgeries refused, and its speed.
 *
 * Called by `providerProbe.ts` in a process of its own. The known answers are packets of the Nebula protocol (header
 * as associated data, counter as nonce), so a provider with another nonce order or tag place fails here.
 */
import { Arena } from '../sys/arena.ts';
import { TAG_BYTES } from '../wire/header.ts';
import type { AeadKey, AeadProvider, Cipher } from './aead.ts';
import { AEAD_VECTORS, type AeadVector } from './vectors.ts';

/** Nanoseconds per packet, the best of several rounds of sealing and opening: the least disturbed by other processes. */
export interface Speed {
  readonly smallNs: number;
  readonly largeNs: number;
}

/** What is wrong with the provider's implementation of a cipher, or null: vectors first, then against `oracle`. */
export function checkProvider(provider: AeadProvider, cipher: Cipher, oracle: AeadProvider): string | null {
  const arena = new Arena(65536);
  for (const vector of AEAD_VECTORS) {
    if (vector.cipher !== cipher) {
      continue;
    }
    const key = provider.createKey(cipher, vector.key, arena);
    const fault = checkVector(key, arena, vector);
    key.destroy();
    if (fault !== null) {
      return `${vector.name}: ${fault}`;
    }
  }
  return compareWith(oracle, provider, cipher, arena);
}

/** Times one cipher. `nowNs` is a monotonic clock in nanoseconds. Takes a few milliseconds. */
export function timeProvider(provider: AeadProvider, cipher: Cipher, nowNs: () => number): Speed {
  const arena = new Arena(65536);
  const key = provider.createKey(cipher, new Uint8Array(32).fill(7), arena);
  sealAndOpen(key, WARM_UP_PACKETS, SMALL_BYTES);
  let smallNs = Number.POSITIVE_INFINITY;
  let largeNs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const startNs = nowNs();
    sealAndOpen(key, ROUND_PACKETS, SMALL_BYTES);
    const middleNs = nowNs();
    sealAndOpen(key, ROUND_PACKETS, LARGE_BYTES);
    smallNs = Math.min(smallNs, (middleNs - startNs) / (2 * ROUND_PACKETS));
    largeNs = Math.min(largeNs, (nowNs() - middleNs) / (2 * ROUND_PACKETS));
  }
  key.destroy();
  return { smallNs, largeNs };
}

function checkVector(key: AeadKey, arena: Arena, vector: AeadVector): string | null {
  const { ad, plain, sealed, counterHigh, counterLow } = vector;
  const { bytes } = arena;
  const length = plain.length;
  const end = TEXT + length + TAG_BYTES;
  // Out of place, in place, and opened again; then every kind of forgery.
  for (const target of [TEXT, OTHER]) {
    bytes.fill(0);
    bytes.set(ad, AD);
    bytes.set(plain, TEXT);
    key.seal(AD, ad.length, TEXT, length, target, counterHigh, counterLow);
    if (!equals(bytes, target, sealed)) {
      return 'sealed bytes differ';
    }
  }
  bytes.set(sealed, TEXT);
  if (!key.open(AD, ad.length, TEXT, length, counterHigh, counterLow) || !equals(bytes, TEXT, plain)) {
    return 'a genuine packet is refused or changed';
  }
  for (const spoilt of [AD, end - 1, end - TAG_BYTES, length > 0 ? TEXT : end - 1]) {
    bytes.set(sealed, TEXT);
    bytes[spoilt] ^= 0x40;
    const accepted = key.open(AD, ad.length, TEXT, length, counterHigh, counterLow);
    bytes.set(ad, AD);
    if (accepted) {
      return 'a forged packet is accepted';
    }
  }
  bytes.set(sealed, TEXT);
  if (key.open(AD, ad.length, TEXT, length, counterHigh ^ 1, counterLow)) {
    return 'a wrong counter is accepted';
  }
  return null;
}

/** Lengths around the block sizes of vectorised code, up to the largest packet, sealed by both and compared. */
function compareWith(oracle: AeadProvider, provider: AeadProvider, cipher: Cipher, arena: Arena): string | null {
  const rawKey = Uint8Array.from({ length: 32 }, (_, index) => 0xa0 ^ (index * 5));
  const expected = oracle.createKey(cipher, rawKey, arena);
  const actual = provider.createKey(cipher, rawKey, arena);
  const { bytes } = arena;
  for (let index = AD; index < TEXT + MAX_LENGTH; index++) {
    bytes[index] = index * 167 + (index >> 8);
  }
  let fault: string | null = null;
  for (const length of [1, 15, 16, 17, 63, 64, 65, 127, 129, 255, 257, 511, 1023, 1300, MAX_LENGTH]) {
    expected.seal(AD, 16, TEXT, length, OTHER, length, ~length >>> 0);
    actual.seal(AD, 16, TEXT, length, THIRD, length, ~length >>> 0);
    if (!equals(bytes, THIRD, bytes.subarray(OTHER, OTHER + length + TAG_BYTES))) {
      fault = `${length} bytes: sealed bytes differ from those of ${oracle.name}`;
      break;
    }
  }
  expected.destroy();
  actual.destroy();
  return fault;
}

function sealAndOpen(key: AeadKey, count: number, length: number): void {
  for (let counter = 1; counter <= count; counter++) {
    key.seal(AD, 16, TEXT, length, OTHER, 0, counter);
    if (!key.open(AD, 16, OTHER, length, 0, counter)) {
      throw new Error('own packet refused while timing');
    }
  }
}

function equals(bytes: Uint8Array, offset: number, expected: Uint8Array): boolean {
  return expected.every((value, index) => bytes[offset + index] === value);
}

/** Where things lie in the trial's arena. A provider's own scratch is allocated from the start, far below. */
const AD = 1024;
const TEXT = 4096;
const OTHER = 16384;
const THIRD = 32768;
const MAX_LENGTH = 9001;

/** Plaintext sizes that are timed. */
const SMALL_BYTES = 100;
const LARGE_BYTES = 1300;

const WARM_UP_PACKETS = 1500;
const ROUND_PACKETS = 16;
const ROUNDS = 24;
