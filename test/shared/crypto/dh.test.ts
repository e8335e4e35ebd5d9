import { expect } from 'chai';
import { describe, it } from 'mocha';
import nacl from 'tweetnacl';
import { Curve } from '../../../src/shared/crypto/curve.ts';
import { generateKeyPair, publicKeyOf, sharedSecret, wipePrivateKey } from '../../../src/shared/crypto/dh.ts';
import { Random } from '../../support/random.ts';

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

function text(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('hex');
}

describe('X25519', () => {
  it('agrees with RFC 7748 §5.2 and §6.1', () => {
    const alice = generateKeyPair(
      Curve.Curve25519,
      hex('77076d0a7318a57d3c16c17251b26645c6c2f6c9e4f2f8d8e8f1c2d7e2b92c2a'),
    );
    const bob = generateKeyPair(
      Curve.Curve25519,
      hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'),
    );
    expect(text(bob.publicKey)).to.equal('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
    expect(text(sharedSecret(Curve.Curve25519, alice.privateKey, bob.publicKey))).to.equal(
      text(sharedSecret(Curve.Curve25519, bob.privateKey, alice.publicKey)),
    );
    const scalar = hex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4');
    const point = hex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c');
    expect(text(sharedSecret(Curve.Curve25519, scalar, point))).to.equal(
      'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
    );
  });

  it('agrees with tweetnacl on random keys', () => {
    const random = new Random(25519);
    for (let round = 0; round < 20; round++) {
      const mine = generateKeyPair(Curve.Curve25519, random.bytes(32));
      const theirs = nacl.box.keyPair.fromSecretKey(random.bytes(32));
      expect(text(mine.publicKey)).to.equal(text(nacl.scalarMult.base(mine.privateKey)));
      expect(text(sharedSecret(Curve.Curve25519, mine.privateKey, theirs.publicKey))).to.equal(
        text(nacl.scalarMult(theirs.secretKey, mine.publicKey)),
      );
    }
  });

  it('refuses every low-order point', () => {
    const privateKey = new Random(1).bytes(32);
    const points = [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    ];
    for (const point of points) {
      expect(sharedSecret(Curve.Curve25519, privateKey, hex(point)), point).to.equal(null);
    }
  });
});

describe('P-256 ECDH', () => {
  it('agrees with RFC 5903 §8.1', () => {
    const i = hex('c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433');
    const r = hex('c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53');
    const pairI = generateKeyPair(Curve.P256, i);
    const pairR = generateKeyPair(Curve.P256, r);
    expect(text(pairI.privateKey)).to.equal(text(i));
    expect(text(pairI.publicKey)).to.equal(
      '04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3',
    );
    const secret = 'd6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de';
    expect(text(sharedSecret(Curve.P256, i, pairR.publicKey))).to.equal(secret);
    expect(text(sharedSecret(Curve.P256, r, pairI.publicKey))).to.equal(secret);
  });

  it('refuses points off the curve, compressed points and the point at infinity', () => {
    const pair = generateKeyPair(Curve.P256, new Random(2).bytes(32));
    const off = pair.publicKey.slice();
    off[64] ^= 1;
    const hybrid = pair.publicKey.slice();
    hybrid[0] = 0x06 | (hybrid[64] & 1);
    const compressed = Uint8Array.from([0x02 | (pair.publicKey[64] & 1), ...pair.publicKey.subarray(1, 33)]);
    for (const point of [off, hybrid, compressed, new Uint8Array(65), new Uint8Array(1), new Uint8Array(0)]) {
      expect(sharedSecret(Curve.P256, pair.privateKey, point)).to.equal(null);
    }
  });

  it('finds another scalar for bytes that are none', () => {
    for (const bytes of [new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
      expect(publicKeyOf(Curve.P256, bytes)).to.equal(null);
      const pair = generateKeyPair(Curve.P256, bytes);
      expect(text(publicKeyOf(Curve.P256, pair.privateKey))).to.equal(text(pair.publicKey));
    }
  });
});

describe('generateKeyPair', () => {
  it('copies its randomness and checks its length', () => {
    const pair = generateKeyPair(Curve.Curve25519, new Random(3).bytes(32));
    for (const curve of [Curve.Curve25519, Curve.P256]) {
      const random = Buffer.from(new Random(3).bytes(32));
      const kept = generateKeyPair(curve, random);
      random.fill(0);
      expect(text(kept.privateKey)).to.equal(text(new Random(3).bytes(32)));
      expect(text(publicKeyOf(curve, kept.privateKey))).to.equal(text(kept.publicKey));
    }
    expect(() => generateKeyPair(Curve.Curve25519, new Uint8Array(31))).to.throw(RangeError);
    expect(publicKeyOf(Curve.Curve25519, new Uint8Array(31))).to.equal(null);
    expect(sharedSecret(Curve.Curve25519, new Uint8Array(31), pair.publicKey)).to.equal(null);
  });
});

describe('wipePrivateKey', () => {
  for (const curve of [Curve.Curve25519, Curve.P256]) {
    it(`leaves nothing that agrees on the old secret, on curve ${curve}`, () => {
      const random = new Random(4);
      const mine = generateKeyPair(curve, random.bytes(32));
      const theirs = generateKeyPair(curve, random.bytes(32));
      const secret = text(sharedSecret(curve, mine.privateKey, theirs.publicKey));
      expect(text(sharedSecret(curve, theirs.privateKey, mine.publicKey))).to.equal(secret);
      wipePrivateKey(mine.privateKey);
      expect(mine.privateKey.every((byte) => byte === 0)).to.equal(true);
      expect(text(sharedSecret(curve, mine.privateKey, theirs.publicKey))).not.to.equal(secret);
      expect(text(sharedSecret(curve, theirs.privateKey, mine.publicKey))).to.equal(secret);
    });
  }
});
