import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  boolFlag,
  describeFlags,
  durationFlag,
  parseFlags,
  stringFlag,
  uintFlag,
} from '../../../src/primary/cli/flags.ts';

const specs = {
  name: stringFlag('Required: a name'),
  path: stringFlag('Where', 'ca.crt'),
  encrypt: boolFlag('Encrypt it'),
  memory: uintFlag('KiB', 65536),
  duration: durationFlag('How long', 8760 * 3_600_000),
};

function valuesOf(...argv: string[]) {
  const parsed = parseFlags(specs, argv);
  if (parsed.kind !== 'flags') {
    throw new Error(JSON.stringify(parsed));
  }
  return parsed;
}

function errorOf(...argv: string[]): string {
  const parsed = parseFlags(specs, argv);
  return parsed.kind === 'error' ? parsed.message : `no error: ${parsed.kind}`;
}

describe('parseFlags', () => {
  it('gives the fallbacks when nothing is given', () => {
    expect(valuesOf().values).to.deep.equal({
      name: '',
      path: 'ca.crt',
      encrypt: false,
      memory: 65536,
      duration: 31_536_000_000,
    });
    expect(valuesOf().given.size).to.equal(0);
  });

  it('takes one or two dashes and a value behind = or in the next argument', () => {
    for (const argv of [['-name', 'a=b'], ['--name', 'a=b'], ['-name=a=b'], ['--name=a=b']]) {
      expect(valuesOf(...argv).values.name).to.equal('a=b');
    }
    expect(valuesOf('-name=').values.name).to.equal('');
    expect([...valuesOf('-name=').given]).to.deep.equal(['name']);
    expect(valuesOf('-name', '-encrypt').values).to.include({ name: '-encrypt', encrypt: false });
    expect(valuesOf('-path', '-').values.path).to.equal('-');
  });

  it('takes a boolean alone or with =', () => {
    expect(valuesOf('-encrypt').values.encrypt).to.equal(true);
    expect(valuesOf('-encrypt=F').values.encrypt).to.equal(false);
    const parsed = valuesOf('-encrypt', 'false', '-name', 'x');
    expect(parsed.values.encrypt).to.equal(true);
    expect(parsed.rest).to.deep.equal(['false', '-name', 'x']);
  });

  it('reads numbers and durations', () => {
    expect(valuesOf('-memory', '0x10').values.memory).to.equal(16);
    expect(valuesOf('-memory', '010').values.memory).to.equal(8);
    expect(valuesOf('-duration', '1h30m').values.duration).to.equal(5_400_000);
  });

  it('lets the last of repeated flags count and ends at -- or a plain word', () => {
    expect(valuesOf('-name', 'a', '-name', 'b').values.name).to.equal('b');
    expect(valuesOf('--', '-name', 'a').rest).to.deep.equal(['-name', 'a']);
    expect(valuesOf('word', '-name', 'a').rest).to.deep.equal(['word', '-name', 'a']);
    expect(valuesOf('-').rest).to.deep.equal(['-']);
  });

  it('says what is wrong', () => {
    expect(errorOf('-nope')).to.equal('flag provided but not defined: -nope');
    expect(errorOf('-nmae')).to.equal('flag provided but not defined: -nmae; did you mean -name?');
    expect(errorOf('-constructor')).to.equal('flag provided but not defined: -constructor');
    expect(errorOf('-name')).to.equal('flag needs an argument: -name');
    expect(errorOf('---name')).to.equal('bad flag syntax: ---name');
    expect(errorOf('-=x')).to.equal('bad flag syntax: -=x');
    expect(errorOf('-memory', '-1')).to.match(/^invalid value "-1" for flag -memory: /);
    expect(errorOf('-memory', '09')).to.match(/for flag -memory/);
    expect(errorOf('-encrypt=maybe')).to.match(/for flag -encrypt: expected true or false/);
    expect(errorOf('-duration', '10')).to.match(/for flag -duration: .*units/);
  });

  it('knows help unless the flag is declared', () => {
    for (const flag of ['-h', '--h', '-help', '--help']) {
      expect(parseFlags(specs, [flag])).to.deep.equal({ kind: 'help' });
    }
    const parsed = parseFlags({ h: boolFlag('own') }, ['-h']);
    expect(parsed.kind === 'flags' && parsed.values.h).to.equal(true);
  });
});

describe('describeFlags', () => {
  it('lists flags alphabetically with type and default', () => {
    expect(describeFlags(specs)).to.equal(
      [
        '  -duration duration',
        '    \tHow long (default 8760h0m0s)',
        '  -encrypt',
        '    \tEncrypt it',
        '  -memory uint',
        '    \tKiB (default 65536)',
        '  -name string',
        '    \tRequired: a name',
        '  -path string',
        '    \tWhere (default "ca.crt")',
        '',
      ].join('\n'),
    );
  });
});
