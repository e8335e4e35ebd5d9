import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, describe, it } from 'mocha';
import type { CertIo } from '../../../../src/primary/cli/cert/io.ts';
import { runCert } from '../../../../src/primary/cli/cert/main.ts';
import { isEncryptedKey, parseEncryptedKey } from '../../../../src/primary/pki/keyFile.ts';
import { Curve } from '../../../../src/shared/crypto/curve.ts';
import { NOW } from '../../../support/certificates.ts';
import { CertTool, terminal } from '../../../support/certTool.ts';

const FAST_ARGON = ['-argon-memory', '64', '-argon-iterations', '1', '-argon-parallelism', '2'];

describe('weft cert ca', () => {
  const tool = new CertTool(NOW);
  after(() => tool.remove());

  it('makes a version 2 CA for a year by default', async () => {
    await tool.makeCa('default');
    const [ca] = tool.certificates('default.crt');
    expect(ca).to.include({ version: 2, name: 'default', isCa: true, issuer: '', curve: Curve.Curve25519 });
    expect([ca.notBefore, ca.notAfter]).to.deep.equal([NOW, NOW + 8760 * 3600]);
    expect([ca.networks, ca.unsafeNetworks, ca.groups]).to.deep.equal([[], [], []]);
    expect(tool.read('default.key')).to.match(/^-----BEGIN NEBULA ED25519 PRIVATE KEY-----\n/);
    expect([tool.mode('default.key'), tool.mode('default.crt')]).to.deep.equal([0o600, 0o600]);
  });

  it('takes every constraint, both versions, both curves and the old names of flags', async () => {
    await tool.makeCa(
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
    await tool.makeCa('old', '-version', '1', '-ips', '10.0.0.0/8', '-subnets', '192.168.0.0/16', '-curve', 'X25519');
    const [old] = tool.certificates('old.crt');
    expect([old.version, old.networks[0].text, old.unsafeNetworks[0].text]).to.deep.equal([
      1,
      '10.0.0.0/8',
      '192.168.0.0/16',
    ]);
  });

  it('refuses bad flags', async () => {
    const paths = tool.outputs('bad');
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
      expect(await tool.failure(['ca', ...paths, ...flags]), flags.join(' ')).to.match(expected);
    }
    expect(existsSync(tool.path('bad.key')) || existsSync(tool.path('bad.crt'))).to.equal(false);
    await tool.makeCa('unread', '-argon-memory', '0');
  });

  it('never overwrites a CA', async () => {
    await tool.makeCa('precious');
    const before = tool.read('precious.key');
    const again = ['ca', '-name', 'x', ...tool.outputs('precious')];
    expect(await tool.failure(again)).to.match(/^refusing to overwrite existing CA key: .*precious\.key\n$/);
    expect(await tool.failure([...again, '-out-key', tool.path('other.key')])).to.match(
      /^refusing to overwrite existing CA cert: .*precious\.crt\n$/,
    );
    expect(tool.read('precious.key')).to.equal(before);
    expect(existsSync(tool.path('other.key'))).to.equal(false);
    expect(await tool.failure(['ca', '-name', 'x', '-out-key', '/nowhere/a', '-out-crt', '/nowhere/b'])).to.match(
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
  const tool = new CertTool(NOW);
  after(() => tool.remove());

  const flags = ['-encrypt', ...FAST_ARGON];

  it('takes the passphrase from the environment', async () => {
    for (const curve of ['25519', 'P256']) {
      const name = `env-${curve}`;
      await tool.must(['ca', '-name', 'x', ...tool.outputs(name), ...flags, '-curve', curve], {
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
    const run = await tool.run(['ca', '-name', 'x', ...tool.outputs('asked'), ...flags], {
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
    const signed = await tool.run([...sign, ...tool.outputs('asked-host')], { typed: ['sesame\r'] });
    expect([signed.code, signed.stderr]).to.deep.equal([0, 'Enter passphrase: \n']);
    expect(await tool.failure([...sign, ...tool.outputs('no')], { typed: ['sesam\r'] })).to.match(
      /^error while parsing ca-key: invalid passphrase or corrupt private key/,
    );
    expect(await tool.failure([...sign, ...tool.outputs('no')], { typed: Array(5).fill('\r') })).to.equal(
      'cannot open encrypted ca-key without passphrase\n',
    );
    expect(await tool.failure([...sign, ...tool.outputs('no')])).to.equal(
      'ca-key is encrypted and must be decrypted interactively\n',
    );
  });

  it('gives up without a terminal, without a passphrase and on Ctrl-C, and leaves the terminal as it was', async () => {
    const argv = ['ca', '-name', 'x', ...tool.outputs('given-up'), ...flags];
    expect(await tool.failure(argv)).to.equal('out-key must be encrypted interactively\n');
    expect(await tool.failure(argv, { typed: Array(5).fill('\r') })).to.equal(
      'no passphrase specified, remove -encrypt flag to write out-key in plaintext\n',
    );
    expect(await tool.failure(argv, { typed: ['abc\u0003'] })).to.equal('interrupted\n');
    expect(existsSync(tool.path('given-up.key'))).to.equal(false);
    const keyboard = terminal(['\r', 'x\r']);
    const sink = { write: () => true };
    const io: CertIo = { stdin: keyboard, stdout: sink, stderr: sink, env: {}, now: () => NOW * 1000 };
    expect(await runCert(argv, io)).to.equal(0);
    expect(keyboard.modes).to.deep.equal([true, false, true, false]);
  });
});
