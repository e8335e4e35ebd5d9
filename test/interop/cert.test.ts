/**
 * `weft cert` beside Debian's nebula-cert 1.6.1, which knows version 1 on curve 25519: each prints, verifies and signs
 * with what the other made.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { CaPool } from '../../src/primary/pki/caPool.ts';
import { loadIdentity } from '../../src/primary/pki/identity.ts';
import { parseKey } from '../../src/primary/pki/keyFile.ts';
import { CertTool } from '../support/certTool.ts';
import { toHex } from '../support/hex.ts';

const NEBULA_CERT = '/usr/bin/nebula-cert';

/** The JSON of 1.6.1, one object a certificate. */
interface NebulaJson {
  readonly details: {
    readonly name: string;
    readonly ips: readonly string[];
    readonly subnets: readonly string[];
    readonly groups: readonly string[];
    readonly notBefore: string;
    readonly notAfter: string;
    readonly publicKey: string;
    readonly isCa: boolean;
    readonly issuer: string;
  };
  readonly fingerprint: string;
  readonly signature: string;
}

const tool = new CertTool(Math.floor(Date.now() / 1000), true);

function nebula(...argv: readonly string[]): string {
  return execFileSync(NEBULA_CERT, argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function caOf(name: string): readonly string[] {
  return ['-ca-key', tool.path(`${name}.key`), '-ca-crt', tool.path(`${name}.crt`)];
}

/** Both programs must say the same of a certificate. */
function comparePrints(name: string): void {
  const theirs: NebulaJson = JSON.parse(nebula('print', '-json', '-path', tool.path(`${name}.crt`)));
  const [ours] = tool.certificates(`${name}.crt`);
  expect(ours).to.include({
    name: theirs.details.name,
    isCa: theirs.details.isCa,
    issuer: theirs.details.issuer,
    fingerprint: theirs.fingerprint,
    notBefore: Date.parse(theirs.details.notBefore) / 1000,
    notAfter: Date.parse(theirs.details.notAfter) / 1000,
  });
  expect(ours.networks.map((prefix) => prefix.text)).to.deep.equal(theirs.details.ips);
  expect(ours.unsafeNetworks.map((prefix) => prefix.text)).to.deep.equal(theirs.details.subnets);
  expect(ours.groups).to.deep.equal(theirs.details.groups);
  expect(toHex(ours.publicKey)).to.equal(theirs.details.publicKey);
  expect(toHex(ours.signature)).to.equal(theirs.signature);
}

describe('weft cert and nebula-cert', () => {
  const limits = ['-ips', '10.0.0.0/8,192.168.0.0/16', '-subnets', '172.16.0.0/12', '-groups', 'a,b,ü'];
  const host = ['-ip', '10.1.2.3/16', '-subnets', '172.16.0.0/24,172.17.0.0/16', '-groups', 'a,ü'];

  after(() => tool.remove());

  before(async () => {
    nebula('ca', '-name', 'their ca', '-duration', '48h', ...limits, ...tool.outputs('theirs'));
    await tool.must(['ca', '-name', 'our ca', '-version', '1', '-duration', '48h', ...limits, ...tool.outputs('ours')]);
    nebula('sign', '-name', 'their/their', ...host, ...caOf('theirs'), ...tool.outputs('their-host'));
    await tool.must(['sign', '-name', 'our/their', ...host, ...caOf('theirs'), ...tool.outputs('our-host-their-ca')]);
    nebula('sign', '-name', 'their/our', ...host, ...caOf('ours'), ...tool.outputs('their-host-our-ca'));
    await tool.must(['sign', '-name', 'our/our', ...host, ...caOf('ours'), ...tool.outputs('our-host')]);
  });

  it('print the same', () => {
    for (const name of ['theirs', 'ours', 'their-host', 'our-host-their-ca', 'their-host-our-ca', 'our-host']) {
      comparePrints(name);
    }
  });

  it('verify what either signed with either CA', async () => {
    for (const [ca, name] of [
      ['theirs', 'their-host'],
      ['theirs', 'our-host-their-ca'],
      ['ours', 'their-host-our-ca'],
      ['ours', 'our-host'],
    ]) {
      const argv = ['verify', '-ca', tool.path(`${ca}.crt`), '-crt', tool.path(`${name}.crt`)];
      expect(nebula(...argv)).to.equal('');
      await tool.must(argv);
    }
  });

  it('refuse the same, with the same exit code', async () => {
    const cross = ['verify', '-ca', tool.path('theirs.crt'), '-crt', tool.path('our-host.crt')];
    const bare = ['-name', 'x', '-ip', '10.1.2.3/16', ...caOf('ours')];
    const cases = [
      cross,
      ['verify', '-ca', tool.path('ours.crt'), '-crt', tool.path('ours.key')],
      ['sign', ...bare, '-groups', 'c', ...tool.outputs('refused')],
      ['sign', ...bare, '-subnets', '1.0.0.0/8', ...tool.outputs('refused')],
      ['sign', ...bare, '-ip', '11.0.0.1/8', ...tool.outputs('refused')],
      ['sign', ...bare, '-duration', '49h', ...tool.outputs('refused')],
      ['sign', ...bare, ...tool.outputs('our-host')],
      ['sign', ...bare, '-ca-key', tool.path('theirs.key'), ...tool.outputs('refused')],
      ['ca', '-name', 'x', ...tool.outputs('ours')],
      ['print', '-path', tool.path('ours.key')],
      ['keygen', '-out-key', tool.path('refused.key')],
      ['nope'],
      [],
    ];
    for (const argv of cases) {
      const theirs = spawnSync(NEBULA_CERT, argv, { encoding: 'utf8' });
      const ours = await tool.run(argv);
      expect(ours.code, argv.join(' ')).to.equal(theirs.status);
      expect(ours.stdout).to.equal('');
    }
    // 1.6.1 ends every constraint with this sentence's words, and so do we.
    const theirs = spawnSync(NEBULA_CERT, ['sign', ...bare, '-groups', 'c', ...tool.outputs('refused')], {
      encoding: 'utf8',
    });
    const ours = await tool.run(['sign', ...bare, '-groups', 'c', ...tool.outputs('refused')]);
    expect(ours.stderr).to.match(/group not present on the signing ca: c\n$/);
    expect(`${theirs.stdout}${theirs.stderr}`).to.include('group not present on the signing ca: c');
  });

  it('sign the public keys that the other made', async () => {
    nebula('keygen', '-out-key', tool.path('their.key'), '-out-pub', tool.path('their.pub'));
    await tool.must(['keygen', '-out-key', tool.path('our.key'), '-out-pub', tool.path('our.pub')]);
    await tool.must([
      'sign',
      '-name',
      'a',
      '-ip',
      '10.0.0.1/8',
      ...caOf('theirs'),
      '-in-pub',
      tool.path('their.pub'),
      '-out-crt',
      tool.path('a.crt'),
    ]);
    nebula(
      'sign',
      '-name',
      'b',
      '-ip',
      '10.0.0.2/8',
      ...caOf('ours'),
      '-in-pub',
      tool.path('our.pub'),
      '-out-crt',
      tool.path('b.crt'),
    );
    for (const [ca, cert, key] of [
      ['theirs.crt', 'a.crt', 'their.key'],
      ['ours.crt', 'b.crt', 'our.key'],
      ['theirs.crt', 'their-host.crt', 'their-host.key'],
      ['theirs.crt', 'our-host-their-ca.crt', 'our-host-their-ca.key'],
    ]) {
      const identity = loadIdentity(
        {
          ca: tool.path(ca),
          cert: tool.path(cert),
          key: tool.path(key),
          blocklist: [],
          blocklistKeys: [],
          initiatingVersion: null,
        },
        Math.floor(Date.now() / 1000),
      );
      expect(identity.warnings).to.deep.equal([]);
      expect(identity.networks).to.have.length(1);
    }
  });

  it('renew what nebula-cert signed', async () => {
    const [before] = tool.certificates('their-host.crt');
    await tool.must([
      'renew',
      ...caOf('theirs'),
      '-crt',
      tool.path('their-host.crt'),
      '-duration',
      '1h',
      '-out-crt',
      tool.path('renewed.crt'),
    ]);
    expect(nebula('verify', '-ca', tool.path('theirs.crt'), '-crt', tool.path('renewed.crt'))).to.equal('');
    comparePrints('renewed');
    expect(toHex(tool.certificates('renewed.crt')[0].publicKey)).to.equal(toHex(before.publicKey));
  });

  it('name the same fingerprint for the blocklist', () => {
    const theirs: NebulaJson = JSON.parse(nebula('print', '-json', '-path', tool.path('our-host.crt')));
    const pool = CaPool.fromPem(readFileSync(tool.path('ours.crt')), [theirs.fingerprint]);
    expect(pool.verify(tool.certificates('our-host.crt')[0], tool.now)).to.include({ isBlocked: true });
  });

  it('write the same files, down to the mode', () => {
    for (const [theirs, ours] of [
      ['theirs.key', 'ours.key'],
      ['theirs.crt', 'ours.crt'],
      ['their-host.key', 'our-host.key'],
    ]) {
      expect(tool.mode(ours)).to.equal(tool.mode(theirs));
      expect(shapeOf(tool.read(ours))).to.equal(shapeOf(tool.read(theirs)));
    }
    expect(parseKey(readFileSync(tool.path('theirs.key')), 'ca private').bytes).to.have.length(64);
  });

  it('read a bundle that either program wrote a part of', async () => {
    writeFileSync(tool.path('bundle.crt'), tool.read('theirs.crt') + tool.read('ours.crt'));
    for (const name of ['their-host', 'our-host', 'their-host-our-ca']) {
      const argv = ['verify', '-ca', tool.path('bundle.crt'), '-crt', tool.path(`${name}.crt`)];
      expect(nebula(...argv)).to.equal('');
      await tool.must(argv);
    }
  });
});

/** A PEM file with its base64 content blotted out. */
function shapeOf(text: string): string {
  return text.replaceAll(/^[A-Za-z0-9+/=]{20,}$/gm, 'x');
}
