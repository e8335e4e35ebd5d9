/** Certificates made in memory with keys from a seeded generator, for tests of everything that reads them. */

import { type SigningKey, signCertificate } from '../../src/primary/pki/signing.ts';
import type { Certificate, CertificateFields } from '../../src/shared/cert/certificate.ts';
import { CertificateError } from '../../src/shared/cert/certificateError.ts';
import { Curve } from '../../src/shared/crypto/curve.ts';
import { generateKeyPair } from '../../src/shared/crypto/dh.ts';
import { ed25519KeyPair } from '../../src/shared/crypto/ed25519.ts';
import type { Prefix } from '../../src/shared/ip/address.ts';
import { net } from './addresses.ts';
import type { Random } from './random.ts';

/** The moment of most tests, in Unix seconds. */
export const NOW = 1_800_000_000;

export interface TestCa {
  readonly certificate: Certificate;
  readonly key: SigningKey;
}

export function prefixes(...texts: readonly string[]): Prefix[] {
  return texts.map(net);
}

/** A CA valid for 1000 s around NOW and without constraints, unless said otherwise. */
export function makeCa(random: Random, overrides: Partial<CertificateFields> = {}): TestCa {
  const curve = overrides.curve ?? Curve.Curve25519;
  const seed = random.bytes(32);
  const pair = curve === Curve.P256 ? generateKeyPair(curve, seed) : ed25519KeyPair(seed);
  const key = { curve, privateKey: pair.privateKey };
  const fields = {
    version: 1 as const,
    name: 'ca',
    networks: [],
    unsafeNetworks: [],
    groups: [],
    notBefore: NOW - 1000,
    notAfter: NOW + 1000,
    ...overrides,
    isCa: true,
    curve,
    publicKey: pair.publicKey,
  };
  return { certificate: signCertificate(fields, null, key), key };
}

export interface TestHost {
  readonly certificate: Certificate;
  readonly privateKey: Uint8Array;
}

/** A host with 10.1.2.3/16, valid for 100 s around NOW, unless said otherwise. */
export function makeHost(random: Random, ca: TestCa, overrides: Partial<CertificateFields> = {}): TestHost {
  const pair = generateKeyPair(ca.key.curve, random.bytes(32));
  const fields = {
    version: ca.certificate.version,
    name: 'host',
    networks: prefixes('10.1.2.3/16'),
    unsafeNetworks: [],
    groups: [],
    notBefore: NOW - 100,
    notAfter: NOW + 100,
    publicKey: pair.publicKey,
    ...overrides,
    isCa: false,
    curve: ca.key.curve,
  };
  return { certificate: signCertificate(fields, ca.certificate, ca.key), privateKey: pair.privateKey };
}

/** Why `action` refuses a certificate or a key; `no error` when it does not. */
export function reasonOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof CertificateError) {
      return error.reason;
    }
    throw error;
  }
  return 'no error';
}
