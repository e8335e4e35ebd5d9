/**
 * What the lighthouse's DNS server knows: names of hosts that completed a handshake, and their first IPv4 and IPv6 vpn
 * addresses (Nebula protocol: DNS). Records do not expire; a host that comes again with other addresses replaces its own.
 */
import type { IpAddress } from '../../shared/ip/address.ts';

export interface ZoneRecord {
  readonly v4: IpAddress | null;
  readonly v6: IpAddress | null;
}

export class Zone {
  readonly #records: Map<string, ZoneRecord> = new Map();

  /** Enters a host by the name in its certificate; one without a name is left out. */
  add(certificateName: string, vpnAddresses: readonly IpAddress[]): void {
    if (certificateName === '') {
      return;
    }
    this.#records.set(keyOf(certificateName), {
      v4: vpnAddresses.find((address) => address.family === 4) ?? null,
      v6: vpnAddresses.find((address) => address.family === 6) ?? null,
    });
  }

  /** The record of a name, with or without the final dot, in any case. */
  lookup(name: string): ZoneRecord | null {
    return this.#records.get(keyOf(name)) ?? null;
  }

  clear(): void {
    this.#records.clear();
  }

  get size(): number {
    return this.#records.size;
  }
}

function keyOf(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}
