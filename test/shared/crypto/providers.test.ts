/** Choosing a provider: the fastest one that passes, and nothing a foreign library does may harm the caller. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { Cipher } from '../../../src/shared/crypto/aead.ts';
import { loadGcryptProvider } from '../../../src/shared/crypto/gcryptProvider.ts';
import { PROVIDER_NAMES } from '../../../src/shared/crypto/providerNames.ts';
import {
  chooseFor,
  chooseProviders,
  fasterLibraryAdvice,
  loadProvider,
  type ProviderChoice,
  ProviderError,
  type ProviderReport,
  probeProviders,
  providerFor,
} from '../../../src/shared/crypto/providers.ts';

/** A trial that ends early counts against its candidate: here only one that hangs shall. */
const trialTimeoutMs = 20_000;

describe('chooseProviders', function () {
  this.timeout(60_000);
  let folder = '';
  const lines: string[] = [];
  const log = (level: string, message: string, fields: Readonly<Record<string, unknown>>): void => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  const script = (body: string): string => {
    const path = join(folder, `probe${lines.length}-${body.length}.cjs`);
    writeFileSync(path, body);
    return path;
  };
  const speed = (smallNs: number, largeNs: number): { smallNs: number; largeNs: number } => ({ smallNs, largeNs });
  const answer = (reports: readonly Partial<ProviderReport>[]): string =>
    script(`for (const line of ${JSON.stringify(reports.map((r) => JSON.stringify(r)))}) console.log(line);`);

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-providers-'));
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  it('tries every candidate for real and loads a working pair', () => {
    const choice: ProviderChoice = chooseProviders({ log, trialTimeoutMs });
    expect(choice.report.map((entry) => entry.name)).to.deep.equal([...PROVIDER_NAMES]);
    const node = choice.report.find((entry) => entry.name === 'node');
    expect(node?.aes?.largeNs).to.be.greaterThan(0);
    expect(node?.reason).to.equal('');
    for (const entry of choice.report) {
      expect(entry.aes !== null || entry.reason !== '', `${entry.name} says why it is skipped`).to.equal(true);
    }
    expect(providerFor(choice, Cipher.Aes256Gcm)).to.equal(choice.aes);
    expect(providerFor(choice, Cipher.ChaCha20Poly1305)).to.equal(choice.chacha);
    expect(lines.some((line) => line.startsWith('info crypto providers chosen'))).to.equal(true);
  });

  it('takes the fastest per cipher', () => {
    const choice = chooseProviders({
      log,
      trialTimeoutMs,
      script: answer([
        { name: 'libgcrypt', aes: null, chacha: null, reason: 'not here' },
        { name: 'node-evp', aes: speed(400, 700), chacha: speed(500, 2000), reason: '' },
        { name: 'libcrypto', aes: null, chacha: null, reason: 'x' },
        { name: 'boringssl', aes: null, chacha: null, reason: 'x' },
        { name: 'node', aes: speed(450, 690), chacha: speed(600, 1800), reason: '' },
      ]),
    });
    expect([choice.aes.name, choice.chacha.name]).to.deep.equal(['node-evp', 'node']);
  });

  it('falls back to node:crypto when no trial can run', () => {
    const choice = chooseProviders({ log, trialTimeoutMs, script: join(folder, 'missing.cjs') });
    expect([choice.aes.name, choice.chacha.name]).to.deep.equal(['node', 'node']);
  });

  it('survives a library that crashes, and tries the rest', () => {
    const path = script(`
      for (const name of process.argv.slice(2)) {
        if (name === 'node-evp') process.kill(process.pid, 'SIGSEGV');
        console.log(JSON.stringify({ name, aes: null, chacha: null, reason: 'tried' }));
      }`);
    const report = probeProviders(['libgcrypt', 'node-evp', 'node'], path, trialTimeoutMs);
    expect(report.map((entry) => entry.name)).to.deep.equal(['libgcrypt', 'node-evp', 'node']);
    expect(report[1].reason).to.equal('the trial ended early: SIGSEGV');
    expect(report[2].reason).to.equal('tried');
  });

  it('obeys a pinned provider', () => {
    expect(chooseProviders({ log, trialTimeoutMs, pinned: 'node' }).aes.name).to.equal('node');
  });

  it('takes a pinned provider of one cipher for that cipher, and the fastest for the other', () => {
    const path = answer([
      { name: 'ipsec-mb', aes: null, chacha: speed(90, 90), reason: '' },
      { name: 'node-evp', aes: speed(400, 700), chacha: speed(10, 10), reason: '' },
      { name: 'node', aes: speed(450, 690), chacha: speed(600, 1800), reason: '' },
    ]);
    // The trial's answer decides what a provider offers; only what can be loaded everywhere is taken here.
    expect(() => chooseProviders({ log, trialTimeoutMs, pinned: 'boringssl', script: path })).to.throw(ProviderError);
    const report = probeProviders(['ipsec-mb', 'node-evp', 'node'], path, trialTimeoutMs);
    expect(chooseFor(report, 'aes', 'ipsec-mb')).to.equal('node-evp');
    expect(chooseFor(report, 'chacha', 'ipsec-mb')).to.equal('ipsec-mb');
  });

  it('names a faster library once, where the processor could use it and it is not there', () => {
    const without = [{ name: 'ipsec-mb', aes: null, chacha: null, reason: 'no such file' }] as const;
    const withIt = [{ name: 'ipsec-mb', aes: speed(90, 150), chacha: null, reason: '' }] as const;
    const flags = ['sse4_2', 'aes', 'pclmulqdq'];
    expect(fasterLibraryAdvice(without, flags)).to.match(/libipsec-mb1/);
    expect(fasterLibraryAdvice(withIt, flags)).to.equal(null);
    expect(fasterLibraryAdvice(without, ['sse4_2'])).to.equal(null);
  });

  it('refuses a pinned provider that cannot be used, naming key and reason', () => {
    const path = answer([{ name: 'boringssl', aes: null, chacha: null, reason: 'no such file' }]);
    expect(() => chooseProviders({ log, trialTimeoutMs, pinned: 'boringssl', script: path })).to.throw(
      ProviderError,
      /crypto\.provider: boringssl .*no such file.*remove the key/,
    );
  });

  it('skips libraries that are missing or lack symbols without a crash', () => {
    const missing = loadGcryptProvider(['libweft-no-such-thing.so.9']);
    expect(missing.provider).to.equal(null);
    expect(missing.reasons[0]).to.include('libweft-no-such-thing.so.9');
    const wrong = loadGcryptProvider(['libm.so.6']);
    expect(wrong.provider).to.equal(null);
    expect(wrong.reasons[0]).to.include('gcry_check_version');
    expect(() => loadProvider('node')).not.to.throw();
  });
});
