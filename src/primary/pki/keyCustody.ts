/**
 * The end of private keys: every identity that this node was given and no longer uses has its key wiped. A handshake that
 * is under way keeps the identity it began with, so a key that was in force goes only after the last of them can have
 * ended. Nebula protocol: handshake §15.
 */

import { wipePrivateKey } from '../../shared/crypto/dh.ts';
import type { Config } from '../config/config.ts';
import type { Identity } from './identity.ts';

export class KeyCustody {
  readonly #graceMs: number;
  /** Keys that were in force, and when they go. */
  readonly #retired = new Map<Uint8Array, NodeJS.Timeout>();

  constructor({ tryIntervalMs, retries }: Pick<Config['handshakes'], 'tryIntervalMs' | 'retries'>) {
    // The n-th attempt is followed by a wait of n intervals; one more for timers that are late.
    this.#graceMs = tryIntervalMs * ((retries * (retries + 1)) / 2 + 1);
  }

  /** After a reload: `offered` was loaded, `inForce` is what the node now goes by; it may be `old` or `offered`. */
  afterReload(old: Identity, offered: Identity, inForce: Identity): void {
    if (offered !== inForce) {
      wipePrivateKey(offered.privateKey);
    }
    if (old !== inForce) {
      this.#retire(old.privateKey);
    }
  }

  /** The node has stopped: nothing needs any key. */
  close(inForce: Identity): void {
    for (const [key, timer] of this.#retired) {
      clearTimeout(timer);
      wipePrivateKey(key);
    }
    this.#retired.clear();
    wipePrivateKey(inForce.privateKey);
  }

  #retire(key: Uint8Array): void {
    const timer = setTimeout(() => {
      this.#retired.delete(key);
      wipePrivateKey(key);
    }, this.#graceMs);
    this.#retired.set(key, timer.unref());
  }
}
