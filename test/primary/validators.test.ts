import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { loadConfig } from '../../src/primary/config/loader.ts';
import { formatProblem } from '../../src/primary/config/problems.ts';
import { validate } from '../../src/primary/validators.ts';

describe('a configuration with the private key in it', () => {
  let directory: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-inline-'));
  });
  after(() => {
    rmSync(directory, { recursive: true });
  });

  /** What is said about access, of a file with this mode and this key. */
  function accessWarnings(mode: number, key: string): string[] {
    const path = join(directory, 'config.yml');
    writeFileSync(path, `pki:\n  ca: /absent\n  cert: /absent\n  key: ${JSON.stringify(key)}\n`);
    chmodSync(path, mode);
    const { config, locate } = loadConfig(path);
    const problems = config === null ? [] : validate(config, locate, 0).problems;
    return problems.map(formatProblem).filter((text) => text.includes('can access'));
  }

  const INLINE = '-----BEGIN NEBULA X25519 PRIVATE KEY-----\nAAAA\n-----END NEBULA X25519 PRIVATE KEY-----\n';

  it('is warned about with its line when others can read it', () => {
    const path = join(directory, 'config.yml');
    for (const [mode, octal] of [
      [0o644, '0644'],
      [0o640, '0640'],
      [0o620, '0620'],
    ] as const) {
      const said = accessWarnings(mode, INLINE);
      expect(said, octal).to.have.length(1);
      expect(said[0]).to.include(`${path}:4`);
      expect(said[0]).to.include(`others can access ${path} (mode ${octal}), run chmod 600 on it`);
      expect(said[0]).to.not.include('AAAA');
    }
  });

  it('is in order when only its owner can', () => {
    expect(accessWarnings(0o600, INLINE)).to.deep.equal([]);
  });

  it('is something else than one that names the key file', () => {
    expect(accessWarnings(0o644, '/etc/weft/host.key')).to.deep.equal([]);
  });
});
