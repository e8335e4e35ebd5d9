import { expect } from 'chai';
import { describe, it } from 'mocha';
import { deriveKey } from '../../../src/primary/pki/argon2.ts';
import { fromHex, toHex } from '../../support/hex.ts';

describe('Argon2id', () => {
  it('derives the key of an encrypted CA key that nebula-cert made', () => {
    const salt = fromHex('8fa037c6422a2cc4d3d36cf9f912c32573630873406de28cfa813ac54215f768');
    const key = deriveKey(Buffer.from('DO NOT USE'), salt, { memoryKib: 65536, iterations: 3, parallelism: 4 }, 32);
    expect(toHex(key)).to.equal('639791a889c19a3db496fe8872a99b5faf24fe765ae2da8a6a641141b34e369c');
  }).timeout(30_000);
});
