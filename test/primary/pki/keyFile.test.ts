import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ARGON2_MEMORY_KIB_MAX, deriveKey } from '../../../src/primary/pki/argon2.ts';
import { decryptKey, encryptKey } from '../../../src/primary/pki/encryptedKey.ts';
import {
  formatEncryptedKey,
  formatKey,
  isEncryptedKey,
  type KeyKind,
  parseEncryptedKey,
  parseKey,
} from '../../../src/primary/pki/keyFile.ts';
import { firstPemBlock, formatPem, parsePem } from '../../../src/primary/pki/pem.ts';
import { Curve } from '../../../src/shared/crypto/curve.ts';
import { reasonOf } from '../../support/certificates.ts';
import { fromHex, toHex } from '../../support/hex.ts';
import { Random } from '../../support/random.ts';

const PASSPHRASE = Buffer.from('DO NOT USE');

const ENCRYPTED = `-----BEGIN NEBULA ED25519 ENCRYPTED PRIVATE KEY-----
CjsKC0FFUy0yNTYtR0NNEiwIExCAgAQYAyAEKiCPoDfGQiosxNPTbPn5EsMlc2MI
c0Bt4oz6gTrFQhX3aBJcimhHKeAuhyTGvllD0Z19fe+DFPcLH3h5VrdjVfIAajg0
KrbV3n9UHif/Au5skWmquNJzoW1E4MTdRbvpti6o+WdQ49DxjBFhx0YH8LBqrbPU
0BGkUHmIO7daP24=
-----END NEBULA ED25519 ENCRYPTED PRIVATE KEY-----
`;

const ENCRYPTED_SHORT = `-----BEGIN NEBULA ED25519 ENCRYPTED PRIVATE KEY-----
CjsKC0FFUy0yNTYtR0NNEiwIExCAgAQYAyAEKiAVJwdfl3r+eqi/vF6S7OMdpjfo
hAzmTCRnr58Su4AqmBJbCv3zleYCEKYJP6UI3S8ekLMGISsgO4hm5leukCCyqT0Z
cQ76yrberpzkJKoPLGisX8f+xdy4aXSZl7oEYWQte1+vqbtl/eY9PGZhxUQdcyq7
hqzIyrRqfUgVuA==
-----END NEBULA ED25519 ENCRYPTED PRIVATE KEY-----
`;

describe('PEM', () => {
  it('writes what Buffer would and reads it back', () => {
    const random = new Random(0x70656d);
    for (let length = 0; length < 200; length++) {
      const content = random.bytes(length);
      const file = formatPem('NEBULA TEST', content);
      const lines =
        Buffer.from(content)
          .toString('base64')
          .match(/.{1,64}/g) ?? [];
      expect(Buffer.from(file).toString()).to.equal(
        ['-----BEGIN NEBULA TEST-----', ...lines, '-----END NEBULA TEST-----', ''].join('\n'),
      );
      const block = firstPemBlock(file);
      expect([block.banner, toHex(block.content)]).to.deep.equal(['NEBULA TEST', toHex(content)]);
    }
  });

  it('takes comments, CRLF, blanks, and a missing last newline', () => {
    const text =
      'x\r\n -----BEGIN A-----\r\n  QUJD \r\n\tREVG\r\n-----END A-----\r\ny\n-----BEGIN B-----\n-----END B-----';
    const blocks = parsePem(Buffer.from(text));
    expect(blocks.map((block) => [block.banner, Buffer.from(block.content).toString()])).to.deep.equal([
      ['A', 'ABCDEF'],
      ['B', ''],
    ]);
  });

  const broken: [string, RegExp][] = [
    ['-----BEGIN A-----\nQUJD\n', /truncated PEM block: the block of line 1 has no END/],
    ['-----BEGIN A-----\nQUJD\n-----END B-----\n', /line 2 of|line 3 of/],
    ['-----BEGIN A-----\nQUJD\n-----BEGIN A-----\nQUJD\n-----END A-----\n', /line 3 of the block of line 1/],
    ['-----BEGIN A-----\nQU*D\n-----END A-----\n', /line 2/],
    ['-----BEGIN A-----\nQUJDR\n-----END A-----\n', /valid base64/],
    ['-----BEGIN A-----\nQQ==QQ==\n-----END A-----\n', /no base64/],
    ['-----BEGIN A-----\nQ===\n-----END A-----\n', /valid base64/],
    ['-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nQUJD\n-----END A-----\n', /line 2/],
    ['text\n', /line 1: it has text but no PEM block/],
    ['-----BEGIN A-----\nQUJD\n-----END A-----\n\nQUJD\n-----END A-----\n', /line 5: text follows/],
  ];
  for (const [text, expected] of broken) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(reasonOf(() => parsePem(Buffer.from(text)))).to.match(expected);
    });
  }
});

describe('key files', () => {
  it('have these banners and lengths', () => {
    const forms: [KeyKind, Curve, string, number][] = [
      ['host private', Curve.Curve25519, 'NEBULA X25519 PRIVATE KEY', 32],
      ['host public', Curve.Curve25519, 'NEBULA X25519 PUBLIC KEY', 32],
      ['host private', Curve.P256, 'NEBULA P256 PRIVATE KEY', 32],
      ['host public', Curve.P256, 'NEBULA P256 PUBLIC KEY', 65],
      ['ca private', Curve.Curve25519, 'NEBULA ED25519 PRIVATE KEY', 64],
      ['ca public', Curve.Curve25519, 'NEBULA ED25519 PUBLIC KEY', 32],
      ['ca private', Curve.P256, 'NEBULA ECDSA P256 PRIVATE KEY', 32],
      ['ca public', Curve.P256, 'NEBULA ECDSA P256 PUBLIC KEY', 65],
    ];
    for (const [kind, curve, banner, byteCount] of forms) {
      const bytes = new Random(byteCount).bytes(byteCount);
      const file = formatKey(kind, { curve, bytes });
      expect(Buffer.from(file).toString()).to.match(new RegExp(`^-----BEGIN ${banner}-----\n`));
      const key = parseKey(file, kind);
      expect([key.curve, toHex(key.bytes)]).to.deep.equal([curve, toHex(bytes)]);
      for (const length of [0, byteCount - 1, byteCount + 1]) {
        expect(reasonOf(() => parseKey(formatPem(banner, new Uint8Array(length)), kind))).to.match(
          new RegExp(`^key was not ${byteCount} bytes, is invalid \\S+`),
        );
      }
      for (const other of ['host private', 'host public', 'ca private', 'ca public'] as const) {
        if (other !== kind) {
          expect(reasonOf(() => parseKey(file, other))).to.match(
            /^bytes did not contain a proper .*(private|public) key/,
          );
        }
      }
    }
  });

  it('encode a public key like this', () => {
    const key = { curve: Curve.Curve25519, bytes: Buffer.from('1234567890abcedfghij1234567890ab') };
    expect(Buffer.from(formatKey('host public', key)).toString()).to.equal(
      '-----BEGIN NEBULA X25519 PUBLIC KEY-----\n' +
        'MTIzNDU2Nzg5MGFiY2VkZmdoaWoxMjM0NTY3ODkwYWI=\n' +
        '-----END NEBULA X25519 PUBLIC KEY-----\n',
    );
    expect(Buffer.from(formatKey('ca public', key)).toString()).to.match(/NEBULA ED25519 PUBLIC KEY/);
  });

  it('never show key bytes in an error', () => {
    const file = Buffer.from(
      '-----BEGIN NEBULA X25519 PRIVATE KEY-----\nc2VjcmV0c2VjcmV0!\n-----END NEBULA X25519 PRIVATE KEY-----\n',
    );
    expect(reasonOf(() => parseKey(file, 'host private')))
      .to.match(/no base64/)
      .and.not.match(/c2Vj|secret/);
  });
});

describe('encrypted CA keys', () => {
  it('decrypt one that nebula-cert made', () => {
    expect(isEncryptedKey(Buffer.from(ENCRYPTED))).to.equal(true);
    const key = parseEncryptedKey(Buffer.from(ENCRYPTED), PASSPHRASE);
    expect(key.curve).to.equal(Curve.Curve25519);
    expect(toHex(key.bytes)).to.equal(
      'debf76bd9edf1b7c791b6e744500d6d32a9c8e13dfdf8afd40f0dbf6083347ff' +
        '1929e8e78106b7bfe47113e622ba3752c8089003f8eef31055059c9204ab4902',
    );
    expect(reasonOf(() => parseKey(Buffer.from(ENCRYPTED), 'ca private'))).to.match(/is encrypted/);
  }).timeout(30_000);

  it('refuse one with 63 bytes inside', () => {
    expect(reasonOf(() => parseEncryptedKey(Buffer.from(ENCRYPTED_SHORT), PASSPHRASE))).to.equal(
      'key was not 64 bytes, is invalid ed25519 private key',
    );
  }).timeout(30_000);

  const parameters = { memoryKib: 64, iterations: 1, parallelism: 2 };
  const salt = new Random(1).bytes(32);
  const nonce = new Random(2).bytes(12);

  it('read back what they wrote, on both curves, and only with the passphrase', () => {
    for (const [curve, byteCount, banner] of [
      [Curve.Curve25519, 64, 'ED25519'],
      [Curve.P256, 32, 'ECDSA P256'],
    ] as const) {
      const bytes = new Random(byteCount).bytes(byteCount);
      const file = formatEncryptedKey({ curve, bytes }, PASSPHRASE, parameters, salt, nonce);
      expect(Buffer.from(file).toString()).to.match(new RegExp(`BEGIN NEBULA ${banner} ENCRYPTED PRIVATE KEY`));
      const key = parseEncryptedKey(file, PASSPHRASE);
      expect([key.curve, toHex(key.bytes)]).to.deep.equal([curve, toHex(bytes)]);
      expect(reasonOf(() => parseEncryptedKey(file, Buffer.from('do not use')))).to.equal(
        'invalid passphrase or corrupt private key',
      );
    }
  });

  it('refuse unknown or missing parameters and every changed byte', () => {
    const content = encryptKey(new Uint8Array(64), PASSPHRASE, parameters, salt, nonce);
    const text = toHex(content);
    const changed = (from: string, to: string): string => {
      expect(text).to.include(from);
      return reasonOf(() => decryptKey(fromHex(text.replace(from, to)), PASSPHRASE));
    };
    expect(changed(toHex(Buffer.from('AES-256')), toHex(Buffer.from('AES-128')))).to.match(/AES-128-GCM/);
    expect(changed('08131040', '08121040')).to.match(/Argon2 version: 18/);
    expect(changed('0813104018012002', '0813104018002002')).to.match(/out of range/);
    expect(changed('08131040', '08131000')).to.match(/out of range/);
    expect(changed('08131040', '08131001')).to.match(/between 16 and/);
    expect(changed('20022a20', '20022a21')).to.not.equal('no error');
    for (let index = 0; index < content.length; index += 7) {
      const damaged = content.slice();
      damaged[index] ^= 0x01;
      expect(
        reasonOf(() => decryptKey(damaged, PASSPHRASE)),
        `byte ${index}`,
      ).to.not.equal('no error');
    }
    expect(reasonOf(() => decryptKey(content.subarray(0, 40), PASSPHRASE))).to.match(/protobuf/);
    expect(reasonOf(() => decryptKey(new Uint8Array(0), PASSPHRASE))).to.match(/ciphertext/);
  });

  it('say so when the memory is beyond what can be had', () => {
    const tooMuch = { memoryKib: ARGON2_MEMORY_KIB_MAX + 1, iterations: 1, parallelism: 1 };
    expect(() => deriveKey(PASSPHRASE, salt, tooMuch, 32)).to.throw(RangeError, /Argon2 memory must be between/);
    expect(() => deriveKey(PASSPHRASE, salt, { memoryKib: 8, iterations: 0, parallelism: 1 }, 32)).to.throw(
      RangeError,
      /Argon2id with 8 KiB/,
    );
  });
});
