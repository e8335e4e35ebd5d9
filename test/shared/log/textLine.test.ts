import { expect } from 'chai';
import { describe, it } from 'mocha';
import { textLine } from '../../../src/shared/log/textLine.ts';

describe('text lines', () => {
  for (const [value, words] of [
    ['plain', 'plain'],
    ['', '""'],
    ['two words', '"two words"'],
    ['a=b', '"a=b"'],
    ['say "hi"', '"say \\"hi\\""'],
    ['tab\t', '"tab\\t"'],
    ['grün', '"grün"'],
    [5, '5'],
    [true, 'true'],
    [null, 'null'],
    [[], '[]'],
    [['a'], '[a]'],
    [['a', 1], '"[a 1]"'],
    [[{ a: 1 }], '"[{\\"a\\":1}]"'],
  ] as const) {
    it(`prints ${JSON.stringify(value)} as ${words}`, () => {
      expect(textLine(JSON.stringify({ level: 'INFO', msg: 'm', key: value }))).to.equal(
        `level=INFO msg=m key=${words}\n`,
      );
    });
  }

  it('joins the names of nested objects', () => {
    const line = { level: 'INFO', handshake: { stage: 1, style: 'ix' }, time: 'T', msg: 'm', 'odd key': 1 };
    expect(textLine(JSON.stringify(line))).to.equal(
      'time=T level=INFO msg=m handshake.stage=1 handshake.style=ix "odd key"=1\n',
    );
  });
});
