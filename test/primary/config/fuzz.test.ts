import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseConfig } from '../../../src/primary/config/loader.ts';
import { formatProblem } from '../../../src/primary/config/problems.ts';
import { Random } from '../../support/random.ts';

const EXAMPLE = readFileSync('deploy/weft.example.yml', 'utf8').replaceAll(/^\s*#.*\n/gm, '');
const PIECES = [
  ' ',
  '\n',
  ':',
  '-',
  '[',
  ']',
  '{',
  '}',
  '"',
  "'",
  '&a ',
  '*a',
  '!!int ',
  '|',
  '>',
  '~',
  '%',
  '\t',
  '#',
  '<<: ',
  '0',
  '-1',
  'é',
  '\u0000',
  '? ',
  ', ',
];

describe('damaged configurations', () => {
  it('give problems or a configuration, never an exception', () => {
    const random = new Random(20260102);
    let usable = 0;
    for (let round = 0; round < 1500; round++) {
      let text = EXAMPLE;
      for (let edits = 1 + random.below(4); edits > 0; edits--) {
        const at = random.below(text.length);
        const removed = random.bool() ? random.below(12) : 0;
        text = text.slice(0, at) + (random.bool() ? random.pick(PIECES) : '') + text.slice(at + removed);
      }
      const { config, problems } = parseConfig([{ file: 'f', text }], 'f');
      if (config === null) {
        expect(problems.some((problem) => problem.severity === 'error')).to.equal(true);
      } else {
        usable++;
      }
      for (const problem of problems) {
        expect(formatProblem(problem)).to.match(/^f(?::\d+)?: ./s);
      }
    }
    expect(usable).to.be.within(100, 1400);
  });
});
