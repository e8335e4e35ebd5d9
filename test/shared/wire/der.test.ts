import { expect } from 'chai';
import { describe, it } from 'mocha';
import { DerFault, DerReader, derElement, derIntegerContent, readDerInteger } from '../../../src/shared/wire/der.ts';
import { Random } from '../../support/random.ts';

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

describe('DerReader', () => {
  it('reads elements with short and long lengths', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65535, 65536]) {
      const content = new Uint8Array(length).fill(7);
      const encoded = derElement(0x30, content);
      const reader = new DerReader(encoded);
      expect(reader.read(0x30)).to.equal(0);
      expect(reader.content()).to.have.length(length);
      expect([reader.tagStart, reader.end, reader.isAtEnd]).to.deep.equal([0, encoded.length, true]);
    }
  });

  it('refuses lengths that are not minimal, indefinite, or too long', () => {
    const cases: [string, number][] = [
      ['', DerFault.Truncated],
      ['30', DerFault.Truncated],
      ['3001', DerFault.Truncated],
      ['3081', DerFault.Truncated],
      ['308201', DerFault.Truncated],
      ['308180', DerFault.Truncated],
      ['3080', DerFault.BadLength],
      ['308101aa', DerFault.BadLength],
      ['30817f', DerFault.BadLength],
      ['30820080', DerFault.BadLength],
      ['308500000000ff', DerFault.BadLength],
      ['3100', DerFault.WrongTag],
    ];
    for (const [text, fault] of cases) {
      const reader = new DerReader(hex(text));
      expect(reader.read(0x30), text).to.equal(fault);
      expect(reader.offset, text).to.equal(0);
    }
    expect(new DerReader(hex('1f0100')).read(0x1f)).to.equal(DerFault.WrongTag);
  });

  it('reads inside an element and not behind it', () => {
    const reader = new DerReader(hex('3006040101040102ff'));
    expect(reader.read(0x30)).to.equal(0);
    const inside = reader.inside();
    const values: number[] = [];
    while (!inside.isAtEnd) {
      expect(inside.read(0x04)).to.equal(0);
      values.push(inside.content()[0]);
    }
    expect(values).to.deep.equal([1, 2]);
    expect(inside.isNext(0xff)).to.equal(false);
    expect(reader.isNext(0xff)).to.equal(true);
  });
});

describe('DER integers', () => {
  const cases: [number, string][] = [
    [0, '00'],
    [127, '7f'],
    [128, '0080'],
    [255, '00ff'],
    [256, '0100'],
    [-1, 'ff'],
    [-128, '80'],
    [-129, 'ff7f'],
    [831254400, '318bef80'],
    [-62138358000, 'f18843e710'],
    [Number.MAX_SAFE_INTEGER, '1fffffffffffff'],
    [Number.MIN_SAFE_INTEGER, 'e0000000000001'],
  ];
  for (const [value, text] of cases) {
    it(`${value} is ${text}`, () => {
      expect(Buffer.from(derIntegerContent(value)).toString('hex')).to.equal(text);
      expect(readDerInteger(hex(text))).to.equal(value);
    });
  }

  it('refuses empty, padded and too large content', () => {
    for (const text of [
      '',
      '0000',
      '007f',
      'ffff',
      'ff80',
      '20000000000000',
      '7fffffffffffffff',
      '010000000000000000',
    ]) {
      expect(readDerInteger(hex(text)), text).to.equal(null);
    }
  });

  it('reads back every integer it writes', () => {
    const random = new Random(0x646572);
    for (let round = 0; round < 5000; round++) {
      const value = Math.floor((random.unit() - 0.5) * 2 ** (1 + random.below(53)));
      expect(readDerInteger(derIntegerContent(value))).to.equal(value === 0 ? 0 : value);
    }
  });
});
