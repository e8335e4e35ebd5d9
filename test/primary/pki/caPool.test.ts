import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CaPool, isValidAt } from '../../../src/primary/pki/caPool.ts';
import { formatCertificate } from '../../../src/primary/pki/certificateFile.ts';
import { signCertificate } from '../../../src/primary/pki/signing.ts';
import type { Certificate, CertificateFields } from '../../../src/shared/cert/certificate.ts';
import { CertificateError } from '../../../src/shared/cert/certificateError.ts';
import { parseCertificate, twinFingerprint, version1Certificate } from '../../../src/shared/cert/parse.ts';
import { constraintFault } from '../../../src/shared/cert/rules.ts';
import { Curve } from '../../../src/shared/crypto/curve.ts';
import { twinSignature } from '../../../src/shared/crypto/p256.ts';
import { makeCa, makeHost, NOW, prefixes } from '../../support/certificates.ts';
import { Random } from '../../support/random.ts';

const random = new Random(0x6361);

function faultOf(pool: CaPool, certificate: Certificate, unixSeconds = NOW): string {
  const verdict = pool.verify(certificate, unixSeconds);
  return 'fault' in verdict ? verdict.fault : `ok: ${verdict.ca.name}`;
}

/** The certificate with fields changed behind the signer's back; the signature stays. */
function altered(certificate: Certificate, overrides: Partial<CertificateFields>): Certificate {
  return version1Certificate({ ...certificate, ...overrides }, certificate.signature);
}

describe('CaPool', () => {
  const ca = makeCa(random);
  const { certificate: host } = makeHost(random, ca);
  const pool = new CaPool([ca.certificate]);

  it('takes only self-signed CAs', () => {
    expect(() => new CaPool([host])).to.throw(CertificateError, 'certificate is not a CA: "host"');
    const forged = altered(ca.certificate, { name: 'evil' });
    expect(() => new CaPool([forged])).to.throw(CertificateError, 'certificate is not self-signed: "evil"');
    const other = makeCa(random);
    expect(() => new CaPool([altered(ca.certificate, { publicKey: other.certificate.publicKey })])).to.throw(
      CertificateError,
      /not self-signed/,
    );
  });

  it('reads a bundle and finds by fingerprint', () => {
    const second = makeCa(random, { name: 'second', version: 2 });
    const bundle = formatCertificate(ca.certificate) + formatCertificate(second.certificate);
    const read = CaPool.fromPem(Buffer.from(bundle));
    expect(read.authorities).to.deep.equal([ca.certificate, second.certificate]);
    expect(read.find(second.certificate.fingerprint)).to.deep.equal(second.certificate);
    expect(read.find(host.fingerprint)).to.equal(null);
  });

  it('gives the first failure in the documented order', () => {
    const stranger = makeHost(random, makeCa(random, { name: 'stranger' })).certificate;
    expect(faultOf(pool, host)).to.equal('ok: ca');
    expect(faultOf(new CaPool([ca.certificate], [stranger.fingerprint]), stranger)).to.equal(
      'certificate is in the block list',
    );
    expect(faultOf(pool, ca.certificate)).to.equal('no issuer in certificate');
    expect(faultOf(pool, stranger)).to.equal('could not find ca for the certificate');
    expect(faultOf(pool, altered(host, { curve: Curve.P256 }), NOW + 5000)).to.equal(
      'certificate curve does not match CA',
    );
    expect(faultOf(pool, host, NOW + 5000)).to.equal('root certificate is expired');
    expect(faultOf(pool, altered(host, { name: 'x' }), NOW + 500)).to.equal('certificate is expired');
    expect(faultOf(pool, altered(host, { name: 'x', notAfter: NOW + 5000 }))).to.equal(
      'certificate signature did not match',
    );
  });

  it('counts both ends of the validity as valid', () => {
    for (const [unixSeconds, isValid] of [
      [NOW - 101, false],
      [NOW - 100, true],
      [NOW + 100, true],
      [NOW + 101, false],
    ] as const) {
      expect(isValidAt(host, unixSeconds)).to.equal(isValid);
      expect(faultOf(pool, host, unixSeconds)).to.equal(isValid ? 'ok: ca' : 'certificate is expired');
    }
    expect(faultOf(pool, host, NOW - 1001)).to.equal('root certificate is expired');
    expect(faultOf(pool, host, NOW + 1001)).to.equal('root certificate is expired');
  });

  it('explains with the values that were compared', () => {
    const verdict = pool.verify(host, NOW + 101);
    expect('detail' in verdict && verdict.detail).to.match(/valid from 2027-.*Z until 2027-.*Z/);
  });

  it('re-verifies what time and reloads change, without the signature', () => {
    const other = makeCa(random);
    expect(pool.reverify(host, ca.certificate, NOW)).to.deep.equal({ ca: ca.certificate });
    expect(pool.reverify(host, other.certificate, NOW)).to.include({ fault: 'certificate fingerprint did not match' });
    expect(pool.reverify(host, ca.certificate, NOW + 101)).to.include({ fault: 'certificate is expired' });
    expect(new CaPool([other.certificate]).reverify(host, ca.certificate, NOW)).to.include({
      fault: 'could not find ca for the certificate',
      isBlocked: false,
    });
    expect(new CaPool([ca.certificate], [host.fingerprint]).reverify(host, ca.certificate, NOW)).to.include({
      isBlocked: true,
    });
  });

  it('lets either version of CA sign either version of host', () => {
    for (const caVersion of [1, 2] as const) {
      for (const curve of [Curve.Curve25519, Curve.P256]) {
        const authority = makeCa(random, { version: caVersion, curve });
        const trusting = new CaPool([authority.certificate]);
        for (const version of [1, 2] as const) {
          expect(faultOf(trusting, makeHost(random, authority, { version }).certificate)).to.equal('ok: ca');
        }
      }
    }
  });

  it('blocks a P-256 certificate by its fingerprint or its twin, in whatever form it comes', () => {
    for (const version of [1, 2] as const) {
      const authority = makeCa(random, { curve: Curve.P256, version });
      const { certificate } = makeHost(random, authority);
      const twinned = withSignature(certificate, twinSignature(certificate.signature)!);
      expect(twinned.fingerprint).to.equal(twinFingerprint(certificate));
      expect(twinFingerprint(twinned)).to.equal(certificate.fingerprint);
      expect(faultOf(new CaPool([authority.certificate]), twinned)).to.equal('ok: ca');
      for (const blocked of [certificate.fingerprint, twinned.fingerprint]) {
        const blocking = new CaPool([authority.certificate], [blocked]);
        for (const form of [certificate, twinned]) {
          expect(faultOf(blocking, form)).to.equal('certificate is in the block list');
          expect(blocking.isBlocked(form)).to.equal(true);
          expect(blocking.reverify(form, authority.certificate, NOW)).to.include({ isBlocked: true });
        }
      }
    }
  });

  it('blocks every certificate of a public key, of both versions and curves, and no other host', () => {
    for (const curve of [Curve.Curve25519, Curve.P256]) {
      const authority = makeCa(random, { curve });
      const first = makeHost(random, authority);
      const { publicKey } = first.certificate;
      const blocking = new CaPool([authority.certificate], [], [Buffer.from(publicKey).toString('hex')]);
      const later = makeHost(random, authority, { version: 2, publicKey });
      for (const { certificate } of [first, later]) {
        expect(faultOf(blocking, certificate)).to.equal('certificate is in the block list');
        expect(blocking.reverify(certificate, authority.certificate, NOW)).to.include({ isBlocked: true });
      }
      expect(faultOf(blocking, makeHost(random, authority).certificate)).to.equal('ok: ca');
    }
  });
});

describe('constraints of a CA', () => {
  const limits = {
    groups: ['test1', 'test2'],
    networks: prefixes('10.0.0.0/16', '192.168.0.0/24'),
    unsafeNetworks: prefixes('172.16.0.0/12', '10.8.0.0/16'),
  };
  const limited = makeCa(random, limits);
  const limited2 = makeCa(random, { ...limits, version: 2, networks: prefixes('10.0.0.0/16', 'fd00:1::/32') });
  const free = makeCa(random);
  const netFault = 'certificate contained a network assignment outside the limitations of the signing ca: ';
  const unsafeFault = 'certificate contained an unsafe network assignment outside the limitations of the signing ca: ';
  const groupFault = 'certificate contained a group not present on the signing ca: ';

  const cases: [string, typeof free, Partial<CertificateFields>, string | null][] = [
    ['no list on the CA', free, { networks: prefixes('1.2.3.4/5'), groups: ['any'] }, null],
    ['a network beside', limited, { networks: prefixes('10.1.0.0/24', '192.168.0.1/16') }, `${netFault}10.1.0.0/24`],
    ['the second beside', limited, { networks: prefixes('192.168.0.1/24', '10.1.0.0/24') }, `${netFault}10.1.0.0/24`],
    ['a wider prefix', limited, { networks: prefixes('10.0.1.0/15', '192.168.0.1/24') }, `${netFault}10.0.1.0/15`],
    ['networks inside', limited, { networks: prefixes('10.0.1.0/16', '192.168.0.1/25') }, null],
    ['networks exactly', limited, { networks: prefixes('10.0.0.0/16', '192.168.0.0/24') }, null],
    ['a group of it', limited, { networks: prefixes('10.0.0.1/16'), groups: ['test1'] }, null],
    ['another group', limited, { networks: prefixes('10.0.0.1/16'), groups: ['test1', 'bad'] }, `${groupFault}bad`],
    [
      'an unsafe network inside',
      limited,
      { networks: prefixes('10.0.0.1/16'), unsafeNetworks: prefixes('172.20.0.0/16') },
      null,
    ],
    [
      'an unsafe network beside',
      limited,
      { networks: prefixes('10.0.0.1/16'), unsafeNetworks: prefixes('172.20.0.0/16', '10.9.0.0/24') },
      `${unsafeFault}10.9.0.0/24`,
    ],
    [
      'everything unsafe',
      limited,
      { networks: prefixes('10.0.0.1/16'), unsafeNetworks: prefixes('0.0.0.0/0') },
      `${unsafeFault}0.0.0.0/0`,
    ],
    ['IPv6 inside', limited2, { networks: prefixes('fd00:1:2::3/64') }, null],
    ['IPv6 beside', limited2, { networks: prefixes('fd00:2::3/64') }, `${netFault}fd00:2::3/64`],
    ['IPv6 wider', limited2, { networks: prefixes('fd00:1::3/31') }, `${netFault}fd00:1::3/31`],
    ['IPv4 under an IPv6 rule', limited2, { networks: prefixes('192.168.0.1/24') }, `${netFault}192.168.0.1/24`],
    ['valid as long', free, { notBefore: NOW - 1000, notAfter: NOW + 1000 }, null],
    ['valid longer', free, { notAfter: NOW + 1001 }, 'certificate expires after signing certificate'],
    ['valid earlier', free, { notBefore: NOW - 1001 }, 'certificate is valid before the signing certificate'],
  ];
  for (const [title, ca, overrides, fault] of cases) {
    it(`${title}: ${fault ?? 'accepted'}`, () => {
      if (fault === null) {
        const { certificate } = makeHost(random, ca, overrides);
        expect(faultOf(new CaPool([ca.certificate]), certificate)).to.equal('ok: ca');
        return;
      }
      expect(() => makeHost(random, ca, overrides)).to.throw(CertificateError, fault);
      // A signer without scruples: the same key, but a CA certificate without limits.
      const lax = signCertificate(
        { ...ca.certificate, groups: [], networks: [], unsafeNetworks: [], notBefore: 0, notAfter: 4e9 },
        null,
        ca.key,
      );
      const { certificate } = makeHost(random, { certificate: lax, key: ca.key }, overrides);
      const broken = constraintFault(ca.certificate, certificate);
      expect(broken?.fault).to.equal(fault);
      expect(broken?.detail).to.include('"ca"');
    });
  }

  it('are checked when verifying, not only when signing', () => {
    const signer = makeCa(random, { groups: ['a'] });
    const { certificate } = makeHost(random, signer, { groups: ['a'] });
    const unlimited = version1Certificate({ ...signer.certificate, groups: [] }, signer.certificate.signature);
    const smuggled = signCertificate(
      { ...certificate, groups: ['b'] },
      { ...unlimited, fingerprint: signer.certificate.fingerprint },
      signer.key,
    );
    expect(smuggled.issuer).to.equal(signer.certificate.fingerprint);
    expect(faultOf(new CaPool([signer.certificate]), smuggled)).to.equal(`${groupFault}b`);
  });
});

describe('signCertificate', () => {
  const ca = makeCa(random);

  it('refuses a CA under a CA, a host without one, and a key of another curve', () => {
    expect(() => signCertificate({ ...ca.certificate }, ca.certificate, ca.key)).to.throw(
      CertificateError,
      'can not sign a CA certificate with another',
    );
    const { certificate } = makeHost(random, ca);
    expect(() => signCertificate(certificate, null, ca.key)).to.throw(CertificateError, /must be a CA/);
    expect(() => signCertificate({ ...certificate, curve: Curve.P256 }, ca.certificate, ca.key)).to.throw(
      CertificateError,
      /don't match/,
    );
  });

  const rules: [string, Partial<CertificateFields>, RegExp][] = [
    ['no network', { networks: [] }, /at least one network/],
    ['the zero address', { networks: prefixes('0.0.0.0/8') }, /zero address.*0\.0\.0\.0\/8/],
    ['IPv6 in version 1', { networks: prefixes('fd00::1/64') }, /only contain ipv4/],
    ['unsafe IPv6 in version 1', { unsafeNetworks: prefixes('fd00::/64') }, /only contain ipv4/],
    ['no public key', { publicKey: new Uint8Array(0) }, /no public key/],
    ['an empty name in version 2', { version: 2, name: '' }, /1 to 253 bytes, not 0/],
    ['a long name in version 2', { version: 2, name: 'ä'.repeat(127) }, /not 254/],
    ['an empty group in version 2', { version: 2, groups: [''] }, /group/],
    ['a network twice', { version: 2, networks: prefixes('10.0.0.1/8', '10.0.0.1/8') }, /listed twice/],
    [
      'an unsafe network twice',
      { version: 2, unsafeNetworks: prefixes('10.0.0.0/8', '10.0.0.0/8') },
      /unsafe network 10\.0\.0\.0\/8 is listed twice/,
    ],
    ['unsafe IPv6 without IPv6', { version: 2, unsafeNetworks: prefixes('::/0') }, /IPv6 unsafe networks require/],
    [
      'unsafe IPv4 without IPv4',
      { version: 2, networks: prefixes('fd00::1/64'), unsafeNetworks: prefixes('0.0.0.0/0') },
      /IPv4 unsafe networks require/,
    ],
  ];
  for (const [title, overrides, expected] of rules) {
    it(`refuses ${title}`, () => {
      expect(() => makeHost(random, ca, overrides)).to.throw(CertificateError, expected);
    });
  }

  it('sorts the lists of version 2 and keeps those of version 1', () => {
    const networks = prefixes('10.9.0.1/16', '10.2.0.1/24', '10.2.0.1/16');
    const one = makeHost(random, ca, { networks }).certificate;
    expect(one.networks.map((prefix) => prefix.text)).to.deep.equal(['10.9.0.1/16', '10.2.0.1/24', '10.2.0.1/16']);
    const two = makeHost(random, ca, { version: 2, networks: [...prefixes('fd00::1/64'), ...networks] }).certificate;
    expect(two.networks.map((prefix) => prefix.text)).to.deep.equal([
      '10.2.0.1/16',
      '10.2.0.1/24',
      '10.9.0.1/16',
      'fd00::1/64',
    ]);
    for (const certificate of [one, two]) {
      expect(parseCertificate(certificate.encoded, certificate.version)).to.deep.equal(certificate);
    }
  });
});

/** The same certificate with another signature of about the same length. */
function withSignature(certificate: Certificate, signature: Uint8Array): Certificate {
  if (certificate.version === 1) {
    return version1Certificate(certificate, signature);
  }
  const signatureElement = 2 + certificate.signature.length;
  const content = certificate.encoded.subarray(3, certificate.encoded.length - signatureElement);
  const rest = [...content, 0x83, signature.length, ...signature];
  return parseCertificate(Uint8Array.from([0x30, 0x81, rest.length, ...rest]), 2);
}
