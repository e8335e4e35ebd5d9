import { createPrivateKey, sign } from 'node:crypto';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Curve } from '../../../src/shared/crypto/curve.ts';
import { generateKeyPair } from '../../../src/shared/crypto/dh.ts';
import { ed25519Check, ed25519KeyPair, ed25519PublicKey, signEd25519 } from '../../../src/shared/crypto/ed25519.ts';
import { hasLowS, p256Check, signP256, twinSignature } from '../../../src/shared/crypto/p256.ts';
import { fromHex, toHex } from '../../support/hex.ts';
import { Random } from '../../support/random.ts';

describe('Ed25519', () => {
  it('agrees with RFC 8032 §7.1, test 2', () => {
    const pair = ed25519KeyPair(fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'));
    expect(toHex(pair.publicKey)).to.equal('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
    const signature =
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00';
    expect(toHex(signEd25519(pair.privateKey, fromHex('72')))).to.equal(signature);
    expect(ed25519Check(pair.publicKey)(fromHex('72'), fromHex(signature))).to.equal(true);
    expect(toHex(ed25519PublicKey(pair.privateKey)!)).to.equal(toHex(pair.publicKey));
    expect(ed25519PublicKey(pair.publicKey)).to.equal(null);
  });

  it('fails for any flipped bit of key, message or signature', () => {
    const random = new Random(8032);
    const pair = ed25519KeyPair(random.bytes(32));
    const message = random.bytes(50);
    const signature = signEd25519(pair.privateKey, message);
    const check = ed25519Check(pair.publicKey);
    expect(check(message, signature)).to.equal(true);
    for (let bit = 0; bit < 64 * 8; bit++) {
      expect(check(message, flipped(signature, bit))).to.equal(false);
    }
    for (let bit = 0; bit < 50 * 8; bit += 5) {
      expect(check(flipped(message, bit), signature)).to.equal(false);
    }
    for (let bit = 0; bit < 32 * 8; bit += 5) {
      expect(ed25519Check(flipped(pair.publicKey, bit))(message, signature)).to.equal(false);
    }
    expect(check(message, signature.subarray(1))).to.equal(false);
    expect(check(message, new Uint8Array(0))).to.equal(false);
    expect(ed25519Check(new Uint8Array(31))(message, signature)).to.equal(false);
  });
});

describe('P-256 signatures', () => {
  const random = new Random(256);
  const pair = generateKeyPair(Curve.P256, random.bytes(32));
  const check = p256Check(pair.publicKey);

  it('always have the low s, and the twin has the high one', () => {
    for (let round = 0; round < 40; round++) {
      const message = random.bytes(20);
      const signature = signP256(pair.privateKey, message);
      expect(hasLowS(signature)).to.equal(true);
      expect(check(message, signature)).to.equal(true);
      const twin = twinSignature(signature)!;
      expect(hasLowS(twin)).to.equal(false);
      expect(check(message, twin)).to.equal(true);
      expect(toHex(twinSignature(twin)!)).to.equal(toHex(signature));
      expect(check(random.bytes(20), signature)).to.equal(false);
    }
  });

  it('count floor(n/2) as low', () => {
    const der = (s: string): Uint8Array => fromHex(`3025020101${'0220'}${s}`);
    expect(hasLowS(der('7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8'))).to.equal(true);
    expect(hasLowS(der('7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a9'))).to.equal(false);
  });

  it('agree with node:crypto on the key', () => {
    const der = Buffer.concat([
      Buffer.from('30310201010420', 'hex'),
      pair.privateKey,
      Buffer.from('a00a06082a8648ce3d030107', 'hex'),
    ]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'sec1' });
    expect(check(fromHex('00'), new Uint8Array(sign('sha256', fromHex('00'), key)))).to.equal(true);
  });

  it('must be strict DER with scalars in range', () => {
    const good = '3006020101020101';
    expect(twinSignature(fromHex(good))).to.not.equal(null);
    const order = '0221' + '00ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
    for (const text of [
      '',
      `${good}00`,
      '300602010102010100',
      '30080201010201010000',
      '3006020100020101',
      '3006020101020100',
      '30060201ff020101',
      '300702020001020101',
      '3006030101020101',
      `3026020101${order}`,
    ]) {
      expect(twinSignature(fromHex(text)), text).to.equal(null);
      expect(hasLowS(fromHex(text)), text).to.equal(null);
      expect(check(fromHex('00'), fromHex(text)), text).to.equal(false);
    }
  });

  it('fail under a key that is no point, and can not be made with one that is no scalar', () => {
    const message = fromHex('00');
    const signature = signP256(pair.privateKey, message);
    const off = flipped(pair.publicKey, 64 * 8);
    const compressed = Uint8Array.from([0x02, ...pair.publicKey.subarray(1, 33)]);
    for (const key of [off, compressed, new Uint8Array(65), new Uint8Array(0)]) {
      expect(p256Check(key)(message, signature)).to.equal(false);
    }
    for (const key of [new Uint8Array(32), new Uint8Array(32).fill(0xff), new Uint8Array(31).fill(1)]) {
      expect(() => signP256(key, message)).to.throw(RangeError);
    }
  });
});

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3] ^= 1 << (bit & 7);
  return copy;
}
