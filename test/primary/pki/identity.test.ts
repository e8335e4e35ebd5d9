import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { formatCertificate } from '../../../src/primary/pki/certificateFile.ts';
import {
  changeFault,
  type Identity,
  IdentityError,
  loadIdentity,
  type PkiSettings,
} from '../../../src/primary/pki/identity.ts';
import { formatKey } from '../../../src/primary/pki/keyFile.ts';
import type { Certificate } from '../../../src/shared/cert/certificate.ts';
import { Curve } from '../../../src/shared/crypto/curve.ts';
import { makeCa, makeHost, NOW, prefixes } from '../../support/certificates.ts';
import { toHex } from '../../support/hex.ts';
import { Random } from '../../support/random.ts';

const random = new Random(0x6964);
const ca = makeCa(random);
const host = makeHost(random, ca);
const publicKey = host.certificate.publicKey;
const version2 = makeHost(random, ca, { version: 2, publicKey, networks: prefixes('10.1.2.3/16', 'fd00::1/64') });

function keyPem(privateKey: Uint8Array, curve: Curve = Curve.Curve25519): string {
  return Buffer.from(formatKey('host private', { curve, bytes: privateKey })).toString();
}

function settingsOf(overrides: Partial<PkiSettings> = {}): PkiSettings {
  return {
    ca: formatCertificate(ca.certificate),
    cert: formatCertificate(host.certificate),
    key: keyPem(host.privateKey),
    blocklist: [],
    blocklistKeys: [],
    initiatingVersion: null,
    ...overrides,
  };
}

function problemsOf(overrides: Partial<PkiSettings>, unixSeconds = NOW): readonly string[] {
  try {
    loadIdentity(settingsOf(overrides), unixSeconds);
  } catch (error) {
    if (error instanceof IdentityError) {
      return error.problems;
    }
    throw error;
  }
  return [];
}

function pem(...certificates: readonly Certificate[]): string {
  return certificates.map(formatCertificate).join('');
}

describe('loadIdentity', () => {
  it('loads PEM text', () => {
    const identity = loadIdentity(settingsOf(), NOW);
    expect(identity.certificates).to.deep.equal([host.certificate]);
    expect(toHex(identity.publicKey)).to.equal(toHex(publicKey));
    expect(toHex(identity.privateKey)).to.equal(toHex(host.privateKey));
    expect(identity).to.include({ curve: Curve.Curve25519, initiatingVersion: 1 });
    expect(identity.caPool.verify(host.certificate, NOW)).to.deep.equal({ ca: ca.certificate });
    expect(identity.warnings).to.deep.equal([]);
  });

  it('takes one certificate of each version and chooses the initiating one', () => {
    const both = pem(version2.certificate, host.certificate);
    const identity = loadIdentity(settingsOf({ cert: both }), NOW);
    expect(identity.certificates.map((certificate) => certificate.version)).to.deep.equal([1, 2]);
    expect(identity.initiatingVersion).to.equal(1);
    expect(identity.networks.map((network) => network.text)).to.deep.equal(['10.1.2.3/16', 'fd00::1/64']);
    expect(loadIdentity(settingsOf({ cert: both, initiatingVersion: 2 }), NOW).initiatingVersion).to.equal(2);
    expect(loadIdentity(settingsOf({ initiatingVersion: 2 }), NOW).initiatingVersion).to.equal(1);
    const alone = settingsOf({ cert: pem(version2.certificate) });
    expect(loadIdentity(alone, NOW).initiatingVersion).to.equal(2);
    expect(problemsOf({ cert: pem(version2.certificate), initiatingVersion: 1 })).to.match(/initiating_version/);
  });

  it('works on P-256', () => {
    const authority = makeCa(random, { curve: Curve.P256, version: 2 });
    const member = makeHost(random, authority);
    const identity = loadIdentity(
      settingsOf({
        ca: pem(authority.certificate),
        cert: pem(member.certificate),
        key: keyPem(member.privateKey, Curve.P256),
      }),
      NOW,
    );
    expect(identity.curve).to.equal(Curve.P256);
    expect(identity.publicKey).to.have.length(65);
  });

  it('names every problem at once', () => {
    const problems = problemsOf({ ca: '', cert: 'nowhere/host.crt', key: 'pkcs11:token=x', initiatingVersion: 1 });
    expect(problems).to.have.length(3);
    expect(problems[0]).to.equal('pki.ca: no path or PEM data provided');
    expect(problems[1]).to.match(/^pki\.cert: unable to read nowhere\/host\.crt: /);
    expect(problems[2]).to.match(/^pki\.key: .*PKCS#11/);
  });

  const other = makeHost(random, ca);
  const p256 = makeHost(random, makeCa(random, { curve: Curve.P256 }));
  const refused: [string, Partial<PkiSettings>, RegExp][] = [
    [
      'no CA that is valid',
      { ca: pem(makeCa(random, { notAfter: NOW - 1 }).certificate) },
      /no valid CA certificates present: "ca" is valid from .* until .*, is the clock right\? \(it shows /,
    ],
    ['an empty CA list', { ca: '# -----BEGIN' }, /pki\.ca: input did not contain/],
    ['a host as CA', { ca: pem(host.certificate) }, /pki\.ca: certificate is not a CA/],
    ['a CA as host', { cert: pem(ca.certificate) }, /host certificate is a CA certificate/],
    [
      'an expired host',
      { cert: pem(makeHost(random, ca, { publicKey, notAfter: NOW - 1 }).certificate) },
      /is expired/,
    ],
    [
      'a host of the future',
      { cert: pem(makeHost(random, ca, { publicKey, notBefore: NOW + 1 }).certificate) },
      /not valid before .*clock/,
    ],
    ['two of one version', { cert: pem(host.certificate, host.certificate) }, /more than one v1/],
    ['a key of another host', { key: keyPem(other.privateKey) }, /not a pair/],
    ['a key of another curve', { key: keyPem(p256.privateKey, Curve.P256) }, /another curve/],
    ['a public key as key', { key: keyPem(host.privateKey).replaceAll('PRIVATE', 'PUBLIC') }, /private key banner/],
    ['a certificate as key', { key: pem(host.certificate) }, /private key banner/],
    ['a key as certificate', { cert: keyPem(host.privateKey) }, /certificate banner/],
    [
      'different keys',
      { cert: pem(host.certificate, makeHost(random, ca, { version: 2 }).certificate) },
      /public keys/,
    ],
    [
      'different first networks',
      {
        cert: pem(
          host.certificate,
          makeHost(random, ca, { version: 2, publicKey, networks: prefixes('10.1.2.2/16') }).certificate,
        ),
      },
      /first network .* not 10\.1\.2\.3\/16 and 10\.1\.2\.2\/16/,
    ],
    ['different curves', { cert: pem(host.certificate, version2Of(p256.certificate)) }, /different curves/],
    ['a cut certificate', { cert: pem(host.certificate).slice(0, 120) }, /truncated PEM block/],
  ];
  for (const [title, overrides, expected] of refused) {
    it(`refuses ${title}`, () => {
      expect(problemsOf(overrides).join('\n')).to.match(expected);
    });
  }

  it('warns of an expired CA, of odd blocklist entries and of a certificate that its own CAs refuse', () => {
    const expired = makeCa(random, { name: 'old', notAfter: NOW - 1 });
    const identity = loadIdentity(
      settingsOf({
        ca: pem(expired.certificate, ca.certificate),
        blocklist: ['nonsense', host.certificate.fingerprint.toUpperCase()],
      }),
      NOW,
    );
    expect(identity.warnings).to.have.length(3);
    expect(identity.warnings[0]).to.match(/"nonsense" is no fingerprint/);
    expect(identity.warnings[1]).to.match(/expired certificate present in CA pool: "old"/);
    expect(identity.warnings[2]).to.match(/does not accept the v1 certificate: certificate is in the block list/);
    expect(identity.caPool.isBlocked(host.certificate)).to.equal(true);
  });

  it('never puts the key into an error', () => {
    const text = keyPem(host.privateKey);
    const secret = text.split('\n')[1];
    const all = [
      ...problemsOf({ key: text.replace(secret, `${secret}!`) }),
      ...problemsOf({ key: text.slice(0, -20) }),
      ...problemsOf({ key: text, cert: text, ca: text }),
    ].join('\n');
    expect(all).to.not.include(secret.slice(0, 12));
  });
});

describe('loadIdentity from files', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-identity-'));
    writeFileSync(join(directory, 'ca.crt'), pem(ca.certificate));
    writeFileSync(join(directory, 'host.crt'), pem(host.certificate));
    writeFileSync(join(directory, 'host.key'), keyPem(host.privateKey), { mode: 0o600 });
  });
  after(() => rmSync(directory, { recursive: true }));

  it('warns of a key that others can read', () => {
    const settings = settingsOf({
      ca: join(directory, 'ca.crt'),
      cert: join(directory, 'host.crt'),
      key: join(directory, 'host.key'),
    });
    expect(loadIdentity(settings, NOW).warnings).to.deep.equal([]);
    chmodSync(settings.key, 0o640);
    expect(loadIdentity(settings, NOW).warnings.join()).to.match(/host\.key \(mode 0640\), run chmod 600/);
    expect(problemsOf({ ...settings, key: join(directory, 'none.key') })).to.match(
      /unable to read .*none\.key.*ENOENT/,
    );
    expect(problemsOf({ ...settings, ca: settings.key }).join()).to.match(/pki\.ca \(.*host\.key\): .*banner/);
  });
});

describe('changeFault', () => {
  const identityOf = (...certificates: Certificate[]): Identity =>
    loadIdentity(settingsOf({ cert: pem(...certificates) }), NOW);
  const renewed = makeHost(random, ca, { publicKey, notAfter: NOW + 200 }).certificate;
  const moved = makeHost(random, ca, { publicKey, networks: prefixes('10.1.9.9/16') }).certificate;
  const same2 = makeHost(random, ca, { version: 2, publicKey }).certificate;

  it('lets a certificate be renewed and a version come', () => {
    expect(changeFault(identityOf(host.certificate), identityOf(renewed))).to.equal(null);
    expect(changeFault(identityOf(host.certificate), identityOf(renewed, version2.certificate))).to.equal(null);
  });

  it('lets a version go when the other has the same networks', () => {
    expect(changeFault(identityOf(host.certificate, same2), identityOf(host.certificate))).to.equal(null);
    expect(changeFault(identityOf(host.certificate, same2), identityOf(same2))).to.equal(null);
    expect(changeFault(identityOf(host.certificate, version2.certificate), identityOf(host.certificate))).to.match(
      /networks of the v2/,
    );
  });

  it('refuses other networks and another curve', () => {
    expect(changeFault(identityOf(host.certificate), identityOf(moved))).to.match(
      /10\.1\.2\.3\/16 would become 10\.1\.9\.9\/16/,
    );
    const other = { ...identityOf(host.certificate), curve: Curve.P256 };
    expect(changeFault(identityOf(host.certificate), other)).to.match(/curve/);
  });
});

/** Any version 2 certificate on P-256, which no rule about pairs can like. */
function version2Of(certificate: Certificate): Certificate {
  return makeHost(new Random(7), makeCa(new Random(8), { curve: certificate.curve }), { version: 2 }).certificate;
}
