import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { HandshakeState, protocolName } from '../../../../src/primary/control/noise/handshakeState.ts';
import { Cipher } from '../../../../src/shared/crypto/aead.ts';
import { Curve } from '../../../../src/shared/crypto/curve.ts';
import { type DhKeyPair, generateKeyPair } from '../../../../src/shared/crypto/dh.ts';
import { handshakeVectors } from '../../../support/handshakeVectors.ts';
import { countingBytes, fromHex, toHex } from '../../../support/hex.ts';
import { Random } from '../../../support/random.ts';

interface Side {
  readonly noise: HandshakeState;
  readonly ephemeral: DhKeyPair;
}

function side(curve: Curve, cipher: Cipher, isInitiator: boolean): Side {
  const staticKeys = generateKeyPair(curve, countingBytes(isInitiator ? 0x00 : 0x01));
  const ephemeral = generateKeyPair(curve, countingBytes(isInitiator ? 0x20 : 0x41));
  return { noise: new HandshakeState({ cipher, curve, isInitiator, staticKeys }), ephemeral };
}

function pair(curve: Curve, cipher: Cipher): { a: Side; b: Side } {
  return { a: side(curve, cipher, true), b: side(curve, cipher, false) };
}

function text(bytes: Uint8Array | null): string {
  return bytes === null ? '(null)' : Buffer.from(bytes).toString();
}

function sealEmptyAd(key: Uint8Array, plaintext: string): string {
  const cipher = createCipheriv('aes-256-gcm', key, new Uint8Array(12));
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString('hex');
}

const COMBINATIONS = [
  [Curve.Curve25519, Cipher.Aes256Gcm, 'Noise_IX_25519_AESGCM_SHA256'],
  [Curve.Curve25519, Cipher.ChaCha20Poly1305, 'Noise_IX_25519_ChaChaPoly_SHA256'],
  [Curve.P256, Cipher.Aes256Gcm, 'Noise_IX_P256_AESGCM_SHA256'],
  [Curve.P256, Cipher.ChaCha20Poly1305, 'Noise_IX_P256_ChaChaPoly_SHA256'],
] as const;

describe('noise handshake state', () => {
  it('reproduces the published vector of IX with AESGCM, transport messages included', () => {
    const { a, b } = pair(Curve.Curve25519, Cipher.Aes256Gcm);
    const message1 = a.noise.writeMessage(Buffer.from('test_msg_0'), a.ephemeral)!;
    expect(toHex(message1)).to.equal(
      '358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254' +
        '8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f746573745f6d73675f30',
    );
    expect(text(b.noise.readMessage(message1))).to.equal('test_msg_0');
    const message2 = b.noise.writeMessage(Buffer.from('test_msg_1'), b.ephemeral)!;
    expect(toHex(message2)).to.equal(
      '64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466' +
        'dafa2f50bec421c6e061a97013b8d9d582911be531e7e463f108e9389c74d589194a720639279eaac9d876aa00c2ece2' +
        'e8761a2ca307ad49797cd0cea8728f2de0b353ea74d3206276e7',
    );
    expect(text(a.noise.readMessage(message2))).to.equal('test_msg_1');
    const [first, second] = a.noise.split();
    expect(sealEmptyAd(first, 'yellowsubmarine')).to.equal(
      '40c12ccfdf59f44d7cfc8c7dfe8a1bf739107c31aebcfc9f4caee7dc9099c1',
    );
    expect(sealEmptyAd(second, 'submarineyellow')).to.equal(
      'c3beff2f2144bb23f7fae6fd03578c40f1ef01140d1721a9e895958d52d749',
    );
  });

  for (const vector of handshakeVectors) {
    it(`reproduces ${vector.title}`, () => {
      const { values } = vector;
      const { a, b } = pair(vector.curve, vector.cipher);
      const message1 = a.noise.writeMessage(fromHex(values.payload1), a.ephemeral)!;
      expect(toHex(message1)).to.equal(values.packet1.slice(32));
      expect(toHex(b.noise.readMessage(message1)!)).to.equal(values.payload1);
      expect(toHex(b.noise.remoteStatic!)).to.equal(values.staticAPub);
      if (values.hAfterMsg1 !== undefined) {
        expect(toHex(b.noise.hash)).to.equal(values.hAfterMsg1);
      }
      const message2 = b.noise.writeMessage(fromHex(values.payload2), b.ephemeral)!;
      expect(toHex(message2)).to.equal(values.packet2.slice(32));
      expect(toHex(a.noise.readMessage(message2)!)).to.equal(values.payload2);
      expect(toHex(a.noise.remoteStatic!)).to.equal(values.staticBPub);
      for (const { noise } of [a, b]) {
        expect(noise.split().map(toHex)).to.deep.equal([values.keyAToB, values.keyBToA]);
        if (values.hFinal !== undefined) {
          expect(toHex(noise.hash)).to.equal(values.hFinal);
        }
      }
    });
  }

  for (const [curve, cipher, name] of COMBINATIONS) {
    it(`${name}: any flipped bit of message 2 is refused, and the true message is still accepted after it`, () => {
      const random = new Random(11);
      expect(protocolName(curve, cipher)).to.equal(name);
      const { a, b } = pair(curve, cipher);
      const message1 = a.noise.writeMessage(Buffer.from('one'), a.ephemeral)!;
      expect(text(b.noise.readMessage(message1))).to.equal('one');
      const message2 = b.noise.writeMessage(Buffer.from('two'), b.ephemeral)!;
      for (let round = 0; round < 40; round++) {
        const forged = message2.slice();
        // Not the top bit of an X25519 key: RFC 7748 has it ignored in the function, though not in the transcript.
        forged[random.below(forged.length)] ^= 1 << random.below(7);
        expect(a.noise.readMessage(forged)).to.equal(null);
      }
      for (const length of [0, 1, 31, 32, 64, 65, 80, message2.length - 1]) {
        expect(a.noise.readMessage(message2.slice(0, length)), `${length} bytes`).to.equal(null);
      }
      expect(a.noise.remoteStatic).to.equal(null);
      expect(text(a.noise.readMessage(message2))).to.equal('two');
      expect(a.noise.split().map(toHex)).to.deep.equal(b.noise.split().map(toHex));
    });

    it(`${name}: a message that is taken back leaves no trace, and another one completes the handshake`, () => {
      const { a, b } = pair(curve, cipher);
      const message1 = a.noise.writeMessage(Buffer.from('one'), a.ephemeral)!;
      const stranger = pair(curve, cipher).b;
      stranger.noise.readMessage(message1);
      const before = toHex(a.noise.hash);
      expect(text(a.noise.readMessage(stranger.noise.writeMessage(Buffer.from('no'), stranger.ephemeral)!))).to.equal(
        'no',
      );
      a.noise.unread();
      expect([toHex(a.noise.hash), a.noise.remoteStatic]).to.deep.equal([before, null]);
      expect(() => a.noise.unread()).to.throw('was not read');
      b.noise.readMessage(message1);
      expect(text(a.noise.readMessage(b.noise.writeMessage(Buffer.from('two'), b.ephemeral)!))).to.equal('two');
      expect(a.noise.split().map(toHex)).to.deep.equal(b.noise.split().map(toHex));
    });

    it(`${name}: truncated message 1 leaves the responder ready for the true one`, () => {
      const { a, b } = pair(curve, cipher);
      const message1 = a.noise.writeMessage(new Uint8Array(0), a.ephemeral)!;
      for (let length = 0; length < message1.length; length++) {
        expect(b.noise.readMessage(message1.slice(0, length)), `${length} bytes`).to.equal(null);
      }
      expect(b.noise.readMessage(message1)).to.have.length(0);
    });
  }

  it('refuses low-order points: as the ephemeral key of message 1 when answering it, and of message 2 when reading it', () => {
    const { a, b } = pair(Curve.Curve25519, Cipher.Aes256Gcm);
    const message1 = a.noise.writeMessage(Buffer.from('x'), a.ephemeral)!;
    const forged = message1.slice();
    forged.fill(0, 0, 32);
    expect(text(b.noise.readMessage(forged))).to.equal('x');
    expect(b.noise.writeMessage(new Uint8Array(0), b.ephemeral)).to.equal(null);
    expect(a.noise.readMessage(new Uint8Array(200))).to.equal(null);
  });

  it('does not read with another cipher, another curve or another prologue', () => {
    const { a, b } = pair(Curve.Curve25519, Cipher.Aes256Gcm);
    const message1 = a.noise.writeMessage(Buffer.from('x'), a.ephemeral)!;
    const other = side(Curve.Curve25519, Cipher.ChaCha20Poly1305, false);
    const staticKeys = generateKeyPair(Curve.Curve25519, countingBytes(1));
    const prologue = new HandshakeState(
      { cipher: Cipher.Aes256Gcm, curve: Curve.Curve25519, isInitiator: false, staticKeys },
      Buffer.from('prologue'),
    );
    for (const noise of [other.noise, prologue]) {
      expect(text(noise.readMessage(message1))).to.equal('x');
      expect(a.noise.readMessage(noise.writeMessage(new Uint8Array(0), b.ephemeral)!)).to.equal(null);
    }
    expect(side(Curve.P256, Cipher.Aes256Gcm, false).noise.readMessage(message1)).to.equal(null);
  });

  it('refuses to be used out of order: that is a mistake of the program', () => {
    const { a, b } = pair(Curve.Curve25519, Cipher.Aes256Gcm);
    expect(() => a.noise.split()).to.throw('not complete');
    b.noise.readMessage(a.noise.writeMessage(new Uint8Array(0), a.ephemeral)!);
    a.noise.readMessage(b.noise.writeMessage(new Uint8Array(0), b.ephemeral)!);
    expect(() => a.noise.writeMessage(new Uint8Array(0), a.ephemeral)).to.throw('no more messages');
  });
});
