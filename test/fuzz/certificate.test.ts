/**
 * Both certificate parsers, the handshake form, PEM and encrypted keys under random and damaged input: whatever comes,
 * they answer with a certificate or with CertificateError. The number of inputs is WEFT_FUZZ (default 200 000).
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { formatCertificate, parseCertificates } from '../../src/primary/pki/certificateFile.ts';
import { handshakeForm, parseHandshakeCertificate } from '../../src/primary/pki/handshakeForm.ts';
import { CertificateError } from '../../src/shared/cert/certificateError.ts';
import { parseCertificate, twinFingerprint } from '../../src/shared/cert/parse.ts';
import { Curve } from '../../src/shared/crypto/curve.ts';
import { makeCa, makeHost, prefixes } from '../support/certificates.ts';
import { Random } from '../support/random.ts';

const INPUT_COUNT = Number(process.env['WEFT_FUZZ'] ?? 200_000);
const TIMEOUT_MS = 60_000 + INPUT_COUNT;

/** Real certificates to start from. */
function corpus(version: 1 | 2): Uint8Array[] {
  const random = new Random(version);
  const ipv6 = version === 2 ? ['fd00::1/64'] : [];
  return [Curve.Curve25519, Curve.P256].flatMap((curve) => {
    const ca = makeCa(random, { curve, version });
    const host = makeHost(random, ca, {
      version,
      networks: prefixes('10.0.0.1/8', '10.0.0.2/8', ...ipv6),
      unsafeNetworks: prefixes('0.0.0.0/0'),
      groups: ['a', 'servers'],
    });
    return [ca.certificate.encoded, host.certificate.encoded, handshakeForm(host.certificate)];
  });
}

/** One to four edits: bits, bytes, cuts, repeats, inserts. */
function damaged(random: Random, original: Uint8Array): Uint8Array {
  let bytes: Uint8Array = original.slice();
  for (let count = 1 + random.below(4); count > 0 && bytes.length > 0; count--) {
    const at = random.below(bytes.length);
    switch (random.below(6)) {
      case 0:
        bytes[at] ^= 1 << random.below(8);
        break;
      case 1:
        bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0x81, 0x84, 0xff, 0x30, 0xa0, 0x0a]);
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3:
        bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + 1 + random.below(8))]);
        break;
      case 4:
        bytes = Uint8Array.from([
          ...bytes.subarray(0, at),
          ...random.bytes(1 + random.below(6)),
          ...bytes.subarray(at),
        ]);
        break;
      default:
        bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
        break;
    }
  }
  return bytes;
}

/** True when the input was accepted; anything but CertificateError goes up. */
function accepts(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof CertificateError) {
      return false;
    }
    throw error;
  }
}

for (const version of [1, 2] as const) {
  describe(`certificate parser of version ${version}`, () => {
    it('throws nothing but its own error, and what it accepts is stable', () => {
      const random = new Random(0x66757a7a + version);
      const originals = corpus(version);
      const key = random.bytes(32);
      let acceptedCount = 0;
      for (let round = 0; round < INPUT_COUNT / 2; round++) {
        const input = round % 8 === 0 ? random.bytes(random.below(80)) : damaged(random, random.pick(originals));
        const isHandshake = round % 3 === 0;
        acceptedCount += Number(
          accepts(() => {
            const certificate = isHandshake
              ? parseHandshakeCertificate(input, version, key, Curve.Curve25519)
              : parseCertificate(input, version);
            const again = parseCertificate(certificate.encoded, version);
            if (again.fingerprint !== certificate.fingerprint) {
              throw new Error(`unstable: ${Buffer.from(input).toString('hex')}`);
            }
            twinFingerprint(certificate);
          }),
        );
      }
      expect(acceptedCount).to.be.greaterThan(INPUT_COUNT / 200);
      expect(acceptedCount).to.be.lessThan(INPUT_COUNT / 2);
    }).timeout(TIMEOUT_MS);
  });
}

describe('PEM reader', () => {
  it('throws nothing but its own error', () => {
    const random = new Random(0x70656d66);
    const ca = makeCa(random);
    const text = formatCertificate(ca.certificate);
    const file = Uint8Array.from(Buffer.from(`# CA\n${text}${text}`));
    for (let round = 0; round < INPUT_COUNT / 20; round++) {
      accepts(() => parseCertificates(damaged(random, file)));
    }
    expect(accepts(() => parseCertificates(file))).to.equal(true);
  }).timeout(TIMEOUT_MS);
});
