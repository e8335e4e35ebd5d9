/**
 * Which tunnels a peer has, and which of them is primary: the first in the list of an address. A peer with several
 * addresses stands under each of them. Plain data, no effects: `tunnels.ts` keeps the shared tables in step with it.
 */
import type { IpAddress } from '../../../shared/ip/address.ts';
import { invariant } from '../invariant.ts';
import type { Tunnel } from './tunnel.ts';

/** Nebula protocol: host map. More tunnels than this to one address, and the oldest goes. */
export const TUNNELS_PER_ADDRESS_MAX = 5;

export class HostTunnels {
  readonly #byAddress = new Map<string, Tunnel[]>();
  readonly #byLocalIndex = new Map<number, Tunnel>();
  /** Chosen by peers, so two tunnels may share one; the newest wins. */
  readonly #byRemoteIndex = new Map<number, Tunnel>();
  readonly #bySlot = new Map<number, Tunnel>();
  readonly #byRequestDigest = new Map<string, Tunnel>();

  get size(): number {
    return this.#byLocalIndex.size;
  }

  /** Enters a tunnel as primary for all its addresses. Throws BrokenInvariant when its slot or index has an owner. */
  add(tunnel: Tunnel): void {
    invariant(!this.#bySlot.has(tunnel.slot), `slot ${tunnel.slot} was given to two tunnels`);
    invariant(!this.#byLocalIndex.has(tunnel.localIndex), `index ${tunnel.localIndex} was given to two tunnels`);
    this.#byLocalIndex.set(tunnel.localIndex, tunnel);
    this.#byRemoteIndex.set(tunnel.remoteIndex, tunnel);
    this.#bySlot.set(tunnel.slot, tunnel);
    if (tunnel.answered !== null) {
      this.#byRequestDigest.set(tunnel.answered.requestDigest, tunnel);
    }
    this.promote(tunnel);
  }

  /** Moves a tunnel to the front of all its addresses. */
  promote(tunnel: Tunnel): void {
    for (const address of tunnel.vpnAddresses) {
      const others = this.tunnelsTo(address).filter((other) => other !== tunnel);
      this.#byAddress.set(address.text, [tunnel, ...others]);
    }
  }

  remove(tunnel: Tunnel): void {
    this.#byLocalIndex.delete(tunnel.localIndex);
    this.#bySlot.delete(tunnel.slot);
    if (this.#byRemoteIndex.get(tunnel.remoteIndex) === tunnel) {
      this.#byRemoteIndex.delete(tunnel.remoteIndex);
    }
    if (tunnel.answered !== null) {
      this.#byRequestDigest.delete(tunnel.answered.requestDigest);
    }
    for (const address of tunnel.vpnAddresses) {
      const others = this.tunnelsTo(address).filter((other) => other !== tunnel);
      if (others.length === 0) {
        this.#byAddress.delete(address.text);
      } else {
        this.#byAddress.set(address.text, others);
      }
    }
  }

  primary(address: IpAddress): Tunnel | null {
    return this.#byAddress.get(address.text)?.[0] ?? null;
  }

  /** The tunnels of an address, primary first. */
  tunnelsTo(address: IpAddress): readonly Tunnel[] {
    return this.#byAddress.get(address.text) ?? [];
  }

  /** True when it is the way to at least one of its addresses. */
  isPrimary(tunnel: Tunnel): boolean {
    return tunnel.vpnAddresses.some((address) => this.primary(address) === tunnel);
  }

  /** True when any address of the peer has a tunnel. */
  hasTunnelTo(addresses: readonly IpAddress[]): boolean {
    return addresses.some((address) => this.#byAddress.has(address.text));
  }

  byRemoteIndex(index: number): Tunnel | null {
    return this.#byRemoteIndex.get(index) ?? null;
  }

  /** The tunnel in a slot, if it is still the one that the reporter meant. */
  bySlot(slot: number, generation: number): Tunnel | null {
    const tunnel = this.#bySlot.get(slot);
    return tunnel !== undefined && tunnel.generation === generation ? tunnel : null;
  }

  /** The tunnel that was made from exactly this message 1. */
  byRequestDigest(digest: string): Tunnel | null {
    return this.#byRequestDigest.get(digest) ?? null;
  }

  has(tunnel: Tunnel): boolean {
    return this.#byLocalIndex.get(tunnel.localIndex) === tunnel;
  }

  /** All tunnels, oldest first. */
  all(): readonly Tunnel[] {
    return [...this.#byLocalIndex.values()];
  }
}
