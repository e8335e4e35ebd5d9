/**
 * The tunnel store of a lighthouse: every fact about tunnels that the control plane publishes also enters the lighthouse
 * table: who is there, through which tunnel, from which endpoint. So a host is known from its first tunnel on and
 * forgotten with its last. A tunnel without a host, which is one that nobody has confirmed, enters nothing.
 */
import type { Endpoint, IpAddress } from '../../shared/ip/address.ts';
import type { TunnelRecord, TunnelStore } from '../control/tunnelStore.ts';
import type { LighthouseHosts } from './hosts.ts';

export class LighthouseStore implements TunnelStore {
  readonly #inner: TunnelStore;
  readonly #hosts: LighthouseHosts;
  readonly #onRefused: (vpnAddress: IpAddress) => void;
  /** By slot; an entry stays until the slot has another tunnel. */
  readonly #peers: Map<number, LighthouseTunnelPeer> = new Map();

  /** `onRefused`: the table is full, so this host can not be found through this lighthouse. */
  constructor(inner: TunnelStore, hosts: LighthouseHosts, onRefused: (vpnAddress: IpAddress) => void) {
    this.#inner = inner;
    this.#hosts = hosts;
    this.#onRefused = onRefused;
  }

  get capacity(): number {
    return this.#inner.capacity;
  }

  announceIndex(index: number): boolean {
    return this.#inner.announceIndex(index);
  }

  withdrawIndex(index: number): void {
    this.#inner.withdrawIndex(index);
  }

  publish(record: TunnelRecord): number {
    const slot = this.#inner.publish(record);
    if (slot >= 0) {
      const { vpnAddresses, certificate, endpoint } = record;
      this.#peers.set(slot, { vpnAddresses, version: certificate.version, endpoint });
    }
    return slot;
  }

  generation(slot: number): number {
    return this.#inner.generation(slot);
  }

  setHost(address: IpAddress, slot: number): void {
    this.#inner.setHost(address, slot);
    const peer = this.#peers.get(slot);
    if (peer === undefined || peer.vpnAddresses[0].text !== address.text) {
      return;
    }
    if (!this.#hosts.add(peer.vpnAddresses, slot, peer.version)) {
      this.#onRefused(address);
    } else if (peer.endpoint !== null) {
      this.#hosts.learn(address, peer.endpoint);
    }
  }

  clearHost(address: IpAddress): void {
    this.#inner.clearHost(address);
    this.#hosts.remove(address);
  }

  confirm(slot: number): void {
    this.#inner.confirm(slot);
  }

  setEndpoint(slot: number, endpoint: Endpoint | null): void {
    this.#inner.setEndpoint(slot, endpoint);
    const peer = this.#peers.get(slot);
    if (peer !== undefined) {
      peer.endpoint = endpoint;
      if (endpoint !== null) {
        this.#hosts.learn(peer.vpnAddresses[0], endpoint);
      }
    }
  }

  takeTraffic(slot: number): number {
    return this.#inner.takeTraffic(slot);
  }

  sendCount(slot: number): number {
    return this.#inner.sendCount(slot);
  }
}

interface LighthouseTunnelPeer {
  readonly vpnAddresses: readonly IpAddress[];
  readonly version: 1 | 2;
  endpoint: Endpoint | null;
}
