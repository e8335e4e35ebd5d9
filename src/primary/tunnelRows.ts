/**
 * The control plane's tunnel store over the shared tables: allocates slots, publishes and removes in the order that
 * readers rely on (certificate, keys, row, index, host; removal in reverse), and keeps a freed slot back until every
 * worker has turned its loop since.
 */

import { type Endpoint, type IpAddress, writeMapped } from '../shared/ip/address.ts';
import { addressWords } from '../shared/ip/networkWords.ts';
import type { SharedTables } from '../shared/memory/layout.ts';
import { METRIC } from '../shared/memory/metrics.ts';
import { Proof } from '../shared/memory/tunnelTable.ts';
import type { TunnelRecord, TunnelStore } from './control/tunnelStore.ts';

/** The two handshake messages used counters 1 and 2 in both directions (Nebula protocol: counters). */
const HANDSHAKE_COUNTERS = 2;

interface RetiredSlot {
  readonly slot: number;
  readonly turns: Int32Array;
}

export class TunnelRows implements TunnelStore {
  readonly #tables: SharedTables;
  /** Slots never used or safe to use again; taken from the end. */
  readonly #free: number[];
  #retired: RetiredSlot[] = [];
  #ordinal = 0;
  readonly #scratch = new Uint8Array(16);

  constructor(tables: SharedTables) {
    this.#tables = tables;
    this.#free = Array.from({ length: tables.tunnels.capacity }, (_, slot) => tables.tunnels.capacity - 1 - slot);
  }

  get capacity(): number {
    return this.#tables.tunnels.capacity;
  }

  /** Live tunnels. */
  get count(): number {
    return this.#tables.tunnels.capacity - this.#free.length - this.#retired.length;
  }

  publish(record: TunnelRecord): number {
    const { tunnels, indexes } = this.#tables;
    this.#reclaim();
    const slot = this.#free.pop();
    if (slot === undefined) {
      return -1;
    }
    tunnels.write(slot, {
      localIndex: record.localIndex,
      remoteIndex: record.remoteIndex,
      cipher: record.cipher,
      sendKey: record.sendKey,
      receiveKey: record.receiveKey,
      certificate: record.certificate.encoded,
      certificateVersion: record.certificate.version,
      vpnAddresses: record.vpnAddresses.map(mappedBytes),
      ordinal: ++this.#ordinal,
      lastCounter: HANDSHAKE_COUNTERS,
    });
    this.setEndpoint(slot, record.endpoint);
    if (!record.isConfirmed) {
      tunnels.wantProof(slot, record.isInitiator ? Proof.Answer : Proof.Packet);
    }
    if (!indexes.insert(record.localIndex, slot)) {
      tunnels.clear(slot);
      this.#free.push(slot);
      return -1;
    }
    return slot;
  }

  announceIndex(index: number): boolean {
    return this.#tables.indexes.announce(index);
  }

  withdrawIndex(index: number): void {
    this.#tables.indexes.withdraw(index);
  }

  /** Ends a tunnel's row. The control plane cleared its hosts before. */
  remove(slot: number): void {
    const { tunnels, indexes, turns } = this.#tables;
    if (!tunnels.isLive(slot)) {
      return;
    }
    indexes.remove(tunnels.localIndex(slot));
    tunnels.clear(slot);
    this.#retired.push({ slot, turns: turns.snapshot() });
  }

  generation(slot: number): number {
    return this.#tables.tunnels.generation(slot);
  }

  setHost(address: IpAddress, slot: number): void {
    const [a0, a1, a2, a3] = addressWords([address]);
    if (!this.#tables.hosts.set(a0, a1, a2, a3, slot)) {
      this.#tables.metrics.column(0)[METRIC['hostmap.refused']]++;
    }
  }

  clearHost(address: IpAddress): void {
    const [a0, a1, a2, a3] = addressWords([address]);
    this.#tables.hosts.remove(a0, a1, a2, a3);
  }

  confirm(slot: number): void {
    this.#tables.tunnels.wantProof(slot, Proof.None);
  }

  setEndpoint(slot: number, endpoint: Endpoint | null): void {
    if (endpoint === null) {
      this.#scratch.fill(0);
    } else {
      writeMapped(endpoint.address, this.#scratch, 0);
    }
    this.#tables.tunnels.writeEndpoint(slot, this.#scratch, endpoint === null ? 0 : endpoint.port);
  }

  takeTraffic(slot: number): number {
    return this.#tables.tunnels.takeTraffic(slot);
  }

  sendCount(slot: number): number {
    return this.#tables.tunnels.lastSentCounter(slot);
  }

  /** Frees retired slots whose readers have moved on. */
  #reclaim(): void {
    const { turns } = this.#tables;
    this.#retired = this.#retired.filter((retired) => {
      const isFree = turns.hasPassed(retired.turns);
      if (isFree) {
        this.#free.push(retired.slot);
      }
      return !isFree;
    });
  }
}

/** The 16-byte form in which shared tables and messages to workers name an address. */
export function mappedBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(16);
  writeMapped(address, bytes, 0);
  return bytes;
}
