/**
 * The primary's hand on the lighthouse table: which host has which row, under which vpn addresses it is found, where its
 * packets come from. A host enters with its first tunnel and leaves with its last (Nebula protocol: remote list); what
 * it reports about itself is the workers' business.
 *
 * The only writer of keys and learned endpoints. A row that was given up is used again when no worker can still hold it.
 */
import type { Endpoint, IpAddress } from '../../shared/ip/address.ts';
import { addressWords } from '../../shared/ip/networkWords.ts';
import { LIGHTHOUSE_ADDRESSES_MAX } from '../../shared/memory/lighthouseRows.ts';
import {
  type LighthouseSection,
  type LighthouseTable,
  LighthouseSection as Section,
} from '../../shared/memory/lighthouseTable.ts';
import type { WorkerTurns } from '../../shared/memory/workerTurns.ts';
import { LighthouseDecoder } from '../../shared/wire/lighthouseDecoder.ts';
import { beginDetails, finishMessage, LIGHTHOUSE_BYTES_MAX } from '../../shared/wire/lighthouseEncoder.ts';
import { endpointsOf, LighthouseMessage, relaysOf } from '../../shared/wire/lighthouseMessage.ts';

/** One known host, for the operator's eyes. */
export interface LighthouseHost {
  readonly vpnAddresses: readonly IpAddress[];
  readonly learned: readonly Endpoint[];
  readonly reported: readonly Endpoint[];
  readonly relays: readonly IpAddress[];
}

export class LighthouseHosts {
  readonly #table: LighthouseTable;
  readonly #turns: WorkerTurns;
  /** First vpn address → row; and by row, all addresses. */
  readonly #rows: Map<string, number> = new Map();
  readonly #addresses: (readonly IpAddress[] | null)[] = [];
  readonly #free: number[] = [];
  /** Rows given up, the oldest first, with the turns that workers were in. */
  readonly #retired: { readonly row: number; readonly turns: Int32Array }[] = [];
  /** Hosts that found the table full, since start. */
  refusedCount: number = 0;

  constructor(table: LighthouseTable, turns: WorkerTurns) {
    this.#table = table;
    this.#turns = turns;
  }

  /** Number of known hosts. */
  get count(): number {
    return this.#rows.size;
  }

  /**
   * A tunnel to a host is up or has become its primary one: makes the host findable under all its vpn addresses, first
   * one first, behind this slot. Also right for a host that is known, whose addresses or tunnel have changed. False when
   * the table is full; the host then stays unknown.
   */
  add(vpnAddresses: readonly IpAddress[], slot: number, certificateVersion: 1 | 2): boolean {
    const first = vpnAddresses[0];
    let row = this.#rows.get(first.text) ?? -1;
    if (row < 0) {
      row = this.#freeRow();
      if (row < 0) {
        this.refusedCount++;
        return false;
      }
      this.#table.assign(row);
      this.#rows.set(first.text, row);
    }
    const former = this.#addresses[row] ?? [];
    this.#table.identify(row, addressWords(vpnAddresses), slot, certificateVersion);
    this.#addresses[row] = vpnAddresses;
    for (const address of without(vpnAddresses, former).slice(0, LIGHTHOUSE_ADDRESSES_MAX)) {
      const [a0, a1, a2, a3] = addressWords([address]);
      if (!this.#table.addKey(a0, a1, a2, a3, row)) {
        this.remove(first);
        this.refusedCount++;
        return false;
      }
    }
    this.#removeKeys(row, without(former, vpnAddresses));
    return true;
  }

  /** Notes where the packets of a known host come from. `vpnAddress` is its first one. */
  learn(vpnAddress: IpAddress, endpoint: Endpoint): void {
    const row = this.#rows.get(vpnAddress.text);
    if (row === undefined) {
      return;
    }
    const [a0, a1, a2, a3] = addressWords([endpoint.address]);
    if (endpoint.address.family === 4) {
      this.#table.learnV4(row, a3, endpoint.port);
    } else {
      this.#table.learnV6(row, a0, a1, a2, a3, endpoint.port);
    }
  }

  /** The last tunnel to the host whose first vpn address this is has gone. */
  remove(vpnAddress: IpAddress): void {
    const row = this.#rows.get(vpnAddress.text);
    if (row === undefined) {
      return;
    }
    this.#removeKeys(row, this.#addresses[row] ?? []);
    this.#rows.delete(vpnAddress.text);
    this.#addresses[row] = null;
    this.#retired.push({ row, turns: this.#turns.snapshot() });
  }

  /** What is known of the host with this vpn address, whichever of its addresses it is; null when unknown. */
  find(vpnAddress: IpAddress): LighthouseHost | null {
    const [a0, a1, a2, a3] = addressWords([vpnAddress]);
    const row = this.#table.lookup(a0, a1, a2, a3);
    return row < 0 ? null : this.#describe(row);
  }

  /** Known hosts, up to `limit` of them. */
  list(limit: number): LighthouseHost[] {
    return [...this.#rows.values()].slice(0, limit).flatMap((row) => this.#describe(row) ?? []);
  }

  #describe(row: number): LighthouseHost | null {
    const vpnAddresses = this.#addresses[row];
    if (vpnAddresses === null || vpnAddresses === undefined) {
      return null;
    }
    const reported = this.#decode(row, Section.Reported);
    return {
      vpnAddresses,
      learned: endpointsOf(this.#decode(row, Section.Learned)),
      reported: endpointsOf(reported),
      relays: relaysOf(reported),
    };
  }

  /** Sections are the fields of a message's details, so the codec reads them once they have a frame. */
  #decode(row: number, section: LighthouseSection): LighthouseMessage {
    const bytes = new Uint8Array(LIGHTHOUSE_BYTES_MAX);
    const start = beginDetails(bytes, 0, 0);
    // A row that a dead worker left half written reads as empty until its lock is broken.
    const end = Math.max(start, this.#table.copySection(row, section, bytes, start));
    const message = new LighthouseMessage();
    new LighthouseDecoder().decode(bytes, 0, finishMessage(bytes, 0, end), message);
    return message;
  }

  #removeKeys(row: number, addresses: readonly IpAddress[]): void {
    for (const address of addresses) {
      const [a0, a1, a2, a3] = addressWords([address]);
      this.#table.removeKey(a0, a1, a2, a3, row);
    }
  }

  #freeRow(): number {
    const firstHeld = this.#retired.findIndex((retired) => !this.#turns.hasPassed(retired.turns));
    for (const retired of this.#retired.splice(0, firstHeld < 0 ? this.#retired.length : firstHeld)) {
      this.#free.push(retired.row);
    }
    const row = this.#free.pop();
    if (row !== undefined) {
      return row;
    }
    if (this.#addresses.length === this.#table.capacity) {
      return -1;
    }
    this.#addresses.push(null);
    return this.#addresses.length - 1;
  }
}

function without(addresses: readonly IpAddress[], others: readonly IpAddress[]): IpAddress[] {
  return addresses.filter((address) => !others.some((other) => other.text === address.text));
}
