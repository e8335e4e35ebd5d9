/** What other releases do with datagrams where weft does not: they complain by recv_error. Stands before a node's socket. */
import type { IndexTable } from '../../src/shared/memory/indexTable.ts';
import {
  checkHeader,
  HeaderCheck,
  headerCounterHigh,
  headerCounterLow,
  headerRemoteIndex,
  headerType,
  MessageType,
} from '../../src/shared/wire/header.ts';

export interface OldHabits {
  /** As releases up to 1.9.6: answers a duplicate packet with recv_error. */
  readonly complainsAboutReplays?: boolean;
  /** As Nebula: answers packets that overtake the answer to its handshake with recv_error, and drops them. */
  readonly complainsAboutEarlyPackets?: boolean;
}

export class Complaints {
  readonly #habits: OldHabits;
  readonly #seen = new Set<string>();

  constructor(habits: OldHabits) {
    this.#habits = habits;
  }

  /** The index that such a release complains about, or null when the node is to have the datagram. */
  about(bytes: Uint8Array, indexes: IndexTable): number | null {
    if (checkHeader(bytes, 0, bytes.length) !== HeaderCheck.Ok) {
      return null;
    }
    const type = headerType(bytes, 0);
    if (type === MessageType.Handshake || type === MessageType.RecvError) {
      return null;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const index = headerRemoteIndex(view, 0);
    if (indexes.lookup(index) < 0) {
      return this.#habits.complainsAboutEarlyPackets === true && indexes.isAnnounced(index) ? index : null;
    }
    const packet = `${index} ${headerCounterHigh(view, 0)} ${headerCounterLow(view, 0)}`;
    const isReplay = this.#seen.has(packet);
    this.#seen.add(packet);
    return this.#habits.complainsAboutReplays === true && isReplay ? index : null;
  }
}
