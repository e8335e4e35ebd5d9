import { expect } from 'chai';
import { describe, it } from 'mocha';
import { isLegacyOctal, resolvePlainScalar } from '../../../src/primary/config/plainScalar.ts';

describe('plain scalars', () => {
  for (const [text, value] of [
    ['', null],
    ['~', null],
    ['Null', null],
    ['true', true],
    ['FALSE', false],
    ['yes', 'yes'],
    ['off', 'off'],
    ['0', 0],
    ['-0', 0],
    ['+12', 12],
    ['-7', -7],
    ['0x1F', 31],
    ['0o17', 15],
    ['017', 15],
    ['0b101', 5],
    ['1_000', 1000],
    ['08', '08'],
    ['1e3', '1e3'],
    ['1.5', '1.5'],
    ['0x', '0x'],
    ['10s', '10s'],
    ['10.0.0.1', '10.0.0.1'],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', '9007199254740992'],
    ['2001-01-01', '2001-01-01'],
    ['1:30', '1:30'],
  ] as const) {
    it(`reads ${JSON.stringify(text)} as ${JSON.stringify(value)}`, () => {
      expect(resolvePlainScalar(text)).to.equal(value);
    });
  }

  it('knows octal numbers that do not look like it', () => {
    expect(['010', '-0755', '0_10'].map(isLegacyOctal)).to.deep.equal([true, true, true]);
    expect(['0', '00', '0o10', '10', '0x10', '08'].map(isLegacyOctal)).to.deep.equal(Array(6).fill(false));
  });
});
