/**
 * When may a tunnel slot be used again? When every worker has finished the turn of its loop in which it may still have
 * held what it read from the row. Each worker has one word: odd while it is inside a turn, even while it waits.
 *
 * A snapshot taken at removal is passed once every worker was even then, or has moved on since. So an idle worker never
 * holds up a slot, and a worker stopped in the middle of a turn keeps its slots from being reused for as long as it
 * stands still: with a reused slot it would seal under an old key with a counter of the new tunnel.
 *
 * The word is also the worker's sign of life: an idle one makes an empty turn every BEAT_MS.
 */
import type { Region } from './region.ts';

/** How often a worker makes a turn at least. */
export const BEAT_MS = 250;

/** One cache line. */
const WORDS = 16;

export class WorkerTurns {
  /** By worker; the first word counts. */
  readonly #words: readonly Int32Array[];

  /** Of one worker. */
  static byteLength(): number {
    return WORDS * 4;
  }

  /** One region per worker, each in memory that no other worker has. */
  constructor(regions: readonly Region[]) {
    this.#words = regions.map(({ buffer, byteOffset }) => new Int32Array(buffer, byteOffset, WORDS));
  }

  /** Worker only: the turn begins; rows read from here on are covered. */
  begin(worker: number): void {
    Atomics.or(this.#words[worker], 0, 1);
  }

  /** Worker only: nothing read in the turn is held any more. */
  end(worker: number): void {
    const words = this.#words[worker];
    Atomics.store(words, 0, (Atomics.load(words, 0) | 1) + 1);
  }

  /** Worker only, outside of turns: an empty turn, which shows that the loop runs. */
  beat(worker: number): void {
    this.end(worker);
  }

  /** The word as it stands: another number than before means that the worker, or its primary, was here. */
  turn(worker: number): number {
    return Atomics.load(this.#words[worker], 0);
  }

  /** Primary only, when a worker died: it holds nothing now. */
  abandon(worker: number): void {
    this.end(worker);
  }

  snapshot(): Int32Array {
    return Int32Array.from(this.#words, (words) => Atomics.load(words, 0));
  }

  hasPassed(snapshot: Int32Array): boolean {
    return snapshot.every((then, worker) => (then & 1) === 0 || Atomics.load(this.#words[worker], 0) !== then);
  }
}
