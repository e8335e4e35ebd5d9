/**
 * What the DNS process knows, as the primary's lines tell it: names of hosts that completed a handshake with their first
 * IPv4 and IPv6 vpn addresses (Nebula protocol: DNS), certificates by vpn address, this node's own addresses. Names do
 * not expire; a host that comes again with other addresses replaces its own.
 */
import type { ZoneLine } from '../shared/ipc/zoneLines.ts';

export interface ZoneRecord {
  readonly v4: string | null;
  readonly v6: string | null;
}

export class Zone {
  readonly #records: Map<string, ZoneRecord> = new Map();
  /** Names that end a host's name, such as `prod` for `db.prod`: they exist without records (RFC 8020 §3). */
  readonly #parents: Set<string> = new Set();
  readonly #certificates: Map<string, string> = new Map();
  #ownAddresses: ReadonlySet<string> = new Set();

  apply(line: ZoneLine): void {
    switch (line.kind) {
      case 'name':
        this.#add(keyOf(line.name), { v4: line.v4, v6: line.v6 });
        break;
      case 'certificate':
        if (line.json === null) {
          this.#certificates.delete(line.address);
        } else {
          this.#certificates.set(line.address, line.json);
        }
        break;
      case 'settings':
        this.#ownAddresses = new Set(line.ownAddresses);
        break;
    }
  }

  /** The record of a name, with or without the final dot, in any case. */
  lookup(name: string): ZoneRecord | null {
    return this.#records.get(keyOf(name)) ?? null;
  }

  /** Whether the name is a host's, or the end of one. */
  exists(name: string): boolean {
    const key = keyOf(name);
    return this.#records.has(key) || this.#parents.has(key);
  }

  /** The certificate of the host with this vpn address as JSON, or null. */
  certificate(vpnAddress: string): string | null {
    return this.#certificates.get(vpnAddress) ?? null;
  }

  isOwn(address: string): boolean {
    return this.#ownAddresses.has(address);
  }

  get size(): number {
    return this.#records.size;
  }

  #add(key: string, record: ZoneRecord): void {
    this.#records.set(key, record);
    for (let dot = key.indexOf('.'); dot !== -1; dot = key.indexOf('.', dot + 1)) {
      this.#parents.add(key.slice(dot + 1));
    }
  }
}

function keyOf(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}
