import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, describe, it } from 'mocha';
import type { CertIo } from '../../../../src/primary/cli/cert/io.ts';
import { runCert } from '../../../../src/primary/cli/cert/main.ts';
import { parseKey } from '../../../../src/primary/pki/keyFile.ts';
import { publicKeyOf } from '../../../../src/shared/crypto/dh.ts';
import { NOW } from '../../../support/certificates.ts';
import { CertTool } from '../../../support/certTool.ts';
import { toHex } from '../../../support/hex.ts';

describe('weft cert', () => {
  const tool = new CertTool(NOW);
  after(() => tool.remove());

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
    expect(await tool.failure([])).to.match(/^No mode was provided\nUsage of weft cert/);
    expect(await tool.failure(['nope'])).to.match(/^unknown mode: nope\nUsage of weft cert/);
    expect(await tool.failure(['sing'])).to.match(/^unknown mode: sing; did you mean sign\?\nUsage of weft cert/);
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
    expect(await tool.failure(['ca', '-nope'])).to.match(
      /^flag provided but not defined: -nope\nUsage of weft cert ca/,
    );
    expect(await tool.failure(['ca', '-encrypt', 'false', '-name', 'x'])).to.match(
      /^unexpected argument: false\nUsage/,
    );
    expect(await tool.failure(['ca', '-duration', '10'])).to.match(/invalid value "10" for flag -duration/);
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

describe('weft cert keygen', () => {
  const tool = new CertTool(NOW);
  after(() => tool.remove());

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
    expect(await tool.failure(['keygen', '-out-pub', 'x'])).to.match(/^-out-key is required\nUsage/);
    expect(await tool.failure(['keygen', '-out-key', 'x'])).to.match(/^-out-pub is required\nUsage/);
    expect(await tool.failure(['keygen', '-out-key', '-', '-out-pub', '-'])).to.match(
      /^-out-key and -out-pub both set/,
    );
    expect(await tool.failure(['keygen', '-out-key', 'x', '-out-pub', 'y', '-curve', 'z'])).to.match(
      /^invalid curve: z/,
    );
  });
});
