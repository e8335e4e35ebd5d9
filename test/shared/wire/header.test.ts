import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  checkHeader,
  HEADER_BYTES,
  HeaderCheck,
  headerCounterHigh,
  headerCounterLow,
  headerRemoteIndex,
  headerReserved,
  headerSubtype,
  headerType,
  headerVersion,
  isValidType,
  MessageType,
  Subtype,
  writeHeader,
} from '../../../src/shared/wire/header.ts';
import { fromHex, toHex } from '../../support/hex.ts';
import { Random } from '../../support/random.ts';

function encode(type: number, subtype: number, index: number, counter: number, reserved: number = 0): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  writeHeader(
    new DataView(bytes.buffer),
    0,
    type,
    subtype,
    reserved,
    index,
    Math.floor(counter / 2 ** 32),
    counter >>> 0,
  );
  return bytes;
}

describe('header', () => {
  const known: readonly (readonly [string, number, number, number, number])[] = [
    ['10000000000000000000000000000001', MessageType.Handshake, Subtype.IxPsk0, 0, 1],
    ['10000000112233440000000000000002', MessageType.Handshake, Subtype.IxPsk0, 0x11223344, 2],
    ['11000000556677880000000000000003', MessageType.Message, Subtype.None, 0x55667788, 3],
    ['11010000cafebabe0000000000000006', MessageType.Message, Subtype.Relay, 0xcafebabe, 6],
    ['12000000556677880000000000000000', MessageType.RecvError, Subtype.None, 0x55667788, 0],
    ['13000000000000010000000000000004', MessageType.Lighthouse, Subtype.None, 1, 4],
    ['14000000000000010000000000000004', MessageType.Test, Subtype.TestRequest, 1, 4],
    ['14010000000000010000000000000004', MessageType.Test, Subtype.TestReply, 1, 4],
    ['15000000000000010000000000000004', MessageType.CloseTunnel, Subtype.None, 1, 4],
    ['16000000000000010000000000000004', MessageType.Control, Subtype.None, 1, 4],
  ];

  for (const [hex, type, subtype, index, counter] of known) {
    it(`writes and reads ${hex}`, () => {
      expect(toHex(encode(type, subtype, index, counter))).to.equal(hex);
      const bytes = fromHex(hex);
      const view = new DataView(bytes.buffer);
      expect(checkHeader(bytes, 0, bytes.length)).to.equal(HeaderCheck.Ok);
      expect(headerVersion(bytes, 0)).to.equal(1);
      expect(headerType(bytes, 0)).to.equal(type);
      expect(headerSubtype(bytes, 0)).to.equal(subtype);
      expect(headerReserved(view, 0)).to.equal(0);
      expect(headerRemoteIndex(view, 0)).to.equal(index);
      expect(headerCounterHigh(view, 0)).to.equal(0);
      expect(headerCounterLow(view, 0)).to.equal(counter);
    });
  }

  it('reads the fields of a header of another version, and refuses it', () => {
    const bytes = fromHex('540000000000000a0000000000000009');
    const view = new DataView(bytes.buffer);
    expect(headerVersion(bytes, 0)).to.equal(5);
    expect(headerType(bytes, 0)).to.equal(4);
    expect(headerRemoteIndex(view, 0)).to.equal(10);
    expect(headerCounterLow(view, 0)).to.equal(9);
    expect(checkHeader(bytes, 0, 16)).to.equal(HeaderCheck.WrongVersion);
  });

  it('carries a flow label in the reserved field and does not judge it', () => {
    const bytes = encode(MessageType.Message, 0, 7, 8, 0xbeef);
    expect(toHex(bytes)).to.equal('1100beef000000070000000000000008');
    expect(headerReserved(new DataView(bytes.buffer), 0)).to.equal(0xbeef);
    expect(checkHeader(bytes, 0, 16)).to.equal(HeaderCheck.Ok);
  });

  it('tells punch packets from truncated ones', () => {
    const bytes = encode(MessageType.Message, 0, 1, 3);
    expect([0, 1, 2, 15, 16].map((length) => checkHeader(bytes, 0, length))).to.deep.equal([
      HeaderCheck.Punch,
      HeaderCheck.Punch,
      HeaderCheck.TooShort,
      HeaderCheck.TooShort,
      HeaderCheck.Ok,
    ]);
  });

  it('knows exactly nine pairs of type and subtype', () => {
    const valid: string[] = [];
    for (let type = 0; type < 16; type++) {
      for (let subtype = 0; subtype < 256; subtype++) {
        const bytes = encode(type, subtype, 0, 0);
        const isOk = checkHeader(bytes, 0, 16) === HeaderCheck.Ok;
        expect(isOk).to.equal(isValidType(type, subtype));
        if (isOk) {
          valid.push(`${type}/${subtype}`);
        }
      }
    }
    expect(valid).to.deep.equal([...['0/0', '1/0', '1/1', '2/0', '3/0', '4/0', '4/1', '5/0', '6/0']]);
  });

  it('gives back whatever was written, at any offset', () => {
    const random = new Random(1);
    const bytes = new Uint8Array(64);
    const view = new DataView(bytes.buffer);
    for (let round = 0; round < 2000; round++) {
      const offset = random.below(48);
      const fields = [
        random.below(7),
        random.below(256),
        random.below(65536),
        random.u32(),
        random.u32(),
        random.u32(),
      ];
      writeHeader(view, offset, fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]);
      expect([
        headerType(bytes, offset),
        headerSubtype(bytes, offset),
        headerReserved(view, offset),
        headerRemoteIndex(view, offset),
        headerCounterHigh(view, offset),
        headerCounterLow(view, offset),
      ]).to.deep.equal(fields);
    }
  });
});
