/**
 * The trial every provider must pass before it may encrypt a packet: known answers, forgeries refused, and its speed.
 *
 * Called by `providerProbe.ts` in a process of its own. The known answers are packets of the Nebula protocol (header
 * as associated data, counter as nonce), so a provider with another nonce order or tag place fails here.
 */
import { Arena } from '../sys/arena.ts';
import { type AeadKey, type AeadProvider, type Cipher, tagBytes } from './aead.ts';
import { type AeadVector, aeadVectors } from './vectors.ts';

/** Nanoseconds per packet, the best of several rounds of sealing and opening: the least disturbed by other processes. */
export interface Speed {
  readonly smallNs: number;
  readonly largeNs: number;
}

/** What is wrong with the provider's implementation of a cipher, or null: vectors first, then against `oracle`. */
export function checkProvider(provider: AeadProvider, cipher: Cipher, oracle: AeadProvider): string | null {
  const arena = new Arena(65536);
  for (const vector of aeadVectors) {
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
  sealAndOpen(key, WarmUpPackets, SmallBytes);
  let smallNs = Number.POSITIVE_INFINITY;
  let largeNs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < Rounds; round++) {
    const startNs = nowNs();
    sealAndOpen(key, RoundPackets, SmallBytes);
    const middleNs = nowNs();
    sealAndOpen(key, RoundPackets, LargeBytes);
    smallNs = Math.min(smallNs, (middleNs - startNs) / (2 * RoundPackets));
    largeNs = Math.min(largeNs, (nowNs() - middleNs) / (2 * RoundPackets));
  }
  key.destroy();
  return { smallNs, largeNs };
}

function checkVector(key: AeadKey, arena: Arena, vector: AeadVector): string | null {
  const { ad, plain, sealed, counterHigh, counterLow } = vector;
  const { bytes } = arena;
  const length = plain.length;
  const end = Text + length + tagBytes;
  // Out of place, in place, and opened again; then every kind of forgery.
  for (const target of [Text, Other]) {
    bytes.fill(0);
    bytes.set(ad, Ad);
    bytes.set(plain, Text);
    key.seal(Ad, ad.length, Text, length, target, counterHigh, counterLow);
    if (!equals(bytes, target, sealed)) {
      return 'sealed bytes differ';
    }
  }
  bytes.set(sealed, Text);
  if (!key.open(Ad, ad.length, Text, length, counterHigh, counterLow) || !equals(bytes, Text, plain)) {
    return 'a genuine packet is refused or changed';
  }
  for (const spoilt of [Ad, end - 1, end - tagBytes, length > 0 ? Text : end - 1]) {
    bytes.set(sealed, Text);
    bytes[spoilt] ^= 0x40;
    const accepted = key.open(Ad, ad.length, Text, length, counterHigh, counterLow);
    bytes.set(ad, Ad);
    if (accepted) {
      return 'a forged packet is accepted';
    }
  }
  bytes.set(sealed, Text);
  if (key.open(Ad, ad.length, Text, length, counterHigh ^ 1, counterLow)) {
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
  for (let index = Ad; index < Text + MaxLength; index++) {
    bytes[index] = index * 167 + (index >> 8);
  }
  let fault: string | null = null;
  for (const length of [1, 15, 16, 17, 63, 64, 65, 127, 129, 255, 257, 511, 1023, 1300, MaxLength]) {
    expected.seal(Ad, 16, Text, length, Other, length, ~length >>> 0);
    actual.seal(Ad, 16, Text, length, Third, length, ~length >>> 0);
    if (!equals(bytes, Third, bytes.subarray(Other, Other + length + tagBytes))) {
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
    key.seal(Ad, 16, Text, length, Other, 0, counter);
    if (!key.open(Ad, 16, Other, length, 0, counter)) {
      throw new Error('own packet refused while timing');
    }
  }
}

function equals(bytes: Uint8Array, offset: number, expected: Uint8Array): boolean {
  return expected.every((value, index) => bytes[offset + index] === value);
}

/** Where things lie in the trial's arena. A provider's own scratch is allocated from the start, far below. */
const Ad = 1024;
const Text = 4096;
const Other = 16384;
const Third = 32768;
const MaxLength = 9001;

/** Plaintext sizes that are timed. */
const SmallBytes = 100;
const LargeBytes = 1300;

const WarmUpPackets = 1500;
const RoundPackets = 16;
const Rounds = 24;
