/** The tunnel store over Maps, with what a worker would see and mark. Slots are reused, as in the real one. */
import { Traffic, type TunnelRecord, type TunnelStore } from '../../src/primary/control/tunnels/tunnelStore.ts';
import type { Endpoint, IpAddress } from '../../src/shared/ip/address.ts';

export interface MemoryRow {
  readonly record: TunnelRecord;
  readonly slot: number;
  readonly generation: number;
  isConfirmed: boolean;
  endpoint: Endpoint | null;
  traffic: number;
  sendCount: number;
  /** Counters that were accepted; an unbounded replay window. */
  readonly received: Set<number>;
}

export class MemoryTunnelStore implements TunnelStore {
  readonly capacity: number;
  readonly rows: Map<number, MemoryRow> = new Map();
  readonly hosts: Map<string, number> = new Map();
  /** Indexes of handshakes that wait for their answer. */
  readonly announced: Set<number> = new Set();
  #lastGeneration = 0;

  constructor(capacity: number = 1024) {
    this.capacity = capacity;
  }

  announceIndex(index: number): boolean {
    this.announced.add(index);
    return true;
  }

  withdrawIndex(index: number): void {
    this.announced.delete(index);
  }

  publish(record: TunnelRecord): number {
    this.announced.delete(record.localIndex);
    const slot = this.#freeSlot();
    if (slot >= 0) {
      this.#lastGeneration += 2;
      const generation = this.#lastGeneration;
      const { endpoint, isConfirmed } = record;
      const row = { record, slot, generation, endpoint, isConfirmed, traffic: Traffic.None, sendCount: 2 };
      this.rows.set(slot, { ...row, received: new Set([0, 1, 2]) });
    }
    return slot;
  }

  /** What the shell does on `tunnelClosed`. */
  remove(slot: number): void {
    if ([...this.hosts.values()].includes(slot)) {
      throw new Error(`slot ${slot} is removed while a host still points to it`);
    }
    if (!this.rows.delete(slot)) {
      throw new Error(`slot ${slot} is removed twice`);
    }
  }

  generation(slot: number): number {
    return this.row(slot).generation;
  }

  setHost(address: IpAddress, slot: number): void {
    this.row(slot);
    this.hosts.set(address.text, slot);
  }

  clearHost(address: IpAddress): void {
    if (!this.hosts.delete(address.text)) {
      throw new Error(`${address.text} has no host entry to clear`);
    }
  }

  confirm(slot: number): void {
    this.row(slot).isConfirmed = true;
  }

  setEndpoint(slot: number, endpoint: Endpoint | null): void {
    this.row(slot).endpoint = endpoint;
  }

  takeTraffic(slot: number): number {
    const row = this.row(slot);
    const bits = row.traffic;
    row.traffic = Traffic.None;
    return bits;
  }

  sendCount(slot: number): number {
    return this.row(slot).sendCount;
  }

  row(slot: number): MemoryRow {
    const row = this.rows.get(slot);
    if (row === undefined) {
      throw new Error(`slot ${slot} is not in use`);
    }
    return row;
  }

  byLocalIndex(index: number): MemoryRow | null {
    return [...this.rows.values()].find((row) => row.record.localIndex === index) ?? null;
  }

  /** The primary tunnel's row of an address, as a worker finds it. */
  hostRow(address: IpAddress): MemoryRow | null {
    const slot = this.hosts.get(address.text);
    return slot === undefined ? null : this.row(slot);
  }

  #freeSlot(): number {
    for (let slot = 0; slot < this.capacity; slot++) {
      if (!this.rows.has(slot)) {
        return slot;
      }
    }
    return -1;
  }
}
