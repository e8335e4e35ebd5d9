/** A certificate authority for tests, made from a seed, and identities of nodes that it has signed: no files, no clock. */
import { CaPool } from '../../src/primary/pki/caPool.ts';
import type { Identity } from '../../src/primary/pki/identity.ts';
import { type SigningKey, signCertificate } from '../../src/primary/pki/signing.ts';
import type { Certificate, CertificateFields } from '../../src/shared/cert/certificate.ts';
import { version1Certificate } from '../../src/shared/cert/parse.ts';
import { detailsVersion1 } from '../../src/shared/cert/version1.ts';
import { Curve } from '../../src/shared/crypto/curve.ts';
import { type DhKeyPair, generateKeyPair } from '../../src/shared/crypto/dh.ts';
import { ed25519KeyPair, signEd25519 } from '../../src/shared/crypto/ed25519.ts';
import type { Prefix } from '../../src/shared/ip/address.ts';
import { net } from './addresses.ts';
import { Random } from './random.ts';

export const TEST_NOT_BEFORE = 1_700_000_000;
export const TEST_NOT_AFTER = 1_900_000_000;

export interface IssueOptions {
  /** Default: version 1. */
  readonly versions?: readonly (1 | 2)[];
  readonly initiatingVersion?: 1 | 2;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly groups?: readonly string[];
  /** A host's certificate that is marked as a CA's, as no CA should sign. */
  readonly isCa?: boolean;
  /** Another key pair makes another certificate of the same name and networks. */
  readonly keySeed?: number;
}

export class TestAuthority {
  readonly certificate: Certificate;
  readonly #key: SigningKey;
  readonly #seed: number;
  /** Signing takes milliseconds and tests ask for the same few certificates again and again. */
  readonly #issued = new Map<string, Certificate>();

  constructor(seed: number, name: string = 'test ca') {
    const pair = ed25519KeyPair(new Random(seed).bytes(32));
    this.#seed = seed;
    this.#key = { curve: Curve.Curve25519, privateKey: pair.privateKey };
    const fields = {
      version: 1 as const,
      name,
      networks: [],
      unsafeNetworks: [],
      groups: [],
      notBefore: TEST_NOT_BEFORE - 1000,
      notAfter: TEST_NOT_AFTER + 1000,
      isCa: true,
      curve: Curve.Curve25519,
      publicKey: pair.publicKey,
    };
    this.certificate = signCertificate(fields, null, this.#key);
  }

  pool(
    blocklist: readonly string[] = [],
    others: readonly TestAuthority[] = [],
    blockedKeys: readonly string[] = [],
  ): CaPool {
    return new CaPool([this.certificate, ...others.map((other) => other.certificate)], blocklist, blockedKeys);
  }

  /** An identity with one certificate per version, all for the same key; version 1 gets the IPv4 networks only. */
  identity(
    name: string,
    networks: readonly string[],
    options: IssueOptions = {},
    pool: CaPool = this.pool(),
  ): Identity {
    const versions = options.versions ?? [1];
    const keys = generateKeyPair(
      Curve.Curve25519,
      new Random(hash(`${this.#seed} ${name} ${options.keySeed ?? 0}`)).bytes(32),
    );
    const prefixes = networks.map(net);
    const certificates = versions.map((version) => this.#certificate(name, version, prefixes, keys, options));
    return {
      curve: Curve.Curve25519,
      publicKey: keys.publicKey,
      privateKey: keys.privateKey,
      certificates,
      initiatingVersion: options.initiatingVersion ?? versions[0],
      caPool: pool,
      networks: certificates[certificates.length - 1].networks,
      warnings: [],
    };
  }

  #certificate(
    name: string,
    version: 1 | 2,
    networks: readonly Prefix[],
    keys: DhKeyPair,
    options: IssueOptions,
  ): Certificate {
    const key = JSON.stringify([name, version, networks.map((network) => network.text), options]);
    const certificate = this.#issued.get(key) ?? this.#sign(name, version, networks, keys, options);
    this.#issued.set(key, certificate);
    return certificate;
  }

  #sign(
    name: string,
    version: 1 | 2,
    networks: readonly Prefix[],
    keys: DhKeyPair,
    options: IssueOptions,
  ): Certificate {
    const fields = {
      version,
      name,
      networks: version === 1 ? networks.filter((network) => network.address.family === 4) : networks,
      unsafeNetworks: [],
      groups: options.groups ?? [],
      notBefore: options.notBefore ?? TEST_NOT_BEFORE,
      notAfter: options.notAfter ?? TEST_NOT_AFTER,
      isCa: options.isCa ?? false,
      curve: Curve.Curve25519,
      publicKey: keys.publicKey,
    };
    return fields.isCa
      ? this.#signMarked({ ...fields, issuer: this.certificate.fingerprint })
      : signCertificate(fields, this.certificate, this.#key);
  }

  /** By hand and in version 1, because the product refuses to sign it. */
  #signMarked(fields: CertificateFields): Certificate {
    return version1Certificate(fields, signEd25519(this.#key.privateKey, detailsVersion1(fields, true)));
  }
}

/** FNV-1a, to turn a name into a seed. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
