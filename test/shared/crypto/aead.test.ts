/** Every cipher provider found on this machine against recorded packets, node:crypto and forgeries. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { AeadError, type AeadKey, type AeadProvider, Cipher } from '../../../src/shared/crypto/aead.ts';
import { createNodeProvider } from '../../../src/shared/crypto/nodeProvider.ts';
import { PROVIDER_NAMES } from '../../../src/shared/crypto/providerNames.ts';
import { tryLoad } from '../../../src/shared/crypto/providers.ts';
import { checkProvider } from '../../../src/shared/crypto/trial.ts';
import { AEAD_VECTORS } from '../../../src/shared/crypto/vectors.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { TAG_BYTES } from '../../../src/shared/wire/header.ts';
import { Random } from '../../support/random.ts';

const found: AeadProvider[] = PROVIDER_NAMES.map((name) => tryLoad(name).provider).filter((p) => p !== null);
const oracle = createNodeProvider();
const AreaA = 65536;
const AreaB = 131072;
const ciphers = [Cipher.Aes256Gcm, Cipher.ChaCha20Poly1305];

describe('AEAD providers', () => {
  it('are at least node:crypto and the OpenSSL in the node binary', () => {
    expect(found.map((provider) => provider.name)).to.include.members(['node', 'node-evp']);
  });

  it('are judged by vectors of both ciphers', () => {
    for (const cipher of ciphers) {
      expect(AEAD_VECTORS.filter((vector) => vector.cipher === cipher)).to.have.length(6);
    }
  });

  for (const provider of found) {
    describe(provider.name, () => {
      for (const cipher of provider.ciphers) {
        const title = cipher === Cipher.Aes256Gcm ? 'AES-256-GCM' : 'ChaCha20-Poly1305';

        it(`${title}: passes the start-up trial`, () => {
          expect(checkProvider(provider, cipher, oracle)).to.equal(null);
        });

        it(`${title}: equals node:crypto for any length, offset, counter and placement`, () => {
          compareAtRandom(provider, cipher, new Random(11 + cipher));
        });

        it(`${title}: refuses every forgery and stays usable afterwards`, () => {
          forge(provider, cipher, new Random(23 + cipher));
        });

        it(`${title}: keeps keys apart, and refuses to work once destroyed`, () => {
          const arena = new Arena(1 << 18);
          const first = provider.createKey(cipher, new Uint8Array(32).fill(1), arena);
          const second = provider.createKey(cipher, new Uint8Array(32).fill(2), arena);
          first.seal(AreaA, 16, AreaA, 100, AreaB, 0, 9);
          expect(second.open(AreaA, 16, AreaB, 100, 0, 9)).to.equal(false);
          first.seal(AreaA, 16, AreaA, 100, AreaB, 0, 9);
          first.destroy();
          first.destroy();
          expect(() => first.seal(AreaA, 16, AreaA, 100, AreaB, 0, 10)).to.throw(AeadError);
          expect(first.open(AreaA, 16, AreaB, 100, 0, 9)).to.equal(false);
          second.seal(AreaA, 16, AreaA, 100, AreaB, 0, 9);
          expect(second.open(AreaA, 16, AreaB, 100, 0, 9)).to.equal(true);
          second.destroy();
        });
      }

      it('leaves no copy of the key in the arena', () => {
        const arena = new Arena(4096);
        const secret = new Random(5).bytes(32);
        provider.createKey(Cipher.Aes256Gcm, secret, arena).destroy();
        expect(Buffer.from(arena.bytes).indexOf(secret)).to.equal(-1);
      });

      it('refuses keys of a wrong length', () => {
        const arena = new Arena(4096);
        expect(() => provider.createKey(Cipher.Aes256Gcm, new Uint8Array(16), arena)).to.throw(AeadError, /32 bytes/);
      });
    });
  }
});

describe('checkProvider', () => {
  const spoil = (change: (key: AeadKey, arena: Arena) => AeadKey): AeadProvider => ({
    name: 'spoilt',
    ciphers,
    createKey: (cipher, key, arena) => change(oracle.createKey(cipher, key, arena), arena),
  });

  it('finds a provider with the nonce in another byte order', () => {
    const provider = spoil((key) => ({
      seal: (ad, adLength, source, length, target, high, low) =>
        key.seal(ad, adLength, source, length, target, low, high),
      open: (ad, adLength, offset, length, high, low) => key.open(ad, adLength, offset, length, low, high),
      destroy: () => key.destroy(),
    }));
    expect(checkProvider(provider, Cipher.Aes256Gcm, oracle)).to.equal('data: sealed bytes differ');
  });

  it('finds a provider that accepts forgeries', () => {
    const provider = spoil((key) => ({
      seal: (ad, adLength, source, length, target, high, low) =>
        key.seal(ad, adLength, source, length, target, high, low),
      open: (ad, adLength, offset, length, high, low) => {
        key.open(ad, adLength, offset, length, high, low);
        return true;
      },
      destroy: () => key.destroy(),
    }));
    expect(checkProvider(provider, Cipher.ChaCha20Poly1305, oracle)).to.equal('data: a forged packet is accepted');
  });

  it('finds a provider that is wrong for long packets only', () => {
    const provider = spoil((key, arena) => ({
      seal: (ad, adLength, source, length, target, high, low) => {
        key.seal(ad, adLength, source, length, target, high, low);
        arena.bytes[target] ^= length > 1000 ? 1 : 0;
      },
      open: (ad, adLength, offset, length, high, low) => key.open(ad, adLength, offset, length, high, low),
      destroy: () => key.destroy(),
    }));
    expect(checkProvider(provider, Cipher.Aes256Gcm, oracle)).to.match(/^1023 bytes|^1300 bytes/);
  });
});

function compareAtRandom(provider: AeadProvider, cipher: Cipher, random: Random): void {
  const arena = new Arena(1 << 18);
  for (let round = 0; round < 40; round++) {
    const rawKey = random.bytes(32);
    const key = provider.createKey(cipher, rawKey, arena);
    const expected = oracle.createKey(cipher, rawKey, arena);
    for (let packet = 0; packet < 5; packet++) {
      const length = random.pick([random.below(64), random.below(1500), random.below(9002)]);
      const adLength = random.pick([0, 1, 16, 16, 16, 52, 1400]);
      const source = AreaA + random.below(64);
      const ad = 32768 + random.below(64);
      // Counters up to 2^53: what a Number can count to.
      const high = random.pick([0, 0, random.below(1 << 21)]);
      const low = random.u32();
      arena.bytes.set(random.bytes(length), source);
      arena.bytes.set(random.bytes(adLength), ad);
      const plain = arena.bytes.slice(source, source + length);
      const target = AreaB + random.below(64);
      expected.seal(ad, adLength, source, length, target, high, low);
      const sealed = arena.bytes.slice(target, target + length + TAG_BYTES);
      const placed = random.bool() ? source : AreaB + 20000 + random.below(64);
      key.seal(ad, adLength, source, length, placed, high, low);
      expect(Buffer.compare(arena.bytes.slice(placed, placed + length + TAG_BYTES), sealed)).to.equal(0);
      expect(key.open(ad, adLength, placed, length, high, low)).to.equal(true);
      expect(Buffer.compare(arena.bytes.slice(placed, placed + length), plain)).to.equal(0);
    }
    key.destroy();
    expected.destroy();
  }
}

function forge(provider: AeadProvider, cipher: Cipher, random: Random): void {
  const arena = new Arena(1 << 18);
  const key = provider.createKey(cipher, random.bytes(32), arena);
  for (let round = 0; round < 100; round++) {
    const length = random.pick([0, 1, 100, 1300]);
    const counter = random.u32();
    arena.bytes.set(random.bytes(16), AreaA);
    key.seal(AreaA, 16, AreaA + 16, length, AreaB, 0, counter);
    const sealed = arena.bytes.slice(AreaB, AreaB + length + TAG_BYTES);
    const where = random.pick([AreaA + random.below(16), AreaB + random.below(length + TAG_BYTES)]);
    arena.bytes[where] ^= 1 << random.below(8);
    expect(key.open(AreaA, 16, AreaB, length, 0, counter)).to.equal(false);
    arena.bytes.set(sealed, AreaB);
    expect(key.open(AreaA, 15, AreaB, length, 0, counter), 'shorter associated data').to.equal(false);
    if (where >= AreaB) {
      arena.bytes.set(sealed, AreaB);
      expect(key.open(AreaA, 16, AreaB, length, 1, counter), 'other counter').to.equal(false);
      arena.bytes.set(sealed, AreaB);
      expect(key.open(AreaA, 16, AreaB, length, 0, counter), 'genuine again').to.equal(true);
    }
  }
  key.destroy();
}
