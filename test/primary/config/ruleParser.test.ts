import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parsePortRange } from '../../../src/primary/config/portRange.ts';
import { parseRules } from '../../../src/primary/config/ruleParser.ts';
import { readLists, rulesOf } from '../../shared/firewall/certificates.ts';

function problemsOf(outbound: unknown): readonly string[] {
  return readLists([], outbound).problems;
}

function warningsOf(rule: unknown): readonly string[] {
  const { problems, warnings } = parseRules([rule], true);
  expect(problems).to.deep.equal([]);
  expect(warnings.every(({ index }) => index === 0)).to.equal(true);
  return warnings.map(({ message }) => message);
}

describe('firewall port', () => {
  const accepted: readonly (readonly [string, number, number])[] = [
    [' 1 - 2    ', 1, 2],
    ['0-1', 0, 0],
    ['0-65535', 0, 0],
    ['0', 0, 0],
    ['any', 0, 0],
    ['fragment', -1, -1],
    ['9919', 9919, 9919],
    ['65535', 65535, 65535],
    ['65535-65535', 65535, 65535],
  ];
  for (const [text, start, end] of accepted) {
    it(`takes "${text}"`, () => expect(parsePortRange(text)).to.deep.equal({ start, end }));
  }

  const refused: readonly (readonly [string, string])[] = [
    ['', 'was not a number; ``'],
    ['  ', 'was not a number; `  `'],
    ['-', 'appears to be a range but could not be parsed; `-`'],
    [' - ', 'appears to be a range but could not be parsed; ` - `'],
    ['-1', 'appears to be a range but could not be parsed; `-1`'],
    ['1-', 'appears to be a range but could not be parsed; `1-`'],
    ['a-b', 'beginning range was not a number; `a`'],
    ['1-b', 'ending range was not a number; `b`'],
    ['1--1', 'ending range was not a number; `-1`'],
    ['65536', 'out of range [0,65535]; `65536`'],
    ['4294967296', 'out of range [0,65535]; `4294967296`'],
    ['1-65536', 'ending range out of range [0,65535]; `65536`'],
    ['65536-65537', 'beginning range out of range [0,65535]; `65536`'],
    ['0x10', 'was not a number; `0x10`'],
    ['1e3', 'was not a number; `1e3`'],
    [' 42', 'was not a number; ` 42`'],
    ['４２', 'was not a number; `４２`'],
    ['4\u00002', 'was not a number; `4\u00002`'],
    ['+1', 'was not a number; `+1`'],
  ];
  for (const [text, reason] of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parsePortRange(text)).to.equal(reason));
  }
});

describe('firewall rules', () => {
  const cases: readonly (readonly [string, unknown, string])[] = [
    [
      'port and code',
      { port: 1, code: 2, host: 'h', proto: 'any' },
      'only one of port or code should be provided; `1` and `2`',
    ],
    [
      'no selector',
      { port: 1, proto: 'any' },
      'at least one of host, group, cidr, local_cidr, ca_name, or ca_sha must be provided',
    ],
    [
      'a bad code',
      { code: 'a', host: 'h', proto: 'any' },
      'code was not a number; `a`, expected any, fragment, a number or a range such as 8000-8080',
    ],
    ['no protocol', { code: 1, host: 'h' }, 'proto was not understood; ``, expected any, tcp, udp or icmp'],
    [
      'another protocol',
      { port: 1, host: 'h', proto: 'TCP' },
      'proto was not understood; `TCP`, expected any, tcp, udp or icmp',
    ],
    [
      'no port',
      { host: 'h', proto: 'tcp' },
      'port was not a number; ``, expected any, fragment, a number or a range such as 8000-8080',
    ],
    ['an empty range', { port: '5-4', host: 'h', proto: 'tcp' }, '`start port was lower than end port`; `5-4`'],
    [
      'group and groups',
      { port: 1, proto: 'any', group: 'a', groups: ['b'] },
      'only one of group or groups should be defined, both provided; `a` and `b`',
    ],
    [
      'two groups under group',
      { port: 1, proto: 'any', group: ['a', 'b'], host: 'x' },
      'group should contain a single value, an array with more than one entry was provided; `[a b]`, write groups',
    ],
    ['no map', 'asdf', 'could not parse rule'],
    ['a list', [1], 'could not parse rule'],
  ];
  for (const [title, rule, text] of cases) {
    it(`names the rule with ${title}`, () => {
      expect(problemsOf([rule])).to.deep.equal([`firewall.outbound rule #0; ${text}`]);
    });
  }

  it('names a bad cidr and what a right one looks like', () => {
    for (const key of ['cidr', 'local_cidr']) {
      const [problem] = problemsOf([{ code: 1, [key]: 'testh', proto: 'any' }]);
      expect(problem).to.match(new RegExp(`^firewall\\.outbound rule #0; ${key} did not parse; \`testh\``));
    }
    expect(problemsOf([{ port: 1, proto: 'any', cidr: '1.2.3.4/33' }])).to.have.length(1);
  });

  it('refuses what is not a list, and takes a missing one as empty', () => {
    expect(problemsOf('asdf')).to.deep.equal(['firewall.outbound failed to parse, should be an array of rules']);
    expect(readLists({ a: 1 }, []).problems).to.deep.equal([
      'firewall.inbound failed to parse, should be an array of rules',
    ]);
    expect(readLists(undefined, null)).to.deep.equal({ inbound: [], outbound: [], problems: [], warnings: [] });
  });

  it('reports every problem of every rule at once', () => {
    const lists = readLists([{}, { port: 'x', proto: 'tcp', cidr: 'y' }, { port: 1, proto: 'tcp', host: 'h' }], [7]);
    expect(lists.inbound.map(({ index }) => index)).to.deep.equal([2]);
    expect(lists.problems.map((text) => text.slice(0, text.indexOf(';')))).to.deep.equal([
      'firewall.outbound rule #0',
      'firewall.inbound rule #0',
      'firewall.inbound rule #0',
      'firewall.inbound rule #1',
      'firewall.inbound rule #1',
    ]);
  });

  it('turns values into text before it reads them', () => {
    const table = rulesOf({ inbound: [{ port: 443, proto: 'tcp', host: 17, groups: [1, true] }] });
    expect(table.inbound[0]).to.deep.include({ host: '17', groups: ['1', 'true'], ports: { start: 443, end: 443 } });
    expect(table.inbound[0].text).to.equal('port: 443, proto: tcp, host: 17, groups: [1, true]');
    const single = rulesOf({ inbound: [{ port: 'any', proto: 'any', groups: 'web' }] });
    expect(single.inbound[0].groups).to.deep.equal(['web']);
  });

  it('needs no port for icmp, and says when one is ignored', () => {
    expect(warningsOf({ proto: 'icmp', host: 'any' })).to.deep.equal([]);
    expect(warningsOf({ proto: 'icmp', host: 'any', port: 'any' })).to.deep.equal([]);
    expect(warningsOf({ proto: 'icmp', host: 'any', port: 8 })[0]).to.match(/^ignoring port specification for ICMP/);
    expect(rulesOf({ inbound: [{ proto: 'icmp', host: 'any', port: 8 }] }).inbound[0].ports.start).to.equal(0);
  });

  it('warns about selectors that surely match nothing', () => {
    const base = { port: 1, proto: 'tcp' };
    for (const [more, warning] of [
      [{ groups: 'a, b' }, '`a, b` is the name of one group; for several write groups: [a, b]'],
      [{ groups: ['x', 'a b'] }, '`a b` is the name of one group; for several write groups: [a, b]'],
      [{ group: 'a,b' }, '`a,b` is the name of one group; for several write groups: [a, b]'],
      [{ host: '10.0.0.1' }, 'no name is `10.0.0.1`; for an address write cidr'],
      [{ host: 'fd00::/64' }, 'no name is `fd00::/64`; for an address write cidr'],
    ] as const) {
      expect(warningsOf({ ...base, ...more }).join(), JSON.stringify(more)).to.include(warning);
    }
    expect(warningsOf({ ...base, host: 'laptop', cidr: '10.0.0.1/32' })).to.deep.equal([]);
  });

  it('warns about selectors that do not matter', () => {
    const base = { port: 1, proto: 'tcp' };
    expect(warningsOf({ ...base, groups: ['any', 'a'] })[0]).to.match(/sanity check; groups \[any a\] contains any/);
    expect(warningsOf({ ...base, host: 'any', group: 'a' })[0]).to.match(/host is any, so groups/);
    expect(warningsOf({ ...base, host: 'h', group: 'any' })[0]).to.match(/so host h does not matter/);
    expect(warningsOf({ ...base, group: 'any', cidr: '10.0.0.0/8' })[0]).to.match(/cidr 10.0.0.0\/8 does not matter/);
    expect(warningsOf({ ...base, group: 'a', cidr: 'any' })[0]).to.match(/cidr is any/);
    expect(warningsOf({ ...base, ca_name: 'a', ca_sha: 'b' })[0]).to.match(/either of them suffices/);
    expect(warningsOf({ code: 1, proto: 'tcp', host: 'h' })[0]).to.match(/code \[1\]/);
    expect(warningsOf({ ...base, group: ['a'] })).to.deep.equal([
      'group was an array with a single value, converting to simple value',
    ]);
    expect(warningsOf({ ...base, host: 'any', hots: 'x' })).to.deep.equal(['unknown key `hots` is ignored']);
    expect(warningsOf({ ...base, host: 'any', ca_name: null })[0]).to.match(/ca_name has no value/);
    expect(warningsOf({ ...base, host: 'any' })).to.deep.equal([]);
  });

  it('hashes the rules as Nebula does: outbound lines, then inbound lines', () => {
    // Figures of an independent implementation over the two documented lines.
    const table = rulesOf({
      outbound: [{ port: 'any', proto: 'any', host: 'any' }],
      inbound: [{ port: '80-90', proto: 'tcp', groups: ['a', 'b'], cidr: '10.0.0.0/8', ca_sha: 'ff' }],
    });
    expect(table.hash).to.equal(`SHA:${EXPECTED_SHA},FNV:${EXPECTED_FNV}`);
    expect(table.hashNumber).to.equal(EXPECTED_FNV);
  });
});

const EXPECTED_SHA = '650385db0ec8c88f2facc24567dc35b78011fd401fa0f91879354a592e8cc606';
const EXPECTED_FNV = 1191078742;
