import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  decodeHandshakePayload,
  encodeHandshakePayload,
  type HandshakePayload,
} from '../../../../src/primary/control/noise/handshakePayload.ts';
import { handshakeVectors } from '../../../support/handshakeVectors.ts';
import { fromHex, toHex } from '../../../support/hex.ts';
import { Random } from '../../../support/random.ts';

function plain(payload: HandshakePayload | null): unknown {
  return payload === null ? null : { ...payload, certificate: toHex(payload.certificate) };
}

/** A payload with the given details, as hex. */
function wrap(details: string): Uint8Array {
  return fromHex(`0a${(details.length / 2).toString(16).padStart(2, '0')}${details}`);
}

const CERTIFICATE = '0a020102';

describe('handshake payload', () => {
  for (const { title, values, version, namesVersion } of handshakeVectors) {
    it(`encodes and decodes ${title}`, () => {
      const first = {
        certificate: fromHex(values.certAHs),
        initiatorIndex: 0x11223344,
        responderIndex: 0,
        timeNs: 1750000000000000000n,
        certificateVersion: namesVersion ? version : 0,
      };
      const second = {
        ...first,
        certificate: fromHex(values.certBHs),
        responderIndex: 0x55667788,
        timeNs: 1750000000001000000n,
      };
      expect(toHex(encodeHandshakePayload(first))).to.equal(values.payload1);
      expect(toHex(encodeHandshakePayload(second))).to.equal(values.payload2);
      expect(plain(decodeHandshakePayload(fromHex(values.payload1)))).to.deep.equal(plain(first));
      expect(plain(decodeHandshakePayload(fromHex(values.payload2)))).to.deep.equal(plain(second));
    });
  }

  it('carries the largest values', () => {
    const payload = {
      certificate: new Uint8Array(9000).fill(7),
      initiatorIndex: 0xffffffff,
      responderIndex: 0xffffffff,
      timeNs: 0xffffffffffffffffn,
      certificateVersion: 2,
    };
    expect(plain(decodeHandshakePayload(encodeHandshakePayload(payload)))).to.deep.equal(plain(payload));
  });

  it('skips unknown fields, lets the last of repeated ones win and merges repeated details', () => {
    const first = `${CERTIFICATE}1005300138073a02ffff`;
    const repeated = fromHex(`${toHex(wrap(`${first}1006`))}1a01ff${toHex(wrap('1807'))}`);
    expect(plain(decodeHandshakePayload(repeated))).to.deep.equal({
      certificate: '0102',
      initiatorIndex: 6,
      responderIndex: 7,
      timeNs: 0n,
      certificateVersion: 0,
    });
  });

  const refused: readonly (readonly [string, Uint8Array])[] = [
    ['nothing', new Uint8Array(0)],
    ['no details', fromHex('12021234')],
    ['details as a varint', fromHex('0805')],
    ['hmac as a varint', fromHex(`${toHex(wrap(`${CERTIFICATE}1005`))}1005`)],
    ['a certificate as a varint', wrap('0805100518072805')],
    ['an index as bytes', wrap(`${CERTIFICATE}12020105`)],
    ['an index over 32 bits', wrap(`${CERTIFICATE}108080808010`)],
    ['a time as bytes', wrap(`${CERTIFICATE}10052a0101`)],
    ['a cookie as bytes', wrap(`${CERTIFICATE}1005220101`)],
    ['a certificate version over 32 bits', wrap(`${CERTIFICATE}1005408080808010`)],
    ['no certificate', wrap('10051807')],
    ['an empty certificate', wrap('0a001005')],
    ['no index and no time', wrap(CERTIFICATE)],
    ['a varint without an end', wrap(`${CERTIFICATE}10ffff`)],
    ['details cut off', fromHex('0a100a02')],
    ['a group', wrap(`${CERTIFICATE}10050b0c`)],
  ];
  for (const [what, bytes] of refused) {
    it(`refuses ${what}`, () => {
      expect(decodeHandshakePayload(bytes)).to.equal(null);
    });
  }

  it('never throws and never reads outside, whatever the bytes', () => {
    const random = new Random(7);
    const valid = fromHex(handshakeVectors[0].values.payload2);
    let refusedCount = 0;
    for (let round = 0; round < 3000; round++) {
      const bytes = random.bool() ? random.bytes(random.below(80)) : valid.slice(0, random.below(valid.length + 1));
      for (let flips = random.below(4); flips > 0 && bytes.length > 0; flips--) {
        bytes[random.below(bytes.length)] ^= 1 << random.below(8);
      }
      refusedCount += decodeHandshakePayload(bytes) === null ? 1 : 0;
    }
    expect(refusedCount).to.be.within(1500, 3000);
  });

  it('gives its certificate as a copy', () => {
    const bytes = fromHex(handshakeVectors[0].values.payload1);
    const payload = decodeHandshakePayload(bytes);
    bytes.fill(0);
    expect(toHex(payload!.certificate)).to.equal(handshakeVectors[0].values.certAHs);
  });
});
