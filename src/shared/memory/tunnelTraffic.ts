/**
 * What each tunnel carried: packets and bytes both ways, by slot, and when the last answer to a test came. One column per
 * process, written by that process alone; a worker's is in memory that no other worker has.
 *
 * Cells only grow and are never cleared: a slot's next tunnel begins where the last one ended, and the primary remembers
 * where that was (`primary/measures/tunnelTraffic.ts`). Bytes are those of datagrams' payloads, header and tag included.
 */

/** One cache line of doubles a tunnel. */
const CELLS = 8;

export const TrafficCell = { ReceivedPackets: 0, ReceivedBytes: 1, SentPackets: 2, SentBytes: 3, AnswerMs: 4 } as const;
export type TrafficCell = (typeof TrafficCell)[keyof typeof TrafficCell];

export class TunnelTrafficColumn {
  readonly cells: Float64Array;
  readonly #clockOffsetMs: number;

  static byteLength(capacity: number): number {
    return capacity * CELLS * 8;
  }

  /** Cells of a column, as the constructor wants them. */
  static cellCount(capacity: number): number {
    return capacity * CELLS;
  }

  /** `clockOffsetMs`: of this process's clock to the one that all processes share. */
  constructor(cells: Float64Array, clockOffsetMs: number) {
    this.cells = cells;
    this.#clockOffsetMs = clockOffsetMs;
  }

  /** An authentic packet came. */
  received(slot: number, bytes: number): void {
    const first = slot * CELLS;
    this.cells[first + TrafficCell.ReceivedPackets]++;
    this.cells[first + TrafficCell.ReceivedBytes] += bytes;
  }

  sent(slot: number, bytes: number): void {
    const first = slot * CELLS;
    this.cells[first + TrafficCell.SentPackets]++;
    this.cells[first + TrafficCell.SentBytes] += bytes;
  }

  /** The peer answered a test. `nowMs` by this process's clock. */
  answered(slot: number, nowMs: number): void {
    this.cells[slot * CELLS + TrafficCell.AnswerMs] = nowMs + this.#clockOffsetMs;
  }

  /** The cell of a slot as it stands; anything, where a hostile worker wrote it. */
  at(slot: number, cell: TrafficCell): number {
    return this.cells[slot * CELLS + cell];
  }
}
