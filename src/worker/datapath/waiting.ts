/**
 * Packets that wait in this worker until their peer has a tunnel.
 *
 * A destination without a tunnel is reported to the primary once; its packets are copied here and sent, in order, when
 * the primary says that the tunnel is up, or dropped when the handshake was given up. They never cross a process, so
 * the order inside a flow holds. Bounds: 100 packets a destination (as Nebula's), and a total in packets and bytes, so
 * that a scan of unused addresses cannot eat the worker's memory.
 */

const PACKETS_PER_HOST_MAX = 100;
const PACKETS_MAX = 4096;
const BYTES_MAX = 8 * 1024 * 1024;

export class Waiting {
  /** The packets by host, oldest first. */
  readonly #hosts = new Map<string, Uint8Array[]>();
  /** How many hosts packets wait for, by the last byte of their address. */
  readonly #hostCounts = new Uint16Array(256);
  #packets = 0;
  #bytes = 0;

  /**
   * Whether packets may wait for a host whose address ends with this word: false lets the packet path skip this table,
   * also while packets wait for another host, one that never answers.
   */
  mayHave(lastWord: number): boolean {
    return this.#hostCounts[lastWord & 0xff] > 0;
  }

  /**
   * Keeps a copy of one packet. `isNew` tells that the host was not waited for, so it must be reported; `isFull` that
   * the packet was not kept.
   */
  add(
    address: Uint8Array,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): { readonly isNew: boolean; readonly isFull: boolean } {
    const key = keyOf(address);
    const known = this.#hosts.get(key);
    const packets = known ?? [];
    if (packets.length >= PACKETS_PER_HOST_MAX || this.#packets >= PACKETS_MAX || this.#bytes + length > BYTES_MAX) {
      return { isNew: false, isFull: true };
    }
    if (known === undefined) {
      this.#hosts.set(key, packets);
      this.#hostCounts[address[15]]++;
    }
    packets.push(bytes.slice(offset, offset + length));
    this.#packets++;
    this.#bytes += length;
    return { isNew: known === undefined, isFull: false };
  }

  /** Removes and returns the packets that wait for a host, oldest first. */
  take(address: Uint8Array): readonly Uint8Array[] {
    const key = keyOf(address);
    const packets = this.#hosts.get(key);
    if (packets === undefined) {
      return [];
    }
    this.#hosts.delete(key);
    this.#hostCounts[address[15]]--;
    this.#packets -= packets.length;
    for (const packet of packets) {
      this.#bytes -= packet.length;
    }
    return packets;
  }
}

function keyOf(address: Uint8Array): string {
  return String.fromCharCode(...address);
}
