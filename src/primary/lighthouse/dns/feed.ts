/**
 * Keeps the DNS process told: what it does not know yet waits here as names, not as lines, so a process that does not
 * read costs nothing, and one that was started again is told everything. Values are looked up when they are written.
 */
import type { Writable } from 'node:stream';
import type { IpAddress } from '../../../shared/ip/address.ts';
import { encodeZoneLine, type ZoneLine } from '../../../shared/ipc/zoneLines.ts';
import type { LogSettings } from '../../../shared/log/logger.ts';

export interface ZoneFeedParts {
  /** The certificate of the host with a vpn address as JSON; null when there is none (any more). */
  readonly certificateJson: (vpnAddress: IpAddress) => string | null;
  /** This node's vpn addresses. */
  readonly ownAddresses: () => readonly IpAddress[];
}

interface NameRecord {
  readonly v4: string | null;
  readonly v6: string | null;
}

export class ZoneFeed {
  readonly #parts: ZoneFeedParts;
  readonly #names: Map<string, NameRecord> = new Map();
  /** Vpn addresses that have, or had, a certificate, by their text. */
  readonly #addresses: Map<string, IpAddress> = new Map();
  readonly #pendingNames: Set<string> = new Set();
  readonly #pendingAddresses: Set<string> = new Set();
  #log: LogSettings = { level: 'info', format: 'text', disableTimestamp: false };
  #isSettingsPending = true;
  #sink: Writable | null = null;
  #isFull = false;

  constructor(parts: ZoneFeedParts) {
    this.#parts = parts;
  }

  /** A host by the name in its certificate, and what it is reached by; one without a name is left out. */
  add(certificateName: string, vpnAddresses: readonly IpAddress[]): void {
    if (certificateName !== '') {
      this.#names.set(certificateName, {
        v4: vpnAddresses.find((address) => address.family === 4)?.text ?? null,
        v6: vpnAddresses.find((address) => address.family === 6)?.text ?? null,
      });
      this.#pendingNames.add(certificateName);
    }
    this.refresh(vpnAddresses);
  }

  /** The certificates of these vpn addresses may have changed, or gone. */
  refresh(vpnAddresses: readonly IpAddress[]): void {
    for (const address of vpnAddresses) {
      this.#addresses.set(address.text, address);
      this.#pendingAddresses.add(address.text);
    }
    this.#pump();
  }

  /** Own addresses may have changed; the process logs like this from now on. */
  configure(log: LogSettings): void {
    this.#log = log;
    this.#isSettingsPending = true;
    this.#pump();
  }

  /** Forgets everything. */
  clear(): void {
    for (const known of [this.#names, this.#addresses, this.#pendingNames, this.#pendingAddresses]) {
      known.clear();
    }
  }

  /** Tells everything to another reader; null: to nobody. */
  attach(sink: Writable | null): void {
    this.#sink = sink;
    this.#isFull = false;
    this.#isSettingsPending = true;
    for (const name of this.#names.keys()) {
      this.#pendingNames.add(name);
    }
    for (const address of this.#addresses.keys()) {
      this.#pendingAddresses.add(address);
    }
    sink?.on('drain', () => {
      if (this.#sink === sink) {
        this.#isFull = false;
        this.#pump();
      }
    });
    this.#pump();
  }

  #pump(): void {
    while (this.#sink !== null && !this.#isFull) {
      const line = this.#next();
      if (line === null) {
        return;
      }
      const text = encodeZoneLine(line);
      if (text !== null) {
        this.#isFull = !this.#sink.write(text);
      }
    }
  }

  #next(): ZoneLine | null {
    if (this.#isSettingsPending) {
      this.#isSettingsPending = false;
      const ownAddresses = this.#parts.ownAddresses().map(({ text }) => text);
      return { kind: 'settings', ownAddresses, log: this.#log };
    }
    for (const name of this.#pendingNames) {
      this.#pendingNames.delete(name);
      return { kind: 'name', name, ...(this.#names.get(name) ?? { v4: null, v6: null }) };
    }
    for (const text of this.#pendingAddresses) {
      this.#pendingAddresses.delete(text);
      const address = this.#addresses.get(text);
      const json = address === undefined ? null : this.#parts.certificateJson(address);
      if (json === null) {
        this.#addresses.delete(text);
      }
      return { kind: 'certificate', address: text, json };
    }
    return null;
  }
}
