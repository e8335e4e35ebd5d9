/**
 * Packets that came before their tunnel: the peer has answered our handshake and sends at once, while the answer is
 * still on its way through the primary. They wait here, a few and briefly, and are received when their tunnel is up.
 *
 * Only packets for an announced index get here; anything else is for a tunnel that does not exist.
 */
import type { Arena } from '../../shared/sys/arena.ts';
import { SOCKADDR_BYTES } from '../../shared/tunnel/socketAddress.ts';

/** The longest datagram that is kept. */
export const EARLY_BYTES_MAX = 65_536;

const PACKETS_MAX = 256;
const BYTES_MAX = 1024 * 1024;
/** An answer that has not been worked off by then is none. */
const KEPT_MS = 2000;

interface EarlyPacket {
  /** The local index that it names. */
  readonly index: number;
  readonly datagram: Uint8Array;
  readonly source: Uint8Array;
  readonly untilMs: number;
}

export class EarlyPackets {
  readonly #arena: Arena;
  /** In the order in which they came, so the oldest first. */
  #packets: EarlyPacket[] = [];
  #bytes = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  get count(): number {
    return this.#packets.length;
  }

  /** The indexes that packets wait for. */
  indexes(): ReadonlySet<number> {
    return new Set(this.#packets.map(({ index }) => index));
  }

  /** Keeps a copy of a datagram for `index` and of the socket address it came from; false when there is no room. */
  keep(index: number, offset: number, length: number, source: number, nowMs: number): boolean {
    this.#dropOld(nowMs);
    if (this.#packets.length >= PACKETS_MAX || this.#bytes + length > BYTES_MAX) {
      return false;
    }
    const { bytes } = this.#arena;
    this.#packets.push({
      index,
      datagram: bytes.slice(offset, offset + length),
      source: bytes.slice(source, source + SOCKADDR_BYTES),
      untilMs: nowMs + KEPT_MS,
    });
    this.#bytes += length;
    return true;
  }

  /** Removes and returns the packets for `index` that are not too old, in the order in which they came. */
  take(index: number, nowMs: number): readonly EarlyPacket[] {
    this.#dropOld(nowMs);
    const taken = this.#packets.filter((packet) => packet.index === index);
    if (taken.length > 0) {
      this.#reduce((packet) => packet.index !== index);
    }
    return taken;
  }

  #dropOld(nowMs: number): void {
    if (this.#packets.length > 0 && this.#packets[0].untilMs < nowMs) {
      this.#reduce((packet) => packet.untilMs >= nowMs);
    }
  }

  #reduce(stays: (packet: EarlyPacket) => boolean): void {
    this.#packets = this.#packets.filter(stays);
    this.#bytes = this.#packets.reduce((sum, { datagram }) => sum + datagram.length, 0);
  }
}
