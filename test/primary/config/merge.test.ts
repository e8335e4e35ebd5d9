import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseConfig } from '../../../src/primary/config/loader.ts';
import { mergeMaps } from '../../../src/primary/config/merge.ts';
import { formatProblem } from '../../../src/primary/config/problems.ts';
import { type ConfigNode, parseYaml } from '../../../src/primary/config/yamlTree.ts';
import { BASE, linesOf } from './support.ts';

function merge(...texts: readonly string[]): { value: unknown; problems: readonly string[] } {
  const maps = texts.map((text, index) => parseYaml(`${index + 1}.yml`, text).root!);
  const { root, problems } = mergeMaps(maps, { file: 'dir', line: 0 });
  return { value: plain(root), problems: problems.map(formatProblem) };
}

function plain(node: ConfigNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(plain);
    case 'map':
      return Object.fromEntries([...node.entries].map(([key, child]) => [key, plain(child)]));
  }
}

describe('merging files', () => {
  it('joins three files as Nebula does', () => {
    const { value, problems } = merge(
      'listen: {port: 1234}',
      'firewall: {inbound: [{port: 443, proto: tcp, groups: [server]}, {port: 443, proto: tcp, groups: [webapp]}]}',
      'listen: {host: 0.0.0.0, port: 4242}\n' +
        'firewall:\n  outbound: [{port: any, proto: any, host: any}]\n  inbound: [{port: any, proto: icmp, host: any}]',
    );
    expect(problems).to.deep.equal([]);
    expect(value).to.deep.equal({
      listen: { host: '0.0.0.0', port: 4242 },
      firewall: {
        inbound: [
          { port: 'any', proto: 'icmp', host: 'any' },
          { port: 443, proto: 'tcp', groups: ['server'] },
          { port: 443, proto: 'tcp', groups: ['webapp'] },
        ],
        outbound: [{ port: 'any', proto: 'any', host: 'any' }],
      },
    });
  });

  it('lets the later file override and add', () => {
    expect(merge('outer: {inner: hi}', 'outer: {inner: override}\nnew: hi').value).to.deep.equal({
      outer: { inner: 'override' },
      new: 'hi',
    });
  });

  it('puts the later list first', () => {
    expect(merge('a: [1, 2]', 'a: [3]', 'a: [4]').value).to.deep.equal({ a: [4, 3, 1, 2] });
  });

  for (const empty of ['false', '0', '""', 'null', '']) {
    it(`keeps the earlier value when the later is empty: ${empty || 'nothing'}`, () => {
      expect(merge('a: true', `a: ${empty}`).value).to.deep.equal({ a: true });
      expect(merge(`a: ${empty}`, 'a: true').value).to.deep.equal({ a: true });
    });
  }

  it('says so when an empty value does not undo an earlier one', () => {
    expect(merge('x: 1\na: true', 'a: false').problems).to.deep.equal([
      '2.yml:1: warning: a: the value here is empty (false, 0 or ""), so the one in 1.yml:2 stays in force; remove it there',
    ]);
    expect(merge('a: false', 'a: false').problems).to.deep.equal([]);
    expect(merge('a: 1', 'a: ~').problems).to.deep.equal([]);
  });

  it('treats a key without a value as absent, also against lists and maps', () => {
    expect(merge('a: [1]\nb: {c: 1}\nd:', 'a:\nb:\nd: [2]').value).to.deep.equal({ a: [1], b: { c: 1 }, d: [2] });
  });

  for (const [earlier, later, message] of [
    ['a: [1]', 'a: 1', '2.yml:1: a: a single value here, but a list in 1.yml:1; they cannot be merged'],
    ['b: {a: [1]}', 'b: {a: {c: 1}}', '2.yml:1: b.a: a map here, but a list in 1.yml:1; they cannot be merged'],
  ]) {
    it(`refuses ${earlier} with ${later}`, () => {
      expect(merge(earlier, later).problems).to.deep.equal([message]);
    });
  }

  const replaced = (later: string, earlier: string) =>
    `2.yml:1: warning: a: ${later} here takes the place of ${earlier} in 1.yml:1; remove one of them`;
  const kept = (later: string, earlier: string) =>
    `2.yml:1: warning: a: ${later} here that is empty, so ${earlier} in 1.yml:1 stays in force; remove one of them`;
  for (const [earlier, later, value, problem] of [
    ['a: true', 'a: {c: 1}', { c: 1 }, replaced('a map', 'a single value')],
    ['a: {c: 1}', 'a: true', true, replaced('a single value', 'a map')],
    ['a: 1', 'a: [1]', [1], replaced('a list', 'a single value')],
    ['a: {c: 1}', 'a: [1]', [1], replaced('a list', 'a map')],
    ['a: {c: 1}', 'a: false', { c: 1 }, kept('a single value', 'a map')],
    ['a: true', 'a: {}', true, kept('a map', 'a single value')],
  ] as const) {
    it(`lets the later of two kinds win, loudly, unless it is empty: ${earlier}, ${later}`, () => {
      expect(merge(earlier, later)).to.deep.equal({ value: { a: value }, problems: [problem] });
    });
  }

  it('refuses the configuration when a merge fails', () => {
    const sources = [
      { file: '1.yml', text: `${BASE}preferred_ranges: [10.0.0.0/8]\n` },
      { file: '2.yml', text: 'preferred_ranges: 10.0.0.0/8\n' },
    ];
    const { config, problems } = parseConfig(sources, 'dir');
    expect(config).to.equal(null);
    expect(problems.some((problem) => problem.message.includes('cannot be merged'))).to.equal(true);
  });

  it('reports a faulty value in the file that it came from', () => {
    const sources = [
      { file: '1.yml', text: BASE },
      { file: '2.yml', text: '\nlisten:\n  port: 4242\n' },
      { file: '3.yml', text: '\n\nlisten:\n  port: abc\npreferred_ranges: [x]\n' },
    ];
    expect(linesOf(parseConfig(sources, 'dir').problems)).to.deep.equal([
      '3.yml:4: warning: listen.port: expected a whole number from 0 to 65535, found "abc"; the default 0 is in force',
      '3.yml:5: warning: preferred_ranges[0]: expected a network as address/bits, such as 10.0.0.0/8 or fd00::/64, found "x"; it is ignored',
    ]);
  });
});
