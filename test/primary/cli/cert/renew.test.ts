import { copyFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { NOW } from '../../../support/certificates.ts';
import { CertTool } from '../../../support/certTool.ts';

describe('weft cert renew', () => {
  const tool = new CertTool(NOW);
  after(() => tool.remove());

  let ca: readonly string[] = [];
  before(async () => {
    ca = await tool.makeCa('renew-ca', '-duration', '1000h');
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
    await tool.must([
      'sign',
      ...ca,
      '-name',
      'w',
      '-networks',
      '10.0.0.1/8',
      '-duration',
      '100h',
      ...tool.outputs('w'),
    ]);
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
    const next = await tool.makeCa('renew-next');
    await tool.must(['sign', ...ca, '-name', 'm', '-networks', '10.0.0.1/8', ...tool.outputs('m')]);
    copyFileSync(tool.path('m.crt'), tool.path('m-old.crt'));
    const argv = ['renew', ...next, '-crt', tool.path('m-old.crt'), '-out-crt', tool.path('m-new.crt')];
    expect(await tool.failure(argv)).to.match(/^refusing to renew v2 "m": its issuer \w+ is neither -ca-crt nor/);
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
    expect(await tool.failure(['renew', ...ca, '-crt', tool.path('forged.crt')])).to.match(
      /^refusing to renew v2 "m": its issuer "renew-ca" did not sign it/,
    );
    expect(await tool.failure(['renew', ...ca, '-crt', tool.path('renew-ca.crt')])).to.match(/it is a CA certificate/);
    expect(await tool.failure(['renew', ...ca])).to.match(/^-crt is required\nUsage/);
    expect(await tool.failure(['renew', ...ca, '-crt', 'x', '-duration', '-1h'])).to.match(/negative\nUsage/);
    expect(await tool.failure(['renew', ...ca, '-crt', tool.path('m.crt'), '-duration', '2000h'])).to.match(
      /^error while signing: certificate expires after/,
    );
  });
});
