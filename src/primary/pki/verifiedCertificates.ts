/**
 * Certificates of handshakes that one CA pool has parsed and found to be signed by one of its CAs, so that a host's next
 * handshake costs a digest instead of a parser, an encoder and a signature. Belongs to its pool and goes with it at a
 * reload. What time can change is for the pool to check again at every use. Bounded: the one not used longest goes first.
 */
import { createHash } from 'node:crypto';
import type { Certificate } from '../../shared/cert/certificate.ts';
import type { Curve } from '../../shared/crypto/curve.ts';

export interface VerifiedCertificate {
  readonly certificate: Certificate;
  /** The CA that signed it. */
  readonly ca: Certificate;
}

/** A few KB each, in networks as they are; no more than can be signed by the pool's CAs. */
const KEPT_MAX = 2048;

export class VerifiedCertificates {
  readonly #max: number;
  /** By `keyOf`, the one used longest ago first. */
  readonly #kept = new Map<string, VerifiedCertificate>();

  constructor(max: number = KEPT_MAX) {
    this.#max = max;
  }

  get size(): number {
    return this.#kept.size;
  }

  find(key: string): VerifiedCertificate | null {
    const found = this.#kept.get(key);
    if (found === undefined) {
      return null;
    }
    // Anew at the end, which keeps the order.
    this.#kept.delete(key);
    this.#kept.set(key, found);
    return found;
  }

  add(key: string, verified: VerifiedCertificate): void {
    this.#kept.set(key, verified);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#max) {
        break;
      }
      this.#kept.delete(oldest);
    }
  }
}

/** Names all that a handshake's certificate is made of: its bytes, and the key, version and curve beside them. */
export function keyOf(encoded: Uint8Array, version: number, publicKey: Uint8Array, curve: Curve): string {
  return createHash('sha256')
    .update(Uint8Array.of(version, curve, publicKey.length))
    .update(publicKey)
    .update(encoded)
    .digest('base64');
}
