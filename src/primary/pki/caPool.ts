/**
 * The certificate authorities that a node trusts, the blocklist, and the verdict over a certificate: in the order and
 * with the sentences of Nebula's documentation. A pool never changes its mind; a reload makes a new one.
 * Nebula protocol: certificates §6.
 */
import type { Certificate } from '../../shared/cert/certificate.ts';
import { CertificateError } from '../../shared/cert/certificateError.ts';
import { twinFingerprint } from '../../shared/cert/parse.ts';
import { constraintFault, timeText } from '../../shared/cert/rules.ts';
import type { Curve } from '../../shared/crypto/curve.ts';
import { parseCertificates } from './certificateFile.ts';
import { parseHandshakeCertificate } from './handshakeForm.ts';
import { signatureCheckOf } from './signing.ts';
import { keyOf, type VerifiedCertificate, VerifiedCertificates } from './verifiedCertificates.ts';

export type TrustVerdict =
  | { readonly ca: Certificate }
  | {
      /** The reason, without naming the certificate. */
      readonly fault: string;
      /** What to compare with what; may be empty. */
      readonly detail: string;
      /** True when the blocklist names it: such a tunnel closes whatever the settings say. */
      readonly isBlocked: boolean;
    };

interface Authority {
  readonly certificate: Certificate;
  readonly signed: (certificate: Certificate) => boolean;
}

export class CaPool {
  readonly #authorities: ReadonlyMap<string, Authority>;
  readonly #blocklist: ReadonlySet<string>;
  readonly #blockedKeys: ReadonlySet<string>;
  readonly #verified: VerifiedCertificates = new VerifiedCertificates();

  /**
   * Takes CA certificates, also expired ones; what is blocked is lower-case hex, fingerprints and public keys. Throws
   * CertificateError for one that is no CA or not self-signed.
   */
  constructor(
    authorities: Iterable<Certificate>,
    blocklist: Iterable<string> = [],
    blockedKeys: Iterable<string> = [],
  ) {
    const byFingerprint = new Map<string, Authority>();
    for (const certificate of authorities) {
      if (!certificate.isCa) {
        throw new CertificateError(`certificate is not a CA: "${certificate.name}"`);
      }
      const signed = signatureCheckOf(certificate);
      if (!signed(certificate)) {
        throw new CertificateError(`certificate is not self-signed: "${certificate.name}"`);
      }
      byFingerprint.set(certificate.fingerprint, { certificate, signed });
    }
    this.#authorities = byFingerprint;
    this.#blocklist = new Set(blocklist);
    this.#blockedKeys = new Set(blockedKeys);
  }

  /** The pool of a PEM bundle; an empty file gives an empty pool. Throws CertificateError. */
  static fromPem(file: Uint8Array, blocklist: Iterable<string> = [], blockedKeys: Iterable<string> = []): CaPool {
    return new CaPool(parseCertificates(file), blocklist, blockedKeys);
  }

  /** Every CA, in the order of the bundle. */
  get authorities(): readonly Certificate[] {
    return [...this.#authorities.values()].map((authority) => authority.certificate);
  }

  /** The CA with this lower-case hex fingerprint, also when expired. */
  find(fingerprint: string): Certificate | null {
    return this.#authorities.get(fingerprint)?.certificate ?? null;
  }

  /** True when the certificate's public key is blocked, or its fingerprint or that of its P-256 twin. */
  isBlocked(certificate: Certificate): boolean {
    if (this.#blocklist.has(certificate.fingerprint) || this.#isKeyBlocked(certificate)) {
      return true;
    }
    const twin = this.#blocklist.size === 0 ? null : twinFingerprint(certificate);
    return twin !== null && this.#blocklist.has(twin);
  }

  /** The full verification, for a certificate that was never seen before. */
  verify(certificate: Certificate, unixSeconds: number): TrustVerdict {
    const found = this.#findIssuer(certificate, unixSeconds);
    if ('fault' in found) {
      return found;
    }
    const ca = found.certificate;
    if (!found.signed(certificate)) {
      return refusal('certificate signature did not match', `it names the CA "${ca.name}", which did not sign it`);
    }
    const broken = constraintFault(ca, certificate);
    if (broken !== null) {
      return refusal(broken.fault, broken.detail);
    }
    return this.isBlocked(certificate) ? BLOCKED : { ca };
  }

  /**
   * Puts together and verifies the certificate of a handshake (`parseHandshakeCertificate`), from memory when it has been
   * seen. The verdict is that of `verify` at this moment. Throws CertificateError for one that is malformed.
   */
  verifyHandshake(
    encoded: Uint8Array,
    version: number,
    publicKey: Uint8Array,
    curve: Curve,
    unixSeconds: number,
  ): VerifiedCertificate | Refusal {
    const key = keyOf(encoded, version, publicKey, curve);
    const known = this.#verified.find(key);
    if (known !== null) {
      const verdict = this.reverify(known.certificate, known.ca, unixSeconds);
      return 'fault' in verdict ? verdict : known;
    }
    const certificate = parseHandshakeCertificate(encoded, version, publicKey, curve);
    const verdict = this.verify(certificate, unixSeconds);
    if ('fault' in verdict) {
      return verdict;
    }
    const verified = { certificate, ca: verdict.ca };
    this.#verified.add(key, verified);
    return verified;
  }

  /** The part that time and reloads can change, for a certificate that `verify` accepted as signed by `ca`. */
  reverify(certificate: Certificate, ca: Certificate, unixSeconds: number): TrustVerdict {
    const found = this.#findIssuer(certificate, unixSeconds);
    if ('fault' in found) {
      return found;
    }
    if (found.certificate.fingerprint !== ca.fingerprint) {
      return refusal('certificate fingerprint did not match', `it was verified by the CA "${ca.name}"`);
    }
    return this.isBlocked(certificate) ? BLOCKED : { ca: found.certificate };
  }

  #isKeyBlocked({ publicKey }: Certificate): boolean {
    return this.#blockedKeys.size > 0 && this.#blockedKeys.has(Buffer.from(publicKey).toString('hex'));
  }

  #findIssuer(certificate: Certificate, unixSeconds: number): Authority | Refusal {
    if (this.#blocklist.has(certificate.fingerprint)) {
      return BLOCKED;
    }
    if (certificate.issuer === '') {
      return refusal('no issuer in certificate', certificate.isCa ? 'it is a CA certificate' : '');
    }
    const authority = this.#authorities.get(certificate.issuer);
    if (authority === undefined) {
      return refusal('could not find ca for the certificate', `no CA here has the fingerprint ${certificate.issuer}`);
    }
    const ca = authority.certificate;
    if (ca.curve !== certificate.curve) {
      return refusal('certificate curve does not match CA', '');
    }
    if (!isValidAt(ca, unixSeconds)) {
      return refusal('root certificate is expired', `the CA "${ca.name}" is ${validityText(ca)}`);
    }
    if (!isValidAt(certificate, unixSeconds)) {
      return refusal('certificate is expired', `it is ${validityText(certificate)}`);
    }
    return authority;
  }
}

/** Both ends are inclusive. */
export function isValidAt(certificate: Certificate, unixSeconds: number): boolean {
  return certificate.notBefore <= unixSeconds && unixSeconds <= certificate.notAfter;
}

type Refusal = Extract<TrustVerdict, { readonly fault: string }>;

const BLOCKED: Refusal = { fault: 'certificate is in the block list', detail: '', isBlocked: true };

function refusal(fault: string, detail: string): Refusal {
  return { fault, detail, isBlocked: false };
}

function validityText(certificate: Certificate): string {
  return `valid from ${timeText(certificate.notBefore)} until ${timeText(certificate.notAfter)}`;
}
