/**
 * The control plane's tunnel store over the shared tables: allocates slots, publishes and removes in the order that
 * readers rely on (certificate, keys, row, index, host; removal in reverse), and keeps a freed slot back until every
 * worker has turned its loop since.
 *
 * Which slots are free, live and under which generation and index is known here; the shared rows are written from it and
 * not asked.
 */

import { type Endpoint, type IpAddress, writeMapped } from '../../shared/ip/address.ts';
import { addressWords } from '../../shared/ip/networkWords.ts';
import type { SharedTables } from '../../shared/memory/layout.ts';
import { METRIC } from '../../shared/memory/metrics.ts';
import { Proof } from '../../shared/memory/tunnelTable.ts';
import type { TunnelRecord, TunnelStore } from '../control/tunnels/tunnelStore.ts';
import { Measures } from '../measures/measures.ts';

/** The two handshake messages used counters 1 and 2 in both directions (Nebula protocol: counters). */
const HANDSHAKE_COUNTERS = 2;

interface RetiredSlot {
  readonly slot: number;
  readonly turns: Int32Array;
}

export class TunnelRows implements TunnelStore {
  /** Told when a tunnel begins and ends. */
  readonly measures: Measures;
  readonly #tables: SharedTables;
  /** Slots never used or safe to use again; taken from the end. */
  readonly #free: number[];
  #retired: RetiredSlot[] = [];
  /** By slot: even and not 0 while its tunnel is live, as in the row. */
  readonly #generations: Int32Array;
  /** By slot, while its tunnel is live. */
  readonly #localIndexes: Uint32Array;
  #ordinal = 0;
  readonly #scratch = new Uint8Array(16);
  readonly #localScratch = new Uint8Array(16);

  constructor(tables: SharedTables) {
    this.#tables = tables;
    const { capacity } = tables.tunnels;
    this.#free = Array.from({ length: capacity }, (_, slot) => capacity - 1 - slot);
    this.#generations = new Int32Array(capacity);
    this.#localIndexes = new Uint32Array(capacity);
    this.measures = new Measures(tables);
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
    const generation = (this.#generations[slot] | 1) + 1;
    tunnels.write(slot, generation, {
      localIndex: record.localIndex,
      remoteIndex: record.remoteIndex,
      cipher: record.cipher,
      sendKey: record.sendKey,
      receiveKey: record.receiveKey,
      certificate: record.certificate.encoded,
      certificateVersion: record.certificate.version,
      ordinal: ++this.#ordinal,
      lastCounter: HANDSHAKE_COUNTERS,
    });
    this.setEndpoint(slot, record.endpoint);
    if (!record.isConfirmed) {
      tunnels.wantProof(slot, record.isInitiator ? Proof.Answer : Proof.Packet);
    }
    if (!indexes.insert(record.localIndex, slot)) {
      tunnels.clear(slot, generation);
      this.#generations[slot] = generation + 1;
      this.#free.push(slot);
      return -1;
    }
    this.#generations[slot] = generation;
    this.#localIndexes[slot] = record.localIndex;
    this.measures.tunnels.begin(slot, record.certificate.networks[0].address.text);
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
    const generation = this.generation(slot);
    if (!isLiveGeneration(generation)) {
      return;
    }
    this.measures.tunnels.end(slot);
    indexes.remove(this.#localIndexes[slot]);
    tunnels.clear(slot, generation);
    this.#generations[slot] = generation + 1;
    this.#retired.push({ slot, turns: turns.snapshot() });
  }

  /** Even and not 0 while the slot's tunnel is live; 0 for a number that is no slot. */
  generation(slot: number): number {
    return this.#generations[slot] ?? 0;
  }

  /** Whether this is a live tunnel, whatever the numbers are and wherever they come from. */
  isLive(slot: number, generation: number): boolean {
    return isLiveGeneration(generation) && this.generation(slot) === generation;
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
    this.#localScratch.fill(0);
    if (endpoint?.local !== undefined) {
      writeMapped(endpoint.local, this.#localScratch, 0);
    }
    this.#tables.tunnels.writeEndpoint(slot, this.#scratch, endpoint === null ? 0 : endpoint.port, this.#localScratch);
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

function isLiveGeneration(generation: number): boolean {
  return generation !== 0 && (generation & 1) === 0;
}

/** The 16-byte form in which shared tables and messages to workers name an address. */
export function mappedBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(16);
  writeMapped(address, bytes, 0);
  return bytes;
}
