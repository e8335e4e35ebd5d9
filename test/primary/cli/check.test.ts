import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { type Adviser, checkCommand, type Validator } from '../../../src/primary/cli/check.ts';
import { commandHint, usage } from '../../../src/primary/cli/usage.ts';
import { errorAt, warningAt } from '../../../src/primary/config/problems.ts';
import { versionCommand, weftVersion } from '../../../src/primary/version.ts';
import { BASE as CONFIG } from '../config/support.ts';

/** On lines 1 to 6 of a text that starts with it. */
const BASE = `${CONFIG}firewall: {inbound: [{port: any, proto: icmp, host: any}]}\n`;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function check(argv: readonly string[], validators: readonly Validator[] = [], advise?: Adviser): Outcome {
  let stdout = '';
  let stderr = '';
  const io = {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
  };
  const code = checkCommand(argv, io, validators, advise);
  return { code, stdout, stderr };
}

describe('weft check', () => {
  let directory: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-check-'));
  });

  after(() => {
    rmSync(directory, { recursive: true });
  });

  function write(text: string): string {
    const file = join(directory, 'config.yml');
    writeFileSync(file, text);
    return file;
  }

  it('sums up a usable configuration', () => {
    const file = write(`${BASE}routines: 2\ntun: {dev: weft1}\n`);
    const { code, stdout, stderr } = check(['-config', file]);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
    const words = stdout.replaceAll(/ {2,}/g, ' ');
    for (const line of [
      `${file}: usable`,
      'routines 2, flow cache 1s',
      'listen 0.0.0.0 port chosen by the kernel',
      'device weft1, MTU 1300, 0 routes',
      'role host of 10.0.0.1',
      'inbound 1 rule, else drop',
      'outbound 0 rules, else drop',
      'control /run/weft/weft1.sock',
    ]) {
      expect(words).to.include(line);
    }
  });

  it('closes with one line of advice on the machine, if there is any', () => {
    const file = write(`${BASE}cipher: aes\n`);
    const { stdout } = check(['-config', file], [], ({ cipher }) => `a faster library for ${cipher}`);
    expect(stdout.split('\n').slice(-2)).to.deep.equal(['a faster library for aes', '']);
    const broken = write(`${BASE}cipher: none\n`);
    expect(check(['-config', broken], [], () => 'advice').stdout).to.equal('');
  });

  it('prints warnings and still succeeds', () => {
    const file = write(`${BASE}listne: 1\n`);
    const { code, stderr } = check([`--config=${file}`]);
    expect(code).to.equal(0);
    expect(stderr).to.equal(`${file}:7: warning: listne: unknown key; did you mean listen?\n`);
  });

  it('takes a warning for a failure with -strict', () => {
    const warned = write(`${BASE}listne: 1\n`);
    expect(check(['-config', warned, '-strict'])).to.deep.include({ code: 1 });
    expect(check(['-config', warned, '-strict']).stderr).to.match(/: 1 warning\n$/);
    expect(check(['-strict', '-config', write(BASE)])).to.deep.include({ code: 0, stderr: '' });
    const wary: Validator = (_config, locate) => ({ problems: [warningAt(locate(['pki']), '', 'hm')], facts: [] });
    expect(check(['-strict', '-config', write(BASE)], [wary]).code).to.equal(1);
  });

  it('says that without rules everything is dropped', () => {
    const words = 'so every packet is dropped in both directions';
    expect(check(['-config', write(CONFIG)]).stderr).to.include(
      `:1: warning: firewall: there is no such section, ${words}`,
    );
    const empty = write(`${CONFIG}\nfirewall: {inbound: []}\n`);
    expect(check(['-config', empty]).stderr).to.include(`:7: warning: firewall: it has no rule, ${words}`);
  });

  it('prints all problems of an unusable one, and no summary', () => {
    const file = write(`${BASE}cipher: rot13\nlogging: {level: loud}\nroutines: many\n`);
    expect(check(['-config', file])).to.deep.equal({
      code: 1,
      stdout: '',
      stderr:
        `${file}:7: cipher: expected one of aes, chachapoly, found "rot13"\n` +
        `${file}:8: logging.level: expected one of trace, debug, info, warn, warning, error, fatal, panic, found "loud"\n` +
        `${file}:9: warning: routines: expected a whole number, found "many"; it is ignored\n` +
        `${file}: not usable, 2 errors\n`,
    });
  });

  it('asks further validators, with the place of a key', () => {
    const file = write(BASE);
    const faulty: Validator = (config, locate) => ({
      problems: [errorAt(locate(['pki', 'key']), 'pki.key', `no ${config.pki.key}`)],
      facts: [],
    });
    const wary: Validator = (_config, locate) => ({
      problems: [warningAt(locate(['pki', 'cert']), 'pki.cert', 'expires soon')],
      facts: [['identity', 'me']],
    });
    const warned = check(['-config', file], [wary]);
    expect(warned.code).to.equal(0);
    expect(warned.stdout).to.match(/identity +me\n/);
    const { code, stderr } = check(['-config', file], [faulty, wary]);
    expect(code).to.equal(1);
    expect(stderr).to.include(`${file}:1: pki.key: no host.key\n`).and.include('1 error\n');
  });

  it('never prints key material', () => {
    const pem =
      '-----BEGIN NEBULA X25519 PRIVATE KEY-----\n    QUJDREVGR0g=\n    -----END NEBULA X25519 PRIVATE KEY-----';
    const lighthouse = BASE.slice(BASE.indexOf('\n') + 1);
    const file = write(`pki:\n  ca: a\n  cert: b\n  key: |\n    ${pem}\n${lighthouse}`);
    const { code, stdout, stderr } = check(['-config', file]);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
    expect(stdout).to.not.include('QUJD');
  });

  it('explains how it is called', () => {
    expect(check(['-h']).stdout).to.include('weft check -config PATH');
    expect(check([])).to.deep.include({ code: 1, stdout: '' });
    expect(check([]).stderr).to.include('-config flag must be set');
    expect(check(['-conf', 'x'])).to.deep.include({ code: 2 });
    expect(check(['-config', 'x', 'y']).stderr).to.include('unexpected: y');
    const missing = join(directory, 'missing.yml');
    expect(check(['-config', missing])).to.deep.include({ code: 1 });
  });
});

describe('weft version and usage', () => {
  it('prints the version of the package', () => {
    let stdout = '';
    const io = { stdout: { write: (text: string) => (stdout += text) }, stderr: { write: () => true } };
    expect(versionCommand(io)).to.equal(0);
    expect(weftVersion()).to.match(/^\d+\.\d+\.\d+/);
    expect(stdout).to.match(/^weft \d+\.\d+\.\d+\S* \(node \d+\.\d+\.\d+, linux \w+\)\n$/);
  });

  it('names the command that was probably meant', () => {
    expect(commandHint('statsu')).to.equal('; did you mean status?');
    expect(commandHint('chekc')).to.equal('; did you mean check?');
    expect(commandHint('bake')).to.equal('');
  });

  it('names every command', () => {
    for (const command of ['run -config', 'check -config', 'cert ', 'demo', 'schema', 'version']) {
      expect(usage()).to.include(`weft ${command}`);
    }
  });
});
