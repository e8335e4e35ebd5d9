/**
 * What discovery wants of the tunnels' side of the core. Discovery is asked and told by method calls, often in the middle
 * of a handshake's own work; so it answers with values, and the control plane fulfils them when that work is done. They
 * never leave the core.
 */
import type { IpAddress } from '../../../shared/ip/address.ts';

export type Wish =
  /** A tunnel to this address. */
  | { readonly kind: 'connect'; readonly address: IpAddress }
  /** The tunnel to this address is to be made anew with our version 2 certificate. */
  | { readonly kind: 'upgrade'; readonly address: IpAddress }
  /** There are new endpoints for this address: a handshake that waits for it tries them. */
  | { readonly kind: 'retry'; readonly address: IpAddress }
  /** A test request to this address, through a new tunnel if need be. */
  | { readonly kind: 'test'; readonly address: IpAddress };

export class Wishes {
  #waiting: Wish[] = [];

  add(kind: Wish['kind'], address: IpAddress): void {
    this.#waiting.push({ kind, address });
  }

  /** Removes and returns the oldest, or null. */
  take(): Wish | null {
    return this.#waiting.shift() ?? null;
  }
}
