import { expect } from 'chai';
import { describe, it } from 'mocha';
import { formatProblem } from '../../../src/primary/config/problems.ts';
import { parseYaml } from '../../../src/primary/config/yamlTree.ts';
import { complaints } from './support.ts';

function faultOf(source: string): string {
  const { root, problems } = parseYaml('f', source);
  expect(root).to.equal(null);
  return formatProblem(problems[0]);
}

describe('mistakes that a YAML reader notices further down', () => {
  for (const [source, bracket, line] of [
    ['a: 1\nb: [1, 2\nkey: 3\n', '[', 2],
    ['a:\n  - {b: 1\n  - {b: 2}\nc: 4\n', '{', 2],
    ['a: {b: [1, 2}\nc: 1\n', '[', 1],
    ['a: [\n  x: {y: 1\n]\n', '{', 2],
    ['# it\'s [\na: "["\nb: "x]" # [\nc: x[1\nd: [1,\n  2,\ne: 1\n', '[', 5],
    ['k: |\n  [[[\n  {\nb: [1\n', '[', 4],
  ] as const) {
    it(`are a bracket that is not closed: ${JSON.stringify(source)}`, () => {
      const words = `not valid YAML: the "${bracket}" that opens here is not closed (`;
      expect(faultOf(source)).to.satisfy((text: string) => text.startsWith(`f:${line}: ${words}`));
    });
  }

  for (const [source, line] of [
    ['inbound:\n  - port:443\n    proto: tcp\n', 2],
    ['listen:\n  host: x\n  port:443\nb: 1\n', 3],
    ['inbound:\n  - proto: tcp\n    port:443\n    host: any\n', 3],
  ] as const) {
    it(`are a colon without a blank: ${JSON.stringify(source)}`, () => {
      expect(faultOf(source)).to.satisfy((text: string) =>
        text.startsWith(`f:${line}: not valid YAML: a blank is missing after "port:" (`),
      );
    });
  }

  it('are told with the line that the reader names when it is neither', () => {
    expect(faultOf('a: b: c\nd: [x]\n')).to.match(/^f:1: not valid YAML: (?!the|a blank)/);
  });

  it('are a colon without a blank where the text is valid, but no map', () => {
    expect(complaints('listen:\n  port:443\nfirewall:\n  inbound:\n    - port:443\n')).to.deep.equal([
      '10: firewall.inbound[0]: expected a map, with a blank after each colon, found "port:443"',
      '7: warning: listen: expected a map of settings, with a blank after each colon, found "port:443"; it is ignored',
    ]);
  });
});
