/**
 * Certificates for end-to-end tests, made by Debian's `nebula-cert`: an implementation that is not ours, so a fault in our
 * own certificate code cannot hide behind itself.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Paths of the three files that `pki.*` of a node's configuration names. */
export interface NodeFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface SignOptions {
  readonly groups?: readonly string[];
  /** In Go's syntax; the default ends a second before the CA. */
  readonly duration?: string;
  readonly unsafeNetworks?: readonly string[];
}

export class Pki {
  readonly directory: string;
  readonly caCert: string;
  readonly #caKey: string;

  constructor(directory: string, name: string = 'ca') {
    this.directory = directory;
    this.caCert = join(directory, `${name}.crt`);
    this.#caKey = join(directory, `${name}.key`);
    nebulaCert('ca', '-name', name, '-duration', '48h', '-out-crt', this.caCert, '-out-key', this.#caKey);
  }

  /** `network` is the host's overlay address with its prefix length. */
  sign(name: string, network: string, options: SignOptions = {}): NodeFiles {
    const cert = join(this.directory, `${name}.crt`);
    const key = join(this.directory, `${name}.key`);
    const words = ['-ca-crt', this.caCert, '-ca-key', this.#caKey, '-out-crt', cert, '-out-key', key];
    words.push('-name', name, '-ip', network);
    if (options.groups !== undefined) {
      words.push('-groups', options.groups.join(','));
    }
    if (options.duration !== undefined) {
      words.push('-duration', options.duration);
    }
    if (options.unsafeNetworks !== undefined) {
      words.push('-subnets', options.unsafeNetworks.join(','));
    }
    nebulaCert('sign', ...words);
    return { ca: this.caCert, cert, key };
  }
}

function nebulaCert(...words: readonly string[]): void {
  execFileSync('nebula-cert', words, { stdio: ['ignore', 'pipe', 'pipe'] });
}
