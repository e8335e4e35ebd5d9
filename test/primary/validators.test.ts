import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { loadConfig } from '../../src/primary/config/loader.ts';
import { formatProblem } from '../../src/primary/config/problems.ts';
import { formatCertificate } from '../../src/primary/pki/certificateFile.ts';
import type { Identity } from '../../src/primary/pki/identity.ts';
import { formatKey } from '../../src/primary/pki/keyFile.ts';
import { expiryProblems, identityFacts, validate } from '../../src/primary/validators.ts';
import { timeText } from '../../src/shared/cert/rules.ts';
import { Curve } from '../../src/shared/crypto/curve.ts';
import { makeCa, makeHost, NOW } from '../support/certificates.ts';
import { Random } from '../support/random.ts';

const DAY = 86_400;

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

describe('a configuration with certificates', () => {
  let directory: string;
  const random = new Random(0x7661);
  const ca = makeCa(random, { notAfter: NOW + 365 * DAY, notBefore: NOW - 365 * DAY });
  const host = makeHost(random, ca, { groups: ['staff'], notAfter: NOW + DAY - 60, notBefore: NOW - 90 * DAY });

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-validators-'));
    writeFileSync(join(directory, 'ca.crt'), formatCertificate(ca.certificate));
    writeFileSync(join(directory, 'host.crt'), formatCertificate(host.certificate));
    const key = formatKey('host private', { curve: Curve.Curve25519, bytes: host.privateKey });
    writeFileSync(join(directory, 'host.key'), key, { mode: 0o600 });
  });
  after(() => {
    rmSync(directory, { recursive: true });
  });

  /** Its problems; `names` are the files of CA, certificate and key. */
  function checked(names: readonly string[], more: string = ''): { identity: Identity | null; lines: string[] } {
    const path = join(directory, 'config.yml');
    const [caFile, certFile, keyFile] = names.map((name) => join(directory, name));
    writeFileSync(path, `pki:\n  ca: ${caFile}\n  cert: ${certFile}\n  key: ${keyFile}\n${more}`);
    const { config, locate } = loadConfig(path);
    const { identity, problems } = validate(config!, locate, NOW);
    const expiries = identity === null ? [] : expiryProblems(identity, locate, NOW);
    return {
      identity,
      lines: [...problems, ...expiries].map((problem) => formatProblem(problem).replaceAll(`${directory}/`, '')),
    };
  }

  it('is told of each problem at the line of its key', () => {
    expect(checked(['host.crt', 'absent.crt', 'ca.crt']).lines.map((line) => line.slice(0, 30))).to.deep.equal([
      'config.yml:2: pki.ca: (host.cr',
      'config.yml:3: pki.cert: unable',
      'config.yml:4: pki.key: (ca.crt',
    ]);
  });

  it('is warned when its certificate ends tomorrow', () => {
    expect(checked(['ca.crt', 'host.crt', 'host.key']).lines).to.deep.equal([
      `config.yml:3: warning: pki.cert: The certificate of this host expires in a day or less: "host", ${timeText(NOW + DAY - 60)}`,
    ]);
  });

  it('is summed up by identity, networks and days left', () => {
    const { identity } = checked(['ca.crt', 'host.crt', 'host.key']);
    expect(identityFacts(identity!, NOW - 5 * DAY)).to.deep.equal([
      ['identity v1', 'host, groups staff'],
      ['networks', '10.1.2.3/16'],
      ['certificate', `valid until ${timeText(NOW + DAY - 60)}, 5 days left`],
    ]);
  });

  it('is refused by start, check and reload alike when a route cuts off the underlay', () => {
    const { identity, lines } = checked(
      ['ca.crt', 'host.crt', 'host.key'],
      'tun:\n  routes:\n    - {route: 192.168.0.0/16, mtu: 1300}\n',
    );
    expect(identity).to.equal(null);
    expect(lines[0]).to.match(/^config\.yml:7: tun\.routes\[0\]: /);
  });
});
