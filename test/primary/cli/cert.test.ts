import { chmodSync, copyFileSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import decodeQr from 'qr/decode.js';
import type { CertIo } from '../../../src/primary/cli/cert/io.ts';
import { runCert } from '../../../src/primary/cli/cert/main.ts';
import { Curve } from '../../../src/shared/cert/certificate.ts';
import { loadIdentity } from '../../../src/shared/cert/identity.ts';
import { isEncryptedKey, parseEncryptedKey, parseKey } from '../../../src/shared/cert/keyFile.ts';
import { publicKeyOf } from '../../../src/shared/crypto/dh.ts';
import { NOW } from '../../support/certificates.ts';
import { CertTool, terminal } from '../../support/certTool.ts';
import { toHex } from '../../support/hex.ts';

const FAST_ARGON = ['-argon-memory', '64', '-argon-iterations', '1', '-argon-parallelism', '2'];

let tool: CertTool;
before(() => {
  tool = new CertTool(NOW);
});
after(() => tool.remove());

/** Runs what must fail and gives its standard error. */
async function failureOf(argv: readonly string[], options: Parameters<CertTool['run']>[1] = {}): Promise<string> {
  const { code, stdout, stderr } = await tool.run(argv, options);
  expect(code, stderr).to.equal(1);
  expect(stdout).to.equal('');
  expect(stderr).to.match(/^(Enter passphrase: \n)*Error: /);
  return stderr.replace(/^(Enter passphrase: \n)*Error: /, '');
}

async function makeCa(name: string, ...flags: readonly string[]): Promise<readonly string[]> {
  await tool.must([
    'ca',
    '-name',
    name,
    '-out-key',
    tool.path(`${name}.key`),
    '-out-crt',
    tool.path(`${name}.crt`),
    ...flags,
  ]);
  return ['-ca-key', tool.path(`${name}.key`), '-ca-crt', tool.path(`${name}.crt`)];
}

function outputsOf(name: string): readonly string[] {
  return ['-out-key', tool.path(`${name}.key`), '-out-crt', tool.path(`${name}.crt`)];
}

describe('weft cert', () => {
  it('shows its usage and its version', async () => {
    for (const flag of ['-h', '--help', '-help']) {
      const { code, stdout, stderr } = await tool.run([flag]);
      expect([code, stdout]).to.deep.equal([0, '']);
      for (const mode of ['ca', 'keygen', 'sign', 'print', 'verify', 'renew']) {
        expect(stderr).to.match(new RegExp(`^    ${mode} <flags>: \\S`, 'm'));
      }
    }
    const version = await tool.run(['-version']);
    expect([version.code, version.stdout]).to.match(/^0,Version: \d+\.\d+\.\d+/);
  });

  it('refuses no mode, an unknown mode and an unknown flag', async () => {
    expect(await failureOf([])).to.match(/^No mode was provided\nUsage of weft cert/);
    expect(await failureOf(['nope'])).to.match(/^unknown mode: nope\nUsage of weft cert/);
    expect((await tool.run(['-nope'])).code).to.equal(2);
  });

  it('has a usage with every flag and default for every mode', async () => {
    const flags: Record<string, string[]> = {
      ca: [
        'argon-iterations uint',
        'argon-memory uint',
        'argon-parallelism uint',
        'curve string',
        'duration duration',
        'encrypt',
        'groups string',
        'ips string',
        'name string',
        'networks string',
        'out-crt string',
        'out-key string',
        'out-qr string',
        'subnets string',
        'unsafe-networks string',
        'version uint',
      ],
      keygen: ['curve string', 'out-key string', 'out-pub string'],
      sign: [
        'ca-crt string',
        'ca-key string',
        'duration duration',
        'groups string',
        'in-pub string',
        'ip string',
        'name string',
        'networks string',
        'out-crt string',
        'out-key string',
        'out-qr string',
        'subnets string',
        'unsafe-networks string',
        'version uint',
      ],
      print: ['json', 'out-qr string', 'path string'],
      verify: ['ca string', 'crt string'],
      renew: [
        'ca string',
        'ca-crt string',
        'ca-key string',
        'crt string',
        'duration duration',
        'out-crt string',
        'within duration',
      ],
    };
    for (const [mode, expected] of Object.entries(flags)) {
      const { code, stdout, stderr } = await tool.run([mode, '-h']);
      expect([code, stdout]).to.deep.equal([0, '']);
      expect(stderr).to.match(new RegExp(`^Usage of weft cert ${mode} <flags>: .+\n  Pass "-" to any path flag `));
      expect([...stderr.matchAll(/^ {2}-(.*)$/gm)].map((match) => match[1])).to.deep.equal(expected);
    }
    const { stderr } = await tool.run(['ca', '-h']);
    for (const text of [
      '(default 8760h0m0s)',
      '(default 2097152)',
      '(default "ca.key")',
      '(default 2)',
      '(default 4)',
    ]) {
      expect(stderr).to.include(text);
    }
  });

  it('refuses unknown flags and stray words with the usage', async () => {
    expect(await failureOf(['ca', '-nope'])).to.match(/^flag provided but not defined: -nope\nUsage of weft cert ca/);
    expect(await failureOf(['ca', '-encrypt', 'false', '-name', 'x'])).to.match(/^unexpected argument: false\nUsage/);
    expect(await failureOf(['ca', '-duration', '10'])).to.match(/invalid value "10" for flag -duration/);
  });

  it('runs with the streams of a process', async () => {
    const written: string[] = [];
    const io: CertIo = {
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: { write: (text) => written.push(text) },
      env: process.env,
      now: Date.now,
    };
    expect(await runCert(['nope'], io)).to.equal(1);
    expect(written.join('')).to.match(/unknown mode/);
  });
});

describe('weft cert ca', () => {
  it('makes a version 2 CA for a year by default', async () => {
    await makeCa('default');
    const [ca] = tool.certificates('default.crt');
    expect(ca).to.include({ version: 2, name: 'default', isCa: true, issuer: '', curve: Curve.Curve25519 });
    expect([ca.notBefore, ca.notAfter]).to.deep.equal([NOW, NOW + 8760 * 3600]);
    expect([ca.networks, ca.unsafeNetworks, ca.groups]).to.deep.equal([[], [], []]);
    expect(tool.read('default.key')).to.match(/^-----BEGIN NEBULA ED25519 PRIVATE KEY-----\n/);
    expect([tool.mode('default.key'), tool.mode('default.crt')]).to.deep.equal([0o600, 0o600]);
  });

  it('takes every constraint, both versions, both curves and the old names of flags', async () => {
    await makeCa(
      'limited',
      '-networks=10.0.0.1/8, fd00::/8,,',
      '-unsafe-networks',
      '0.0.0.0/0',
      '-groups',
      ' a, b ,',
      '-duration',
      '90m',
      '-curve',
      'P256',
    );
    const [ca] = tool.certificates('limited.crt');
    expect(ca.networks.map((prefix) => prefix.text)).to.deep.equal(['10.0.0.1/8', 'fd00::/8']);
    expect(ca.unsafeNetworks.map((prefix) => prefix.text)).to.deep.equal(['0.0.0.0/0']);
    expect(ca.groups).to.deep.equal(['a', 'b']);
    expect([ca.curve, ca.notAfter]).to.deep.equal([Curve.P256, NOW + 5400]);
    expect(tool.read('limited.key')).to.match(/NEBULA ECDSA P256 PRIVATE KEY/);
    await makeCa('old', '-version', '1', '-ips', '10.0.0.0/8', '-subnets', '192.168.0.0/16', '-curve', 'X25519');
    const [old] = tool.certificates('old.crt');
    expect([old.version, old.networks[0].text, old.unsafeNetworks[0].text]).to.deep.equal([
      1,
      '10.0.0.0/8',
      '192.168.0.0/16',
    ]);
  });

  it('refuses bad flags', async () => {
    const paths = outputsOf('bad');
    const cases: [string[], RegExp][] = [
      [[], /^-name is required\nUsage/],
      [['-name', 'x', '-out-key', ''], /^-out-key is required\nUsage/],
      [['-name', 'x', '-out-crt='], /^-out-crt is required\nUsage/],
      [['-name', 'x', '-duration', '0'], /^-duration must be greater than 0\nUsage/],
      [['-name', 'x', '-duration', '-1h'], /^-duration must be greater than 0\nUsage/],
      [['-name', 'x', '-version', '3'], /^-version must be either 1 or 2\nUsage/],
      [['-name', 'x', '-curve', 'P384'], /^invalid curve: P384/],
      [['-name', 'x', '-networks', '10.0.0.0'], /^invalid -networks definition: 10\.0\.0\.0 .*\nUsage/],
      [['-name', 'x', '-ips', 'x/8'], /^invalid -ips definition: x\/8/],
      [['-name', 'x', '-unsafe-networks', '10.0.0.0/33'], /^invalid -unsafe-networks definition/],
      [
        ['-name', 'x', '-version', '1', '-networks', 'fd00::/8'],
        /^invalid -networks definition: v1 certificates can only be ipv4, have fd00::\/8\nUsage/,
      ],
      [['-name', 'x', '-version', '1', '-subnets', '::/0'], /v1 certificates can only be ipv4, have ::\/0\nUsage/],
      [['-name', 'x', '-encrypt', '-argon-memory', '0'], /^-argon-memory must be between .*\nUsage/],
      [['-name', 'x', '-encrypt', '-argon-memory', '4194304'], /^-argon-memory must be/],
      [['-name', 'x', '-encrypt', '-argon-parallelism', '256'], /^-argon-parallelism must be/],
      [['-name', 'x', '-encrypt', '-argon-iterations', '0'], /^-argon-iterations must be/],
      [['-name', 'x'.repeat(254)], /^error while signing: the name/],
      [['-name', 'x', '-out-key', '-', '-out-crt', '-'], /only one output may write to stdout\nUsage/],
    ];
    for (const [flags, expected] of cases) {
      expect(await failureOf(['ca', ...paths, ...flags]), flags.join(' ')).to.match(expected);
    }
    expect(existsSync(tool.path('bad.key')) || existsSync(tool.path('bad.crt'))).to.equal(false);
    await makeCa('unread', '-argon-memory', '0');
  });

  it('never overwrites a CA', async () => {
    await makeCa('precious');
    const before = tool.read('precious.key');
    const again = ['ca', '-name', 'x', ...outputsOf('precious')];
    expect(await failureOf(again)).to.match(/^refusing to overwrite existing CA key: .*precious\.key\n$/);
    expect(await failureOf([...again, '-out-key', tool.path('other.key')])).to.match(
      /^refusing to overwrite existing CA cert: .*precious\.crt\n$/,
    );
    expect(tool.read('precious.key')).to.equal(before);
    expect(existsSync(tool.path('other.key'))).to.equal(false);
    expect(await failureOf(['ca', '-name', 'x', '-out-key', '/nowhere/a', '-out-crt', '/nowhere/b'])).to.match(
      /^error while writing out-key: ENOENT/,
    );
  });

  it('writes to standard output', async () => {
    const run = await tool.run(['ca', '-name', 'x', '-out-key', tool.path('out.key'), '-out-crt', '-']);
    expect([run.code, run.stderr]).to.deep.equal([0, '']);
    expect(run.stdout).to.match(/^-----BEGIN NEBULA CERTIFICATE V2-----\n[^-]+-----END NEBULA CERTIFICATE V2-----\n$/);
  });
});

describe('weft cert ca -encrypt', () => {
  const flags = ['-encrypt', ...FAST_ARGON];

  it('takes the passphrase from the environment', async () => {
    for (const curve of ['25519', 'P256']) {
      const name = `env-${curve}`;
      await tool.must(['ca', '-name', 'x', ...outputsOf(name), ...flags, '-curve', curve], {
        env: { NEBULA_CA_PASSPHRASE: 'sesame' },
      });
      expect(tool.read(`${name}.key`)).to.match(/NEBULA (ED25519|ECDSA P256) ENCRYPTED PRIVATE KEY/);
      const file = readFileSync(tool.path(`${name}.key`));
      expect(isEncryptedKey(file)).to.equal(true);
      expect(parseEncryptedKey(file, Buffer.from('sesame')).bytes).to.have.length(curve === 'P256' ? 32 : 64);
      expect(tool.mode(`${name}.key`)).to.equal(0o600);
    }
  });

  it('asks for it, up to five times, without echo and with editing keys', async () => {
    const run = await tool.run(['ca', '-name', 'x', ...outputsOf('asked'), ...flags], {
      typed: ['\r', '\n', 'wrong\u0015sesamä\u007f\u007fmex\b\r'],
    });
    expect([run.code, run.stdout]).to.deep.equal([0, '']);
    expect(run.stderr).to.equal('Enter passphrase: \n'.repeat(3));
    expect(parseEncryptedKey(readFileSync(tool.path('asked.key')), Buffer.from('sesame')).bytes).to.have.length(64);
    const sign = [
      'sign',
      '-name',
      'h',
      '-ip',
      '10.0.0.1/8',
      '-ca-key',
      tool.path('asked.key'),
      '-ca-crt',
      tool.path('asked.crt'),
    ];
    const signed = await tool.run([...sign, ...outputsOf('asked-host')], { typed: ['sesame\r'] });
    expect([signed.code, signed.stderr]).to.deep.equal([0, 'Enter passphrase: \n']);
    expect(await failureOf([...sign, ...outputsOf('no')], { typed: ['sesam\r'] })).to.match(
      /^error while parsing ca-key: invalid passphrase or corrupt private key/,
    );
    expect(await failureOf([...sign, ...outputsOf('no')], { typed: Array(5).fill('\r') })).to.equal(
      'cannot open encrypted ca-key without passphrase\n',
    );
    expect(await failureOf([...sign, ...outputsOf('no')])).to.equal(
      'ca-key is encrypted and must be decrypted interactively\n',
    );
  });

  it('gives up without a terminal, without a passphrase and on Ctrl-C, and leaves the terminal as it was', async () => {
    const argv = ['ca', '-name', 'x', ...outputsOf('given-up'), ...flags];
    expect(await failureOf(argv)).to.equal('out-key must be encrypted interactively\n');
    expect(await failureOf(argv, { typed: Array(5).fill('\r') })).to.equal(
      'no passphrase specified, remove -encrypt flag to write out-key in plaintext\n',
    );
    expect(await failureOf(argv, { typed: ['abc\u0003'] })).to.equal('interrupted\n');
    expect(existsSync(tool.path('given-up.key'))).to.equal(false);
    const keyboard = terminal(['\r', 'x\r']);
    const sink = { write: () => true };
    const io: CertIo = { stdin: keyboard, stdout: sink, stderr: sink, env: {}, now: () => NOW * 1000 };
    expect(await runCert(argv, io)).to.equal(0);
    expect(keyboard.modes).to.deep.equal([true, false, true, false]);
  });
});

describe('weft cert keygen', () => {
  it('writes a pair on either curve and overwrites with mode 0600', async () => {
    for (const curve of ['25519', 'P256']) {
      writeFileSync(tool.path('pair.key'), 'something longer than a key file'.repeat(50));
      chmodSync(tool.path('pair.key'), 0o644);
      await tool.must([
        'keygen',
        '-curve',
        curve,
        '-out-key',
        tool.path('pair.key'),
        '-out-pub',
        tool.path('pair.pub'),
      ]);
      const key = parseKey(readFileSync(tool.path('pair.key')), 'host private');
      const publicKey = parseKey(readFileSync(tool.path('pair.pub')), 'host public');
      expect(toHex(publicKey.bytes)).to.equal(toHex(publicKeyOf(key.curve, key.bytes)!));
      expect([tool.mode('pair.key'), tool.mode('pair.pub')]).to.deep.equal([0o600, 0o600]);
    }
  });

  it('refuses bad flags', async () => {
    expect(await failureOf(['keygen', '-out-pub', 'x'])).to.match(/^-out-key is required\nUsage/);
    expect(await failureOf(['keygen', '-out-key', 'x'])).to.match(/^-out-pub is required\nUsage/);
    expect(await failureOf(['keygen', '-out-key', '-', '-out-pub', '-'])).to.match(/^-out-key and -out-pub both set/);
    expect(await failureOf(['keygen', '-out-key', 'x', '-out-pub', 'y', '-curve', 'z'])).to.match(/^invalid curve: z/);
  });
});

describe('weft cert sign', () => {
  let ca: readonly string[] = [];
  let ca1: readonly string[] = [];
  before(async () => {
    ca = await makeCa('sign-ca', '-duration', '100h', '-groups', 'a,b');
    ca1 = await makeCa('sign-ca1', '-duration', '100h', '-version', '1');
  });

  it('makes key and certificate in the version of the CA, until a second before its end', async () => {
    await tool.must([
      'sign',
      ...ca,
      '-name',
      'h',
      '-networks',
      'fd00::1/64,10.0.0.2/8,10.0.0.1/8',
      '-groups',
      'a',
      ...outputsOf('h'),
    ]);
    const [host] = tool.certificates('h.crt');
    expect(host).to.include({ version: 2, name: 'h', isCa: false, notBefore: NOW, notAfter: NOW + 360_000 - 1 });
    expect(host.networks.map((prefix) => prefix.text)).to.deep.equal(['10.0.0.1/8', '10.0.0.2/8', 'fd00::1/64']);
    expect([tool.mode('h.key'), tool.mode('h.crt')]).to.deep.equal([0o600, 0o600]);
    const settings = { ca: tool.path('sign-ca.crt'), cert: tool.path('h.crt'), key: tool.path('h.key'), blocklist: [] };
    const identity = loadIdentity({ ...settings, initiatingVersion: null }, NOW);
    expect([identity.initiatingVersion, identity.warnings]).to.deep.equal([2, []]);
    await tool.must([
      'sign',
      ...ca1,
      '-name',
      'o',
      '-ip',
      '10.0.0.1/8',
      '-subnets',
      '1.0.0.0/8,2.0.0.0/8',
      ...outputsOf('o'),
    ]);
    expect(tool.certificates('o.crt')[0]).to.include({ version: 1, name: 'o' });
  });

  it('makes the version and duration that are asked for', async () => {
    for (const [signer, version] of [
      [ca, '1'],
      [ca1, '2'],
    ] as const) {
      const name = `asked${version}`;
      await tool.must([
        'sign',
        ...signer,
        '-name',
        'h',
        '-networks',
        '10.0.0.1/8',
        '-version',
        version,
        '-duration',
        '1h',
        ...outputsOf(name),
      ]);
      expect(tool.certificates(`${name}.crt`)[0]).to.include({ version: Number(version), notAfter: NOW + 3600 });
    }
  });

  it('signs a public key from a file or from standard input, and then writes no key', async () => {
    await tool.must(['keygen', '-out-key', tool.path('in.key'), '-out-pub', tool.path('in.pub')]);
    const argv = ['sign', ...ca, '-name', 'in', '-networks', '10.0.0.9/8'];
    await tool.must([...argv, '-in-pub', tool.path('in.pub'), '-out-crt', tool.path('in.crt')]);
    const run = await tool.run([...argv, '-in-pub', '-', '-out-crt', '-'], { stdin: tool.read('in.pub') });
    expect([run.code, run.stderr]).to.deep.equal([0, '']);
    expect(run.stdout).to.equal(tool.read('in.crt'));
    const key = parseKey(readFileSync(tool.path('in.key')), 'host private');
    expect(toHex(tool.certificates('in.crt')[0].publicKey)).to.equal(toHex(publicKeyOf(key.curve, key.bytes)!));
  });

  it('refuses bad flags', async () => {
    const cases: [string[], RegExp][] = [
      [['-networks', '10.0.0.1/8'], /^-name is required\nUsage/],
      [['-name', 'x'], /^-networks is required\nUsage/],
      [['-name', 'x', '-networks', ','], /at least one network/],
      [
        ['-name', 'x', '-networks', '10.0.0.1/8', '-in-pub', 'a', '-out-key', 'b'],
        /^cannot set both -in-pub and -out-key\nUsage/,
      ],
      [['-name', 'x', '-networks', '10.0.0.1/8', '-version', '3'], /^-version must be either 1 or 2\nUsage/],
      [
        ['-name', 'x', '-networks', '10.0.0.1/8,10.0.0.2/8', '-version', '1'],
        /^invalid -networks definition: v1 certificates can only have a single ipv4 address\nUsage/,
      ],
      [['-name', 'x', '-networks', 'fd00::1/8', '-version', '1'], /can only be ipv4, have fd00::1\/8/],
      [['-name', 'x', '-networks', '10.0.0.1'], /^invalid -networks definition/],
      [
        ['-name', 'x', '-networks', '10.0.0.1/8', '-groups', 'a,c'],
        /^error while signing: certificate contained a group not present on the signing ca: c\n$/,
      ],
      [
        ['-name', 'x', '-networks', '10.0.0.1/8', '-duration', '101h'],
        /^error while signing: certificate expires after signing certificate\n$/,
      ],
      [
        ['-name', 'x', '-networks', '10.0.0.1/8', '-ca-key', '-', '-ca-crt', '-'],
        /^-ca-key and -ca-crt both set to "-", only one input may read from stdin/,
      ],
      [
        ['-name', 'x', '-networks', '10.0.0.1/8', '-out-crt', '-', '-out-qr', '-'],
        /only one output may write to stdout/,
      ],
      [['-name', 'x', '-networks', '10.0.0.1/8', '-ca-key', '/nowhere'], /^error while reading ca-key: ENOENT/],
      [
        ['-name', 'x', '-networks', '10.0.0.1/8', '-ca-key', tool.path('sign-ca.crt')],
        /^error while parsing ca-key: .*banner/,
      ],
      [
        ['-name', 'x', '-networks', '10.0.0.1/8', '-ca-crt', tool.path('sign-ca.key')],
        /^error while parsing ca-crt: .*banner/,
      ],
      [
        ['-name', 'x', '-networks', '10.0.0.1/8', '-ca-crt', tool.path('sign-ca1.crt')],
        /^refusing to sign, root certificate does not match private key/,
      ],
      [
        ['-name', 'x', '-networks', '10.0.0.1/8', '-in-pub', tool.path('sign-ca.key')],
        /^error while parsing in-pub: .*banner/,
      ],
    ];
    for (const [flags, expected] of cases) {
      expect(await failureOf(['sign', ...ca, '-out-crt', tool.path('bad.crt'), ...flags]), flags.join(' ')).to.match(
        expected,
      );
    }
    await tool.must(['keygen', '-curve', 'P256', '-out-key', tool.path('p.key'), '-out-pub', tool.path('p.pub')]);
    const argv = ['sign', ...ca, '-name', 'x', '-networks', '10.0.0.1/8', '-in-pub', tool.path('p.pub')];
    expect(await failureOf([...argv, '-out-crt', tool.path('bad.crt')])).to.match(/^curve of in-pub does not match ca/);
    expect(existsSync(tool.path('bad.crt')) || existsSync(tool.path('x.key'))).to.equal(false);
  });

  it('never overwrites, and does not sign with an expired CA', async () => {
    const argv = ['sign', ...ca, '-name', 'x', '-networks', '10.0.0.1/8'];
    await tool.must([...argv, ...outputsOf('once')]);
    expect(await failureOf([...argv, ...outputsOf('once')])).to.match(
      /^refusing to overwrite existing cert: .*once\.crt/,
    );
    expect(await failureOf([...argv, '-out-key', tool.path('once.key'), '-out-crt', tool.path('twice.crt')])).to.match(
      /^refusing to overwrite existing key: .*once\.key/,
    );
    expect(existsSync(tool.path('twice.crt'))).to.equal(false);
    tool.now = NOW + 360_001;
    expect(await failureOf([...argv, ...outputsOf('late')])).to.equal('ca certificate is expired\n');
    tool.now = NOW;
  });

  it('works on P-256', async () => {
    const p256 = await makeCa('sign-p256', '-curve', 'P256');
    await tool.must(['sign', ...p256, '-name', 'h', '-networks', '10.0.0.1/8', ...outputsOf('p256-host')]);
    expect(tool.read('p256-host.key')).to.match(/NEBULA P256 PRIVATE KEY/);
    await tool.must(['verify', '-ca', tool.path('sign-p256.crt'), '-crt', tool.path('p256-host.crt')]);
  });
});

describe('weft cert print', () => {
  before(async () => {
    const ca = await makeCa('print-ca', '-version', '1', '-groups', 'a', '-duration', '240h');
    await tool.must([
      'sign',
      ...ca,
      '-name',
      '<h>\u001b[31m',
      '-networks',
      '10.0.0.1/8',
      '-version',
      '2',
      '-duration',
      '47h',
      ...outputsOf('print'),
    ]);
    writeFileSync(tool.path('both.crt'), tool.read('print-ca.crt') + tool.read('print.crt'));
  });

  it('shows tables with the time that is left', async () => {
    const { code, stdout } = await tool.run(['print', '-path', tool.path('both.crt')]);
    expect(code).to.equal(0);
    const [first, second] = stdout.split('\n\n');
    expect(first).to.match(/^Name +print-ca\nKind +CA certificate, version 1\nNetworks +any\n/);
    expect(first).to.match(/^Groups +a$/m);
    expect(first).to.match(/^Valid until +2027-01-25T08:00:00Z \(10 days left\)$/m);
    expect(second).to.match(/^Name +<h>\\u\{1b\}\[31m\nKind +host certificate, version 2\nNetworks +10\.0\.0\.1\/8\n/);
    expect(second).to.match(/^Unsafe networks {2}none$/m);
    expect(second).to.match(/^Valid until .*\(47 hours left\)$/m);
    expect(second).to.include(tool.certificates('print.crt')[0].fingerprint);
    tool.now = NOW + 60 * 86_400;
    expect((await tool.run(['print', '-path', tool.path('print.crt')])).stdout).to.match(/EXPIRED 58 days ago/);
    tool.now = NOW - 86_400;
    expect((await tool.run(['print', '-path', tool.path('print.crt')])).stdout).to.match(
      /NOT YET VALID, starts in 24 hours/,
    );
    tool.now = NOW;
  });

  it('prints the JSON of nebula-cert', async () => {
    const { code, stdout } = await tool.run(['print', '-json', '-path', '-'], { stdin: tool.read('both.crt') });
    expect(code).to.equal(0);
    const [ca, host] = [tool.certificates('print-ca.crt')[0], tool.certificates('print.crt')[0]];
    const zone = '(?:Z|[+-]\\d\\d:\\d\\d)';
    const time = `"20\\d\\d-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d${zone}"`;
    const escaped = (text: string): string => text.replaceAll(/[[\]{}()\\.*+?$^|]/g, '\\$&');
    expect(stdout).to.match(
      new RegExp(
        `^\\[${escaped('{"details":{"curve":"CURVE25519","groups":["a"],"isCa":true,"issuer":"","name":"print-ca","networks":[],')}` +
          `"notAfter":${time},"notBefore":${time},"publicKey":"${toHex(ca.publicKey)}","unsafeNetworks":\\[\\]},` +
          `"fingerprint":"${ca.fingerprint}","signature":"${toHex(ca.signature)}","version":1},` +
          `${escaped('{"curve":"CURVE25519","details":{"groups":null,"isCa":false,"issuer":"')}${ca.fingerprint}` +
          `${escaped('","name":"\\u003ch\\u003e\\u001b[31m","networks":["10.0.0.1/8"],')}` +
          `"notAfter":${time},"notBefore":${time},"unsafeNetworks":null},` +
          `"fingerprint":"${host.fingerprint}","publicKey":"${toHex(host.publicKey)}",` +
          `"signature":"${toHex(host.signature)}","version":2}\\]\\n$`,
      ),
    );
    const parsed: unknown = JSON.parse(stdout);
    expect(parsed).to.have.nested.property('[1].details.name', '<h>\u001b[31m');
    expect(Date.parse((parsed as { details: { notAfter: string } }[])[1].details.notAfter)).to.equal(
      host.notAfter * 1000,
    );
  });

  it('draws a QR code that reads back as the PEM text', async () => {
    const run = await tool.run(['print', '-path', tool.path('print.crt'), '-out-qr', '-']);
    expect([run.code, run.stderr]).to.deep.equal([0, '']);
    expect(readQr(run.stdoutBytes)).to.equal(tool.read('print.crt'));
    await tool.must(['ca', '-name', 'q', ...outputsOf('qr'), '-out-qr', tool.path('qr.png')]);
    expect(readQr(readFileSync(tool.path('qr.png')))).to.equal(tool.read('qr.crt'));
    expect(tool.mode('qr.png')).to.equal(0o600);
  });

  it('refuses what is no certificate', async () => {
    writeFileSync(tool.path('empty.crt'), '');
    expect(await failureOf(['print'])).to.match(/^-path is required\nUsage/);
    expect(await failureOf(['print', '-path', '/nowhere'])).to.match(/^error while reading path: ENOENT/);
    expect(await failureOf(['print', '-path', tool.path('print.key')])).to.match(/certificate banner/);
    expect(await failureOf(['print', '-path', tool.path('empty.crt')])).to.match(/empty/);
    const long = Array(12).fill(tool.read('print.crt')).join('');
    expect(await failureOf(['print', '-path', '-', '-out-qr', '-'], { stdin: long })).to.match(
      /qr code: \d+ bytes do not fit/,
    );
  });
});

describe('weft cert verify', () => {
  let ca: readonly string[] = [];
  before(async () => {
    ca = await makeCa('verify-ca', '-duration', '100h');
    await makeCa('verify-other');
    await tool.must([
      'sign',
      ...ca,
      '-name',
      'h',
      '-networks',
      '10.0.0.1/8',
      '-duration',
      '10h',
      ...outputsOf('verify'),
    ]);
  });

  it('is silent about good certificates', async () => {
    writeFileSync(tool.path('bundle.crt'), `${tool.read('verify-other.crt')}# second\n${tool.read('verify-ca.crt')}\n`);
    await tool.must(['verify', '-ca', tool.path('bundle.crt'), '-crt', tool.path('verify.crt')]);
    await tool.must(['verify', '-ca', '-', '-crt', tool.path('verify.crt')], { stdin: tool.read('verify-ca.crt') });
  });

  it('says what is wrong and with what it was compared', async () => {
    const verify = (caName: string, name: string): Promise<string> =>
      failureOf(['verify', '-ca', tool.path(caName), '-crt', tool.path(name)]);
    const issuer = tool.certificates('verify-ca.crt')[0].fingerprint;
    expect(await verify('verify-other.crt', 'verify.crt')).to.equal(
      `error while verifying certificate v2 h with issuer ${issuer}: could not find ca for the certificate ` +
        `(no CA here has the fingerprint ${issuer})\n`,
    );
    tool.now = NOW + 36_001;
    expect(await verify('verify-ca.crt', 'verify.crt')).to.match(
      /: certificate is expired \(it is valid from .* until 2027-/,
    );
    tool.now = NOW + 360_001;
    expect(await verify('verify-ca.crt', 'verify.crt')).to.match(
      /: root certificate is expired \(the CA "verify-ca" is valid/,
    );
    tool.now = NOW;
    writeFileSync(tool.path('two.crt'), tool.read('verify-ca.crt') + tool.read('verify.crt'));
    expect(await verify('verify-other.crt', 'two.crt')).to.match(/no issuer in certificate .*\n.*could not find ca/);
    expect(await verify('verify.crt', 'verify.crt')).to.match(
      /^error while adding ca cert to pool: certificate is not a CA/,
    );
    expect(await verify('verify-ca.crt', 'verify.key')).to.match(/^error while parsing crt: /);
    expect(await failureOf(['verify', '-crt', 'x'])).to.match(/^-ca is required\nUsage/);
    expect(await failureOf(['verify', '-ca', 'x'])).to.match(/^-crt is required\nUsage/);
  });
});

describe('weft cert renew', () => {
  let ca: readonly string[] = [];
  before(async () => {
    ca = await makeCa('renew-ca', '-duration', '1000h');
  });

  it('keeps everything but the validity, of both versions in a file', async () => {
    await tool.must(['keygen', '-out-key', tool.path('r.key'), '-out-pub', tool.path('r.pub')]);
    const sign = [
      'sign',
      ...ca,
      '-name',
      'r',
      '-networks',
      '10.0.0.1/8',
      '-groups',
      'g,h',
      '-in-pub',
      tool.path('r.pub'),
    ];
    for (const version of ['1', '2']) {
      await tool.must([...sign, '-version', version, '-duration', '10h', '-out-crt', tool.path(`r${version}.crt`)]);
    }
    writeFileSync(tool.path('r.crt'), tool.read('r1.crt') + tool.read('r2.crt'), { mode: 0o644 });
    const before = tool.certificates('r.crt');
    tool.now = NOW + 20 * 3600;
    await tool.must(['renew', ...ca, '-crt', tool.path('r.crt'), '-duration', '5h']);
    const renewed = tool.certificates('r.crt');
    expect(renewed.map((certificate) => certificate.version)).to.deep.equal([1, 2]);
    for (const [index, certificate] of renewed.entries()) {
      const { notBefore, notAfter, signature, encoded, fingerprint, ...same } = certificate;
      expect(before[index]).to.deep.include(same);
      expect([notBefore, notAfter]).to.deep.equal([tool.now, tool.now + 5 * 3600]);
      expect(before[index].fingerprint).to.not.equal(fingerprint);
      expect(signature.length + encoded.length).to.be.greaterThan(64);
    }
    expect(tool.mode('r.crt')).to.equal(0o600);
    await tool.must(['verify', '-ca', tool.path('renew-ca.crt'), '-crt', tool.path('r.crt')]);
    tool.now = NOW;
  });

  it('does nothing while the end is far', async () => {
    await tool.must(['sign', ...ca, '-name', 'w', '-networks', '10.0.0.1/8', '-duration', '100h', ...outputsOf('w')]);
    symlinkSync(tool.path('w.crt'), tool.path('w-link.crt'));
    const argv = ['renew', ...ca, '-crt', tool.path('w-link.crt'), '-within', '50h'];
    const before = tool.read('w.crt');
    await tool.must(argv);
    expect(tool.read('w.crt')).to.equal(before);
    tool.now = NOW + 50 * 3600;
    await tool.must(argv);
    expect(tool.certificates('w.crt')[0]).to.include({ notBefore: tool.now, notAfter: NOW + 3_600_000 - 1 });
    expect(tool.read('w-link.crt')).to.equal(tool.read('w.crt'));
    tool.now = NOW;
  });

  it('moves to a new CA when the old one is named', async () => {
    const next = await makeCa('renew-next');
    await tool.must(['sign', ...ca, '-name', 'm', '-networks', '10.0.0.1/8', ...outputsOf('m')]);
    copyFileSync(tool.path('m.crt'), tool.path('m-old.crt'));
    const argv = ['renew', ...next, '-crt', tool.path('m-old.crt'), '-out-crt', tool.path('m-new.crt')];
    expect(await failureOf(argv)).to.match(/^refusing to renew v2 "m": its issuer \w+ is neither -ca-crt nor/);
    await tool.must([...argv, '-ca', tool.path('renew-ca.crt')]);
    await tool.must(['verify', '-ca', tool.path('renew-next.crt'), '-crt', tool.path('m-new.crt')]);
    expect(tool.read('m-old.crt')).to.equal(tool.read('m.crt'));
    const run = await tool.run(['renew', ...ca, '-crt', '-'], { stdin: tool.read('m.crt') });
    expect([run.code, run.stdout]).to.match(/^0,-----BEGIN NEBULA CERTIFICATE V2/);
  });

  it('refuses to sign what the CA never signed', async () => {
    const pem = tool.read('m.crt').split('\n');
    const content = Buffer.from(pem.slice(1, -2).join(''), 'base64');
    content[content.length - 1] ^= 1;
    writeFileSync(tool.path('forged.crt'), `${pem[0]}\n${content.toString('base64')}\n${pem.at(-2)}\n`);
    expect(await failureOf(['renew', ...ca, '-crt', tool.path('forged.crt')])).to.match(
      /^refusing to renew v2 "m": its issuer "renew-ca" did not sign it/,
    );
    expect(await failureOf(['renew', ...ca, '-crt', tool.path('renew-ca.crt')])).to.match(/it is a CA certificate/);
    expect(await failureOf(['renew', ...ca])).to.match(/^-crt is required\nUsage/);
    expect(await failureOf(['renew', ...ca, '-crt', 'x', '-duration', '-1h'])).to.match(/negative\nUsage/);
    expect(await failureOf(['renew', ...ca, '-crt', tool.path('m.crt'), '-duration', '2000h'])).to.match(
      /^error while signing: certificate expires after/,
    );
  });
});

/** Reads a black-and-white PNG without filters and the QR code in it. */
function readQr(png: Buffer): string {
  expect(png.subarray(0, 8).toString('hex')).to.equal('89504e470d0a1a0a');
  const chunks: Record<string, Buffer> = {};
  for (let offset = 8; offset < png.length; ) {
    const length = png.readUInt32BE(offset);
    chunks[png.toString('latin1', offset + 4, offset + 8)] = png.subarray(offset + 8, offset + 8 + length);
    offset += length + 12;
  }
  const [width, height] = [chunks['IHDR'].readUInt32BE(0), chunks['IHDR'].readUInt32BE(4)];
  expect([...chunks['IHDR'].subarray(8)]).to.deep.equal([1, 0, 0, 0, 0]);
  const lines = inflateSync(chunks['IDAT']);
  const lineBytes = 1 + Math.ceil(width / 8);
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const isWhite = (lines[y * lineBytes + 1 + (x >> 3)] & (0x80 >> (x & 7))) !== 0;
      data.fill(isWhite ? 255 : 0, (y * width + x) * 4, (y * width + x) * 4 + 4);
      data[(y * width + x) * 4 + 3] = 255;
    }
  }
  return decodeQr({ width, height, data });
}
