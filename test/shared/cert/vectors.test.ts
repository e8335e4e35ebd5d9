/** Certificates that other implementations made, byte for byte. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CaPool } from '../../../src/primary/pki/caPool.ts';
import { formatCertificate, parseCertificates } from '../../../src/primary/pki/certificateFile.ts';
import { handshakeForm, parseHandshakeCertificate } from '../../../src/primary/pki/handshakeForm.ts';
import { signCertificate } from '../../../src/primary/pki/signing.ts';
import type { CertificateFields } from '../../../src/shared/cert/certificate.ts';
import {
  parseCertificate,
  signedBytes,
  twinFingerprint,
  version1Certificate,
  version2Certificate,
} from '../../../src/shared/cert/parse.ts';
import { detailsVersion1 } from '../../../src/shared/cert/version1.ts';
import { detailsVersion2, signedBytesVersion2 } from '../../../src/shared/cert/version2.ts';
import { Curve } from '../../../src/shared/crypto/curve.ts';
import { publicKeyOf } from '../../../src/shared/crypto/dh.ts';
import { ed25519KeyPair } from '../../../src/shared/crypto/ed25519.ts';
import { twinSignature } from '../../../src/shared/crypto/p256.ts';
import { prefixes, reasonOf } from '../../support/certificates.ts';
import { handshakeVectors } from '../../support/handshakeVectors.ts';
import { countingBytes, fromHex, toHex } from '../../support/hex.ts';

const FINGERPRINTS = [
  {
    version: 1,
    curve: Curve.Curve25519,
    ca: '3f4c51c6e5ab8df99623fd133d72c785b42eac93b770082d8904c1c2ebda05d4',
    alpha: 'c422f3dcd3c607852825b6d0fd0f365262a6142195c74e279677c3c87a67a1b0',
    beta: 'c3044354c97c49c2b0a5c1e082c142e79b85c1707a10b6820942eddd0086ea0a',
  },
  {
    version: 2,
    curve: Curve.Curve25519,
    ca: 'c7b02d1422cfc22046fce99e9f200b391d9c66c5ab4300c2c7d6a6c067e83a48',
    alpha: '9e2edb664fcd51ea80e298a452808a1cce215e93c68e5437eb236c94b25f344b',
    beta: 'c04126a0916274685d8aeaf3cf472bf88eb9b1a685184d0e9b706f6d4040c4a1',
  },
  {
    version: 1,
    curve: Curve.P256,
    ca: '3c78176632c6e3cd6603700ea54afc110a10942ada89161d93b46590640f1501',
    alpha: '297c2a29df0936500ce994a157ef3335f8967696ae70a6de3afe9b379fb5b3bd',
    beta: 'af51e259a6109f90adb2436022e43aa9f05fa1e4a5aac660245268578184dcbc',
  },
] as const;

function ascii(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** A protobuf length between 128 and 255. */
function varint(value: number): string {
  return toHex(Uint8Array.of((value & 0x7f) | 0x80, value >> 7));
}

for (const expected of FINGERPRINTS) {
  describe(`certificates of the v${expected.version} handshake on curve ${expected.curve}`, () => {
    const vector = handshakeVectors.find(
      (candidate) => candidate.version === expected.version && candidate.curve === expected.curve,
    )!;
    const value = (name: string): Uint8Array => fromHex(vector.values[name]);
    const ca = parseCertificate(value('ca'), expected.version);
    const alpha = parseCertificate(value('certA'), expected.version);
    const beta = parseCertificate(value('certB'), expected.version);

    it('have these fields', () => {
      expect(ca).to.include({ name: 'vector ca', isCa: true, issuer: '', notBefore: 1.6e9, notAfter: 2e9 });
      expect(ca.networks).to.deep.equal([]);
      expect(alpha).to.include({ name: 'alpha', isCa: false, issuer: ca.fingerprint, curve: expected.curve });
      expect(alpha.groups).to.deep.equal(['laptops']);
      expect(beta).to.include({ name: 'beta', notBefore: 1.7e9, notAfter: 1.9e9, version: expected.version });
      expect(beta.groups).to.deep.equal(['servers', 'web']);
      expect(beta.unsafeNetworks.map((prefix) => prefix.text)).to.deep.equal(['192.168.7.0/24']);
      const networks = expected.version === 1 ? ['10.42.0.2/24'] : ['10.42.0.2/24', 'fd42::2/64'];
      expect(beta.networks.map((prefix) => prefix.text)).to.deep.equal(networks);
      expect(toHex(alpha.publicKey)).to.equal(vector.values['staticAPub']);
      expect(toHex(publicKeyOf(expected.curve, countingBytes(0))!)).to.equal(vector.values['staticAPub']);
    });

    it('have these fingerprints and re-encode to the same bytes', () => {
      expect(ca.fingerprint).to.equal(expected.ca);
      expect(alpha.fingerprint).to.equal(expected.alpha);
      expect(beta.fingerprint).to.equal(expected.beta);
      expect(toHex(ca.encoded)).to.equal(vector.values['ca']);
      expect(toHex(alpha.encoded)).to.equal(vector.values['certA']);
      expect(toHex(beta.encoded)).to.equal(vector.values['certB']);
    });

    it('have this handshake form and are put together again from it', () => {
      for (const [certificate, name, key] of [
        [alpha, 'certAHs', 'staticAPub'],
        [beta, 'certBHs', 'staticBPub'],
      ] as const) {
        expect(toHex(handshakeForm(certificate))).to.equal(vector.values[name]);
        const again = parseHandshakeCertificate(value(name), expected.version, value(key), expected.curve);
        expect(again).to.deep.equal(certificate);
      }
      if (expected.version === 1) {
        const old = parseHandshakeCertificate(value('certAHs'), 0, value('staticAPub'), expected.curve);
        expect(old.fingerprint).to.equal(expected.alpha);
      }
    });

    it('are accepted by a pool of their CA', () => {
      const pool = new CaPool([ca]);
      expect(pool.verify(alpha, 1_750_000_000)).to.deep.equal({ ca });
      expect(pool.verify(beta, 1_750_000_000)).to.deep.equal({ ca });
      const last = alpha.encoded.slice();
      last[last.length - 1] ^= 1;
      const forged = parseCertificate(last, expected.version);
      expect(pool.verify(forged, 1_750_000_000)).to.include({ fault: 'certificate signature did not match' });
    });

    if (expected.curve === Curve.Curve25519) {
      it('come out the same when signed here', () => {
        const key = { curve: expected.curve, privateKey: ed25519KeyPair(countingBytes(0xa0)).privateKey };
        expect(toHex(signCertificate(ca, null, key).encoded)).to.equal(vector.values['ca']);
        expect(toHex(signCertificate(alpha, ca, key).encoded)).to.equal(vector.values['certA']);
        expect(toHex(signCertificate(beta, ca, key).encoded)).to.equal(vector.values['certB']);
      });
    }
  });
}

describe('recombining a handshake certificate', () => {
  const one = handshakeVectors.find((vector) => vector.version === 1 && vector.curve === Curve.Curve25519)!.values;
  const two = handshakeVectors.find((vector) => vector.version === 2)!.values;
  const p256 = handshakeVectors.find((vector) => vector.curve === Curve.P256)!.values;
  const { Curve25519, P256 } = Curve;

  it('refuses a certificate with its own key, of an unknown version and of another curve', () => {
    const keyA = fromHex(one['staticAPub']);
    const attempt = (text: string, version: number, key: Uint8Array, curve: Curve): string =>
      reasonOf(() => parseHandshakeCertificate(fromHex(text), version, key, curve));
    expect(attempt(one['certA'], 1, keyA, Curve25519)).to.equal('certificate has unexpected pubkey present');
    expect(attempt(two['certA'], 2, keyA, Curve25519)).to.equal('certificate has unexpected pubkey present');
    expect(attempt(one['certAHs'], 3, keyA, Curve25519)).to.match(/version 3/);
    expect(attempt(one['certAHs'], 1, keyA, P256)).to.match(/curve/);
    expect(attempt(p256['certAHs'], 1, fromHex(p256['staticAPub']), Curve25519)).to.match(/curve/);
    expect(attempt(two['certAHs'], 1, keyA, Curve25519)).to.match(/protobuf|Details/);
    expect(attempt(one['certAHs'], 2, keyA, Curve25519)).to.match(/bad wire format/);
  });

  it('gives another fingerprint with another key, which no CA signed', () => {
    const ca = parseCertificate(fromHex(one['ca']), 1);
    const stolen = parseHandshakeCertificate(fromHex(one['certAHs']), 1, fromHex(one['staticBPub']), Curve25519);
    expect(new CaPool([ca]).verify(stolen, 1_750_000_000)).to.include({
      fault: 'certificate signature did not match',
    });
  });
});

describe('version 1, canonical encoding', () => {
  const key = ascii('1234567890abcedfghij1234567890ab');
  const fields: CertificateFields = {
    version: 1,
    name: 'testing',
    networks: prefixes('10.1.1.2/16', '10.1.1.1/24'),
    unsafeNetworks: prefixes('9.1.1.3/16', '9.1.1.2/24'),
    groups: ['test-group1', 'test-group2', 'test-group3'],
    notBefore: 3661,
    notAfter: 253370768461,
    isCa: false,
    issuer: '1234567890abcedf',
    curve: Curve.Curve25519,
    publicKey: key,
  };
  const details =
    '0a0774657374696e671212828284508080fcff0f8182845080feffff0f1a12838284488080fcff0f8282844880feffff' +
    '0f220b746573742d67726f757031220b746573742d67726f757032220b746573742d67726f75703328cd1c30cdb8ccf0' +
    'af073a20313233343536373839306162636564666768696a3132333435363738393061624a081234567890abcedf';

  it('is this', () => {
    expect(toHex(detailsVersion1(fields, true))).to.equal(details);
    const certificate = version1Certificate(fields, key);
    expect(toHex(certificate.encoded)).to.equal(`0a8e01${details}1220${toHex(key)}`);
    expect(certificate.fingerprint).to.equal('1821bd4d2e3b61fc091da7473ea2f0e9087017598489686e69595d2f2944e899');
    expect(parseCertificate(certificate.encoded, 1)).to.deep.equal(certificate);
    expect(toHex(signedBytes(certificate))).to.equal(details);
  });

  it('keeps times before 1970', () => {
    const early = version1Certificate(
      {
        ...fields,
        networks: prefixes('10.1.1.1/24', '10.1.1.2/16'),
        unsafeNetworks: prefixes('9.1.1.2/24', '9.1.1.3/16'),
        notBefore: -62138358000,
        notAfter: -62138354400,
      },
      key,
    );
    expect(early.fingerprint).to.equal('3944c53d4267a229295b56cb2d27d459164c010ac97d655063ba421e0670f4ba');
    expect(parseCertificate(early.encoded, 1)).to.deep.equal(early);
  });

  it('is restored from another spelling of the same fields', () => {
    const certificate = version1Certificate(fields, key);
    const packed = '1212828284508080fcff0f8182845080feffff0f';
    const unpacked = '108282845010' + '8080fcff0f' + '1081828450' + '1080feffff0f';
    const unknownField = 'c23e0178';
    const content = fromHex(details.replace(packed, unpacked) + unknownField);
    const length = varint(content.length);
    const encoded = `0a${length}${toHex(content)}1220${toHex(key)}`;
    expect(toHex(parseCertificate(fromHex(encoded), 1).encoded)).to.equal(toHex(certificate.encoded));
  });

  it('refuses what is no certificate', () => {
    expect(reasonOf(() => parseCertificate(fromHex('980000'), 1))).to.equal('encoded Details was nil');
    expect(reasonOf(() => parseCertificate(new Uint8Array(0), 1))).to.match(/empty/);
    expect(reasonOf(() => parseCertificate(fromHex('0a0e1201013a07aaaaaaaaaaaaaa2001'), 1))).to.not.equal('no error');
    expect(reasonOf(() => parseCertificate(fromHex('0a051201013a0141'), 1))).to.match(/protobuf/);
    expect(reasonOf(() => parseCertificate(fromHex('0a0612010a3a0141'), 1))).to.match(/IPs should be in pairs/);
    expect(reasonOf(() => parseCertificate(fromHex('0a061a010a3a0141'), 1))).to.match(/Subnets should be in pairs/);
    expect(reasonOf(() => parseCertificate(fromHex('0a060a01ff3a0141'), 1))).to.match(/UTF-8/);
    expect(reasonOf(() => parseCertificate(fromHex('0a033a0141'), 1))).to.match(/at least one network/);
    expect(reasonOf(() => parseCertificate(fromHex('0a0412020a00'), 1))).to.match(/no public key/);
    expect(reasonOf(() => parseCertificate(fromHex('0a071202000a3a0141'), 1))).to.match(/zero address/);
    expect(reasonOf(() => parseCertificate(fromHex('0a063a0141a00602'), 1))).to.match(/curve number 2/);
  });
});

describe('version 2, encoding', () => {
  const key = ascii('1234567890abcedfghij1234567890ab');
  const fields: CertificateFields = {
    version: 2,
    name: 'testing',
    networks: prefixes('10.1.1.2/16', '10.1.1.1/24'),
    unsafeNetworks: prefixes('9.1.1.3/16', '9.1.1.2/24'),
    groups: ['test-group1', 'test-group2', 'test-group3'],
    notBefore: 831254400,
    notAfter: 831254460,
    isCa: false,
    issuer: '1234567890abcdef1234567890abcdef',
    curve: Curve.Curve25519,
    publicKey: key,
  };
  const details =
    'a070800774657374696e67a10e04050a0101021004050a01010118a20e0405090101031004050901010218a3270c0b74' +
    '6573742d67726f7570310c0b746573742d67726f7570320c0b746573742d67726f7570338504318bef808604318befbc' +
    '87101234567890abcdef1234567890abcdef';

  it('is this', () => {
    const raw = detailsVersion2(fields);
    expect(toHex(raw)).to.equal(details);
    expect(toHex(signedBytesVersion2(raw, fields.curve, key))).to.equal(`${details}00${toHex(key)}`);
  });

  it('has this fingerprint', () => {
    const other: CertificateFields = {
      ...fields,
      networks: prefixes('10.1.1.1/24', '10.1.1.2/16'),
      unsafeNetworks: prefixes('9.1.1.2/24', '9.1.1.3/16'),
      notBefore: -62138358000,
      notAfter: -62138354400,
      issuer: '1234567890abcedf1234567890abcedf',
      publicKey: ascii('1234567890abcedf1234567890abcedf'),
    };
    const certificate = version2Certificate(other, ascii('1234567890abcedf'.repeat(4)), detailsVersion2(other));
    expect(certificate.fingerprint).to.equal('152d9a7400c1e001cb76cffd035215ebb351f69eeb797f7f847dd086e15e56dd');
  });

  it('is kept as received although the lists are sorted', () => {
    const certificate = version2Certificate(fields, key, detailsVersion2(fields));
    const parsed = parseCertificate(certificate.encoded, 2);
    expect(parsed.networks.map((prefix) => prefix.text)).to.deep.equal(['10.1.1.1/24', '10.1.1.2/16']);
    expect(parsed.unsafeNetworks.map((prefix) => prefix.text)).to.deep.equal(['9.1.1.2/24', '9.1.1.3/16']);
    expect(parsed.fingerprint).to.equal(certificate.fingerprint);
    expect(toHex(parsed.encoded)).to.equal(toHex(certificate.encoded));
    expect(toHex(signedBytes(parsed))).to.equal(`${details}00${toHex(key)}`);
  });

  it('refuses what is no certificate', () => {
    expect(reasonOf(() => parseCertificate(fromHex('980000'), 2))).to.match(/^bad wire format/);
    expect(reasonOf(() => parseCertificate(fromHex('3000'), 2))).to.match(/^bad wire format/);
    expect(reasonOf(() => parseCertificate(fromHex('3002a000'), 2))).to.match(/^bad wire format: the details are/);
    expect(reasonOf(() => parseCertificate(new Uint8Array(65537).fill(0x30), 2))).to.match(/65536/);
  });
});

describe('CA bundles', () => {
  const bundle = `# a comment
-----BEGIN NEBULA CERTIFICATE-----
Cj4KDm5lYnVsYSByb290IGNhKM0cMM24zPCvBzogV24YEw5YiqeI/oYo8XXFsoo+
PBmiOafNJhLacf9rsspAARJAz9OAnh8TKAUKix1kKVMyQU4iM3LsFfZRf6ODWXIf
2qWMpB6fpd3PSoVYziPoOt2bIHIFLlgRLPJz3I3xBEdBCQ==
-----END NEBULA CERTIFICATE-----

-----BEGIN NEBULA CERTIFICATE-----
CkEKEW5lYnVsYSByb290IGNhIDAxKM0cMM24zPCvBzogPzbWTxt8ZgXPQEwup7Br
BrtIt1O0q5AuTRT3+t2x1VJAARJAZ+2ib23qBXjdy49oU1YysrwuKkWWKrtJ7Jye
rFBQpDXikOukhQD/mfkloFwJ+Yjsfru7IpTN4ZfjXL+kN/2sCA==
-----END NEBULA CERTIFICATE-----
another comment
-----BEGIN NEBULA CERTIFICATE-----
CjMKB2V4cGlyZWQozRwwzRw6ICJSG94CqX8wn5I65Pwn25V6HftVfWeIySVtp2DA
7TY/QAESQMaAk5iJT5EnQwK524ZaaHGEJLUqqbh5yyOHhboIGiVTWkFeH3HccTW8
Tq5a8AyWDQdfXbtEZ1FwabeHfH5Asw0=
-----END NEBULA CERTIFICATE-----
-----BEGIN NEBULA CERTIFICATE-----
CmQKEG5lYnVsYSBQMjU2IHRlc3QozRwwzbjM8K8HOkEEdrmmg40zQp44AkMq6DZp
k+coOv04r+zh33ISyhbsafnYduN17p2eD7CmHvHuerguXD9f32gcxo/KsFCKEjMe
+0ABoAYBEkcwRQIgVoTg38L7uWku9xQgsr06kxZ/viQLOO/w1Qj1vFUEnhcCIQCq
75SjTiV92kv/1GcbT3wWpAZQQDBiUHVMVmh1822szA==
-----END NEBULA CERTIFICATE-----`;

  it('hold these CAs, all self-signed', () => {
    const pool = CaPool.fromPem(Buffer.from(bundle));
    expect(pool.authorities.map((ca) => [ca.name, ca.notBefore, ca.notAfter, ca.curve, ca.fingerprint])).to.deep.equal([
      ['nebula root ca', 3661, 253370768461, 0, 'ce4e6c7a596996eb0d82a8875f0f0137a4b53ce22d2421c9fd7150e7a26f6300'],
      ['nebula root ca 01', 3661, 253370768461, 0, '04c585fcd9a49b276df956a22b7ebea3bf23f1fca5a17c0b56ce2e626631969e'],
      ['expired', 3661, 3661, 0, 'c39b35a0e8f246203fe4f32b9aa8bfd155f1ae6a6be9d78370641e43397f48f5'],
      ['nebula P256 test', 3661, 253370768461, 1, '552bf7d99bec1fc775a0e4c324bf6d8f789b3078f1919c7960d2e5e0c351ee97'],
    ]);
    for (const ca of pool.authorities) {
      expect(pool.find(ca.fingerprint)).to.equal(ca);
      expect(bundle).to.include(formatCertificate(ca).trimEnd());
    }
  });

  it('have a P-256 CA whose twin the blocklist catches, too', () => {
    const ca = parseCertificates(Buffer.from(bundle))[3];
    const twin = '1f763ebcbad39ac742d222ddcbf2ea2cf53b1fb05f3936839cc3a74856aaae98';
    expect(toHex(twinSignature(ca.signature)!)).to.equal(
      '304402205684e0dfc2fbb9692ef71420b2bd3a93167fbe240b38eff0d508f5bc55049e1702205510' +
        '6b5bb1da8226b4002b98e4b083e918e0aa6d76b54e0fa763624d08f57885',
    );
    expect(toHex(twinSignature(twinSignature(ca.signature)!)!)).to.equal(toHex(ca.signature));
    expect(twinFingerprint(ca)).to.equal(twin);
    expect(new CaPool([ca], [twin]).isBlocked(ca)).to.equal(true);
    expect(new CaPool([ca], [ca.fingerprint]).isBlocked(ca)).to.equal(true);
    expect(new CaPool([ca], ['00']).isBlocked(ca)).to.equal(false);
    expect(twinFingerprint(parseCertificates(Buffer.from(bundle))[0])).to.equal(null);
  });

  it('are empty when the file is, and refused when it has other text', () => {
    const first = bundle.slice(bundle.indexOf('-----BEGIN'), bundle.indexOf('-----END') + 33);
    for (const text of ['', ' \n\t\n']) {
      expect(CaPool.fromPem(Buffer.from(text)).authorities).to.deep.equal([]);
    }
    expect(CaPool.fromPem(Buffer.from(first)).authorities).to.have.length(1);
    for (const text of [
      'hello',
      `${bundle}\nhello`,
      first.slice(0, 100),
      `${bundle}\n-----BEGIN NEBULA CERTIFICATE-----`,
    ]) {
      expect(
        reasonOf(() => CaPool.fromPem(Buffer.from(text))),
        text,
      ).to.match(/PEM/);
    }
  });
});
