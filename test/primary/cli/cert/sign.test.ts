import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { loadIdentity } from '../../../../src/primary/pki/identity.ts';
import { parseKey } from '../../../../src/primary/pki/keyFile.ts';
import { publicKeyOf } from '../../../../src/shared/crypto/dh.ts';
import { NOW } from '../../../support/certificates.ts';
import { CertTool } from '../../../support/certTool.ts';
import { toHex } from '../../../support/hex.ts';

describe('weft cert sign', () => {
  const tool = new CertTool(NOW);
  after(() => tool.remove());

  let ca: readonly string[] = [];
  let ca1: readonly string[] = [];
  before(async () => {
    ca = await tool.makeCa('sign-ca', '-duration', '100h', '-groups', 'a,b');
    ca1 = await tool.makeCa('sign-ca1', '-duration', '100h', '-version', '1');
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
      ...tool.outputs('h'),
    ]);
    const [host] = tool.certificates('h.crt');
    expect(host).to.include({ version: 2, name: 'h', isCa: false, notBefore: NOW, notAfter: NOW + 360_000 - 1 });
    expect(host.networks.map((prefix) => prefix.text)).to.deep.equal(['10.0.0.1/8', '10.0.0.2/8', 'fd00::1/64']);
    expect([tool.mode('h.key'), tool.mode('h.crt')]).to.deep.equal([0o600, 0o600]);
    const settings = {
      ca: tool.path('sign-ca.crt'),
      cert: tool.path('h.crt'),
      key: tool.path('h.key'),
      blocklist: [],
      blocklistKeys: [],
    };
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
      ...tool.outputs('o'),
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
        ...tool.outputs(name),
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
      expect(await tool.failure(['sign', ...ca, '-out-crt', tool.path('bad.crt'), ...flags]), flags.join(' ')).to.match(
        expected,
      );
    }
    await tool.must(['keygen', '-curve', 'P256', '-out-key', tool.path('p.key'), '-out-pub', tool.path('p.pub')]);
    const argv = ['sign', ...ca, '-name', 'x', '-networks', '10.0.0.1/8', '-in-pub', tool.path('p.pub')];
    expect(await tool.failure([...argv, '-out-crt', tool.path('bad.crt')])).to.match(
      /^curve of in-pub does not match ca/,
    );
    expect(existsSync(tool.path('bad.crt')) || existsSync(tool.path('x.key'))).to.equal(false);
  });

  it('never overwrites, and does not sign with an expired CA', async () => {
    const argv = ['sign', ...ca, '-name', 'x', '-networks', '10.0.0.1/8'];
    await tool.must([...argv, ...tool.outputs('once')]);
    expect(await tool.failure([...argv, ...tool.outputs('once')])).to.match(
      /^refusing to overwrite existing cert: .*once\.crt/,
    );
    expect(
      await tool.failure([...argv, '-out-key', tool.path('once.key'), '-out-crt', tool.path('twice.crt')]),
    ).to.match(/^refusing to overwrite existing key: .*once\.key/);
    expect(existsSync(tool.path('twice.crt'))).to.equal(false);
    tool.now = NOW + 360_001;
    expect(await tool.failure([...argv, ...tool.outputs('late')])).to.equal('ca certificate is expired\n');
    tool.now = NOW;
  });

  it('works on P-256', async () => {
    const p256 = await tool.makeCa('sign-p256', '-curve', 'P256');
    await tool.must(['sign', ...p256, '-name', 'h', '-networks', '10.0.0.1/8', ...tool.outputs('p256-host')]);
    expect(tool.read('p256-host.key')).to.match(/NEBULA P256 PRIVATE KEY/);
    await tool.must(['verify', '-ca', tool.path('sign-p256.crt'), '-crt', tool.path('p256-host.crt')]);
  });
});

describe('weft cert verify', () => {
  const tool = new CertTool(NOW);
  after(() => tool.remove());

  let ca: readonly string[] = [];
  before(async () => {
    ca = await tool.makeCa('verify-ca', '-duration', '100h');
    await tool.makeCa('verify-other');
    await tool.must([
      'sign',
      ...ca,
      '-name',
      'h',
      '-networks',
      '10.0.0.1/8',
      '-duration',
      '10h',
      ...tool.outputs('verify'),
    ]);
  });

  it('is silent about good certificates', async () => {
    writeFileSync(tool.path('bundle.crt'), `${tool.read('verify-other.crt')}# second\n${tool.read('verify-ca.crt')}\n`);
    await tool.must(['verify', '-ca', tool.path('bundle.crt'), '-crt', tool.path('verify.crt')]);
    await tool.must(['verify', '-ca', '-', '-crt', tool.path('verify.crt')], { stdin: tool.read('verify-ca.crt') });
  });

  it('says what is wrong and with what it was compared', async () => {
    const verify = (caName: string, name: string): Promise<string> =>
      tool.failure(['verify', '-ca', tool.path(caName), '-crt', tool.path(name)]);
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
    expect(await tool.failure(['verify', '-crt', 'x'])).to.match(/^-ca is required\nUsage/);
    expect(await tool.failure(['verify', '-ca', 'x'])).to.match(/^-crt is required\nUsage/);
  });
});
