/**
 * Certificates for end-to-end tests, made by the compiled `weft cert`: both versions, both curves, renewals of one key.
 *
 * A host keeps its key while it gets one certificate after the other, so keys and certificates are made apart.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCertificates } from '../../src/primary/pki/certificateFile.ts';
import { WEFT_MAIN } from './nodes.ts';

export interface WeftPkiOptions {
  readonly curve?: '25519' | 'P256';
  readonly version?: 1 | 2;
  /** In Go's syntax. */
  readonly duration?: string;
}

export interface HostKey {
  readonly name: string;
  readonly key: string;
  readonly publicKey: string;
}

export interface CertificateWishes {
  /** With prefix length; several for version 2. */
  readonly networks: string;
  /** The CA's version when absent. */
  readonly version?: 1 | 2;
  readonly groups?: string;
  readonly unsafeNetworks?: string;
  readonly duration?: string;
}

/** One authority. */
export class WeftPki {
  readonly directory: string;
  readonly ca: string;
  readonly #caKey: string;
  readonly #curve: string;
  #count = 0;

  constructor(directory: string, name: string, options: WeftPkiOptions = {}) {
    this.directory = directory;
    this.ca = join(directory, `${name}.crt`);
    this.#caKey = join(directory, `${name}.key`);
    this.#curve = options.curve ?? '25519';
    const words = ['-name', name, '-curve', this.#curve, '-version', String(options.version ?? 2)];
    words.push('-duration', options.duration ?? '48h', '-out-crt', this.ca, '-out-key', this.#caKey);
    weftCert('ca', ...words);
  }

  /** A key pair of a host, on this authority's curve. */
  key(name: string): HostKey {
    const host = {
      name,
      key: join(this.directory, `${name}-${++keyCount}.key`),
      publicKey: join(this.directory, `${name}-${keyCount}.pub`),
    };
    weftCert('keygen', '-curve', this.#curve, '-out-key', host.key, '-out-pub', host.publicKey);
    return host;
  }

  /** The path of a new certificate for the key. */
  certify(host: HostKey, wishes: CertificateWishes): string {
    const path = join(this.directory, `${host.name}-${nameOf(this.ca)}-${++this.#count}.crt`);
    const words = ['-ca-crt', this.ca, '-ca-key', this.#caKey, '-in-pub', host.publicKey, '-out-crt', path];
    words.push('-name', host.name, '-networks', wishes.networks);
    if (wishes.unsafeNetworks !== undefined) {
      words.push('-unsafe-networks', wishes.unsafeNetworks);
    }
    for (const flag of ['version', 'groups', 'duration'] as const) {
      const value = wishes[flag];
      if (value !== undefined) {
        words.push(`-${flag}`, String(value));
      }
    }
    weftCert('sign', ...words);
    return path;
  }
}

/** A file with the certificates of all the files. */
export function bundle(path: string, ...parts: readonly string[]): string {
  writeFileSync(path, parts.map((part) => readFileSync(part, 'utf8')).join(''));
  return path;
}

/** Of the first certificate of a file. */
export function fingerprintOf(path: string): string {
  return parseCertificates(readFileSync(path))[0].fingerprint;
}

function weftCert(...words: readonly string[]): void {
  execFileSync(process.execPath, [WEFT_MAIN, 'cert', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).replace(/\.crt$/, '');
}

let keyCount = 0;
