/**
 * Who this node is: its certificates with their key, and the authorities it trusts, read from `pki.*`. Loading collects
 * every problem before it refuses, so an operator fixes them in one go; on a reload the caller keeps the identity it has.
 * The private key stays in the primary: it is never logged, and no worker gets an `Identity`.
 */
import { readFileSync, statSync } from 'node:fs';
import type { Certificate } from '../../shared/cert/certificate.ts';
import { CertificateError } from '../../shared/cert/certificateError.ts';
import { prefixesText, timeText } from '../../shared/cert/rules.ts';
import type { Curve } from '../../shared/crypto/curve.ts';
import { publicKeyOf } from '../../shared/crypto/dh.ts';
import type { Prefix } from '../../shared/ip/address.ts';
import { errorText } from '../../shared/log/errorText.ts';
import { CaPool, isValidAt } from './caPool.ts';
import { parseCertificates } from './certificateFile.ts';
import { type CurveKey, parseKey } from './keyFile.ts';

export interface Identity {
  readonly curve: Curve;
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
  /** At most one of version 1 and one of version 2, in this order. */
  readonly certificates: readonly Certificate[];
  readonly initiatingVersion: 1 | 2;
  readonly caPool: CaPool;
  /** The node's vpn networks: those of its highest version. */
  readonly networks: readonly Prefix[];
  /** What an operator should look at, though it works. */
  readonly warnings: readonly string[];
}

/** The part of the configuration that makes an identity; each of the first three is a path or PEM text. */
export interface PkiSettings {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly blocklist: readonly string[];
  /** Public keys in lower-case hex. */
  readonly blocklistKeys: readonly string[];
  /** Null: 1 with a version 1 certificate, else 2. */
  readonly initiatingVersion: 1 | 2 | null;
}

/** The file system as far as it matters here. */
export interface PkiFiles {
  read(path: string): Uint8Array;
  /** Permission bits. */
  mode(path: string): number;
}

/** Everything that keeps the settings from being an identity. */
export class IdentityError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'IdentityError';
    this.problems = problems;
  }
}

/** Loads and checks certificates, key and CAs at a moment. Throws IdentityError with all problems. */
export function loadIdentity(settings: PkiSettings, unixSeconds: number, files: PkiFiles = systemFiles): Identity {
  const loading = new Loading(files, unixSeconds);
  const caPool = loading.pool(settings);
  const certificates = loading.certificates(settings.cert);
  const key = loading.key(settings.key);
  if (certificates !== null && key !== null) {
    loading.checkKey(certificates, key);
  }
  const version = certificates === null ? null : loading.initiatingVersion(certificates, settings.initiatingVersion);
  if (caPool === null || certificates === null || key === null || version === null || loading.problems.length > 0) {
    key?.bytes.fill(0);
    throw new IdentityError(loading.problems);
  }
  loading.warnUnlessTrusted(caPool, certificates);
  return {
    curve: key.curve,
    publicKey: certificates[0].publicKey,
    privateKey: key.bytes,
    certificates,
    initiatingVersion: version,
    caPool,
    networks: certificates[certificates.length - 1].networks,
    warnings: loading.warnings,
  };
}

/**
 * Why a running node can not change from one identity to the other; null when it can. Its addresses and its curve are
 * fixed while it runs; a version may come, and go when the other one has the same networks. Nebula protocol: handshake §15.
 */
export function changeFault(current: Identity, next: Identity): string | null {
  if (current.curve !== next.curve) {
    return 'the curve of the host certificate can not change without a restart';
  }
  for (const certificate of current.certificates) {
    const successor =
      next.certificates.find((candidate) => candidate.version === certificate.version) ?? next.certificates[0];
    if (prefixesText(successor.networks) !== prefixesText(certificate.networks)) {
      return (
        `the networks of the v${certificate.version} host certificate can not change without a restart: ` +
        `${prefixesText(certificate.networks)} would become ${prefixesText(successor.networks)}`
      );
    }
  }
  return null;
}

/** One attempt to load; collects problems and warnings. */
class Loading {
  readonly problems: string[] = [];
  readonly warnings: string[] = [];
  readonly #files: PkiFiles;
  readonly #unixSeconds: number;

  constructor(files: PkiFiles, unixSeconds: number) {
    this.#files = files;
    this.#unixSeconds = unixSeconds;
  }

  pool(settings: PkiSettings): CaPool | null {
    const blocklist = settings.blocklist.map((entry) => entry.trim().toLowerCase());
    for (const entry of blocklist) {
      if (!/^[0-9a-f]{64}$/.test(entry)) {
        this.warnings.push(`pki.blocklist: "${entry}" is no fingerprint (64 hex digits) and blocks nothing`);
      }
    }
    const pool = this.#attempt('pki.ca', settings.ca, (file) =>
      CaPool.fromPem(file, blocklist, settings.blocklistKeys),
    );
    if (pool === null) {
      return null;
    }
    const expired = pool.authorities.filter((ca) => !isValidAt(ca, this.#unixSeconds));
    if (expired.length === pool.authorities.length) {
      this.problems.push(`pki.ca: no valid CA certificates present${this.#clockHint(expired)}`);
      return null;
    }
    for (const ca of expired) {
      this.warnings.push(
        `pki.ca: expired certificate present in CA pool: "${ca.name}" (${ca.fingerprint}) ended ${timeText(ca.notAfter)}`,
      );
    }
    return pool;
  }

  /** In the order of their versions. */
  certificates(source: string): readonly Certificate[] | null {
    const found = this.#attempt('pki.cert', source, parseCertificates);
    if (found === null) {
      return null;
    }
    const before = this.problems.length;
    if (found.length === 0) {
      this.problems.push('pki.cert: it contains no certificate');
    }
    for (const certificate of found) {
      this.#checkCertificate(certificate);
    }
    for (const version of [1, 2]) {
      if (found.filter((certificate) => certificate.version === version).length > 1) {
        this.problems.push(`pki.cert: it contains more than one v${version} certificate, keep one of each version`);
      }
    }
    const sorted = [...found].sort((a, b) => a.version - b.version);
    this.#checkPair(sorted);
    return this.problems.length > before ? null : sorted;
  }

  key(source: string): CurveKey | null {
    if (source.startsWith('pkcs11:')) {
      this.problems.push('pki.key: keys in PKCS#11 tokens are not supported, give a path or PEM text');
      return null;
    }
    if (source !== '' && !isInline(source)) {
      this.#warnIfReadable(source);
    }
    return this.#attempt('pki.key', source, (file) => parseKey(file, 'host private'));
  }

  checkKey(certificates: readonly Certificate[], key: CurveKey): void {
    const publicKey = publicKeyOf(key.curve, key.bytes);
    for (const certificate of certificates) {
      if (certificate.curve !== key.curve) {
        this.problems.push(`pki.key: the key is for another curve than the v${certificate.version} certificate`);
      } else if (publicKey === null || !sameBytes(publicKey, certificate.publicKey)) {
        this.problems.push(
          `pki.key: private key is not a pair with public key in nebula cert (v${certificate.version})`,
        );
      }
    }
  }

  initiatingVersion(certificates: readonly Certificate[], wanted: 1 | 2 | null): 1 | 2 | null {
    const hasVersion1 = certificates.some((certificate) => certificate.version === 1);
    const hasVersion2 = certificates.some((certificate) => certificate.version === 2);
    if (wanted === 1 && !hasVersion1) {
      this.problems.push('pki.initiating_version: it is 1, but pki.cert has no v1 certificate');
      return null;
    }
    // Nebula takes 2 without a version 2 certificate for 1.
    return wanted === 2 && hasVersion2 ? 2 : hasVersion1 ? 1 : 2;
  }

  /** Peers decide with their own pools, but a certificate that our own refuses is most often a mistake. */
  warnUnlessTrusted(pool: CaPool, certificates: readonly Certificate[]): void {
    for (const certificate of certificates) {
      const verdict = pool.verify(certificate, this.#unixSeconds);
      if ('fault' in verdict) {
        this.warnings.push(
          `pki.cert: pki.ca does not accept the v${certificate.version} certificate: ${verdict.fault}`,
        );
      }
    }
  }

  #checkCertificate(certificate: Certificate): void {
    const label = `pki.cert: v${certificate.version} "${certificate.name}"`;
    if (certificate.isCa) {
      this.problems.push(`${label}: host certificate is a CA certificate`);
      return;
    }
    if (this.#unixSeconds > certificate.notAfter) {
      this.problems.push(
        `${label}: nebula certificate for this host is expired since ${timeText(certificate.notAfter)} ` +
          `(the clock shows ${timeText(this.#unixSeconds)})`,
      );
    }
    if (this.#unixSeconds < certificate.notBefore) {
      this.problems.push(
        `${label}: nebula certificate for this host is not valid before ${timeText(certificate.notBefore)}, ` +
          `is the clock right? (it shows ${timeText(this.#unixSeconds)})`,
      );
    }
    if (certificate.networks.length === 0) {
      this.problems.push(`${label}: no networks encoded in certificate`);
    }
  }

  /** CAs live for years: a clock outside of all of them is as likely the fault. */
  #clockHint(cas: readonly Certificate[]): string {
    const [last] = [...cas].sort((a, b) => b.notAfter - a.notAfter);
    return last === undefined
      ? ''
      : `: "${last.name}" is valid from ${timeText(last.notBefore)} until ${timeText(last.notAfter)}, ` +
          `is the clock right? (it shows ${timeText(this.#unixSeconds)})`;
  }

  #checkPair(certificates: readonly Certificate[]): void {
    const [one, two] = certificates;
    if (certificates.length !== 2 || one.version === two.version) {
      return;
    }
    if (one.curve !== two.curve) {
      this.problems.push('pki.cert: the v1 and the v2 certificate are on different curves');
    } else if (!sameBytes(one.publicKey, two.publicKey)) {
      this.problems.push('pki.cert: the v1 and the v2 certificate have different public keys');
    }
    if (one.networks[0]?.text !== two.networks[0]?.text) {
      this.problems.push(
        `pki.cert: the first network of the v1 and the v2 certificate must be the same, ` +
          `not ${one.networks[0]?.text} and ${two.networks[0]?.text}`,
      );
    }
  }

  #warnIfReadable(path: string): void {
    const warning = accessWarning(path, this.#files.mode);
    if (warning !== null) {
      this.warnings.push(`pki.key: ${warning}`);
    }
  }

  #attempt<Result>(key: string, source: string, parse: (file: Uint8Array) => Result): Result | null {
    if (source === '') {
      this.problems.push(`${key}: no path or PEM data provided`);
      return null;
    }
    const place = isInline(source) ? key : `${key} (${source})`;
    let file: Uint8Array;
    try {
      file = isInline(source) ? Buffer.from(source) : this.#files.read(source);
    } catch (error) {
      const why = errorText(error);
      // What may be the private key itself is never named as a path.
      const problem = looksLikeContent(source)
        ? 'it is no file that can be read, and no PEM text, which begins with a line "-----BEGIN ...-----"'
        : `unable to read ${source}: ${why}`;
      this.problems.push(`${key}: ${problem}`);
      return null;
    }
    try {
      return parse(file);
    } catch (error) {
      if (!(error instanceof CertificateError)) {
        throw error;
      }
      this.problems.push(`${place}: ${error.reason}`);
      return null;
    } finally {
      file.fill(0);
    }
  }
}

const systemFiles: PkiFiles = {
  read: (path) => readFileSync(path),
  mode: (path) => statSync(path).mode,
};

/** Whether a setting holds PEM text itself instead of naming a file. */
export function isInline(source: string): boolean {
  return source.includes('-----BEGIN');
}

/** Says that others than its owner can read or write a file with a private key in it, or null. */
export function accessWarning(path: string, modeOf: (path: string) => number = systemFiles.mode): string | null {
  try {
    const mode = modeOf(path);
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    return (mode & 0o077) === 0 ? null : `others can access ${path} (mode ${octal}), run chmod 600 on it`;
  } catch {
    // Whoever reads the file reports why it can not be.
    return null;
  }
}

/** Base64 of 32 bytes or more, or several lines: a PEM block that lost its first line, but no path of a file. */
function looksLikeContent(source: string): boolean {
  return source.trim().includes('\n') || /^[A-Za-z0-9+/]{42,}={0,2}$/.test(source.trim());
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
