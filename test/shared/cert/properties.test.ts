/** Sign, parse, verify: what holds for every certificate, whatever is in it. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CaPool } from '../../../src/primary/pki/caPool.ts';
import { formatCertificate, parseFirstCertificate } from '../../../src/primary/pki/certificateFile.ts';
import { handshakeForm, parseHandshakeCertificate } from '../../../src/primary/pki/handshakeForm.ts';
import type { Certificate, CertificateFields } from '../../../src/shared/cert/certificate.ts';
import { CertificateError } from '../../../src/shared/cert/certificateError.ts';
import { parseCertificate } from '../../../src/shared/cert/parse.ts';
import { Curve } from '../../../src/shared/crypto/curve.ts';
import { twinSignature } from '../../../src/shared/crypto/p256.ts';
import { addressFromBytes, type Prefix, prefixOf } from '../../../src/shared/ip/address.ts';
import { makeCa, makeHost, NOW } from '../../support/certificates.ts';
import { toHex } from '../../support/hex.ts';
import { Random } from '../../support/random.ts';

const WORDS = ['web', 'db', 'ünïcödé', '日本', '\ufeffmark', 'a b', '<&>', 'x'.repeat(200)];

function randomPrefix(random: Random, version: 1 | 2, isIpv6: boolean): Prefix {
  const bytes = random.bytes(version === 2 && isIpv6 ? 16 : 4);
  bytes[0] = 0x20 | (bytes[0] & 0x1f);
  return prefixOf(addressFromBytes(bytes), random.below(bytes.length * 8 + 1));
}

function randomFields(random: Random, version: 1 | 2): Partial<CertificateFields> {
  const hasIpv6 = version === 2 && random.bool();
  const list = (min: number): Prefix[] =>
    Array.from({ length: min + random.below(4) }, () => randomPrefix(random, version, hasIpv6));
  return {
    version,
    name: random.pick(WORDS),
    networks: list(1),
    unsafeNetworks: list(0),
    groups: Array.from({ length: random.below(4) }, () => random.pick(WORDS)),
    notBefore: NOW - random.below(1000),
    notAfter: NOW + random.below(1000),
  };
}

const authorities = [Curve.Curve25519, Curve.P256].map((curve) => makeCa(new Random(curve), { curve }));
const pool = new CaPool(authorities.map((authority) => authority.certificate));

function isAccepted(encoded: Uint8Array, version: 1 | 2): Certificate | null {
  try {
    const certificate = parseCertificate(encoded, version);
    return 'ca' in pool.verify(certificate, NOW) ? certificate : null;
  } catch (error) {
    if (error instanceof CertificateError) {
      return null;
    }
    throw error;
  }
}

describe('a signed certificate', () => {
  for (const version of [1, 2] as const) {
    for (const authority of authorities) {
      const title = `v${version} on curve ${authority.key.curve}`;

      it(`${title} survives parsing, PEM and the handshake form, and verifies`, () => {
        const random = new Random(0x70726f70 + version);
        for (let round = 0; round < 60; round++) {
          const { certificate } = makeHost(random, authority, randomFields(random, version));
          expect(parseCertificate(certificate.encoded, version)).to.deep.equal(certificate);
          expect(parseFirstCertificate(Buffer.from(formatCertificate(certificate)))).to.deep.equal(certificate);
          const short = handshakeForm(certificate);
          expect(short.length).to.be.lessThan(certificate.encoded.length - certificate.publicKey.length);
          expect(parseHandshakeCertificate(short, version, certificate.publicKey, certificate.curve)).to.deep.equal(
            certificate,
          );
          expect(pool.verify(certificate, NOW)).to.deep.equal({ ca: authority.certificate });
        }
      });

      it(`${title} shares no memory with what it was parsed from`, () => {
        const { certificate } = makeHost(new Random(version), authority, randomFields(new Random(5), version));
        const file = Buffer.from(certificate.encoded);
        const form = Buffer.from(handshakeForm(certificate));
        const key = Buffer.from(certificate.publicKey);
        const parsed = parseCertificate(file, version);
        const recombined = parseHandshakeCertificate(form, version, key, certificate.curve);
        for (const bytes of [file, form, key]) {
          bytes.fill(0);
        }
        expect(parsed).to.deep.equal(certificate);
        expect(recombined).to.deep.equal(certificate);
      });

      it(`${title} fails with any bit flipped`, () => {
        const random = new Random(0x666c6970 + version);
        const { certificate } = makeHost(random, authority, randomFields(random, version));
        const twin = authority.key.curve === Curve.P256 ? toHex(twinSignature(certificate.signature)!) : '';
        for (let bit = 0; bit < certificate.encoded.length * 8; bit++) {
          const damaged = certificate.encoded.slice();
          damaged[bit >> 3] ^= 1 << (bit & 7);
          const accepted = isAccepted(damaged, version);
          expect(accepted === null || toHex(accepted.signature) === twin, `bit ${bit}`).to.equal(true);
        }
      });

      it(`${title} fails when cut anywhere`, () => {
        const random = new Random(0x637574 + version);
        const { certificate } = makeHost(random, authority, randomFields(random, version));
        for (let length = 0; length < certificate.encoded.length; length++) {
          expect(isAccepted(certificate.encoded.subarray(0, length), version), `${length} bytes`).to.equal(null);
        }
      });
    }
  }
});
