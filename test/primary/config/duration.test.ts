import { expect } from 'chai';
import { describe, it } from 'mocha';
import { formatDuration, parseDuration } from '../../../src/primary/config/duration.ts';

describe('parseDuration', () => {
  const good: [string, number][] = [
    ['10s', 10_000],
    ['1m30s', 90_000],
    ['250ms', 250],
    ['8760h', 31_536_000_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['1.s', 1000],
    ['-2m', -120_000],
    ['+3s', 3000],
    ['0', 0],
    ['-0', 0],
    ['0s', 0],
    ['100us', 0.1],
    ['100\u00b5s', 0.1],
    ['100\u03bcs', 0.1],
    ['500000ns', 0.5],
    ['1h1h', 7_200_000],
  ];
  for (const [text, expected] of good) {
    it(`reads ${text}`, () => {
      expect(parseDuration(text)).to.be.closeTo(expected, 1e-9);
    });
  }

  for (const text of [
    '',
    '10',
    's',
    '-',
    '1d',
    '1w',
    '10 s',
    ' 10s',
    '1e3s',
    '.s',
    '1..5s',
    '1m30',
    '300000000h',
    '1_0s',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(parseDuration(text)).to.equal(null);
    });
  }
});

describe('formatDuration', () => {
  const cases: [number, string][] = [
    [0, '0s'],
    [31_536_000_000, '8760h0m0s'],
    [90_000, '1m30s'],
    [60_000, '1m0s'],
    [1500, '1.5s'],
    [250, '250ms'],
    [0.1, '100\u00b5s'],
    [0.0005, '500ns'],
    [-2000, '-2s'],
  ];
  for (const [durationMs, text] of cases) {
    it(`writes ${text}`, () => {
      expect(formatDuration(durationMs)).to.equal(text);
      expect(parseDuration(text)).to.equal(durationMs);
    });
  }
});
