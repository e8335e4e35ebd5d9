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

/** How often a worker makes a turn at least. */
export const BEAT_MS = 250;

/** One cache line each. */
const WORKER_WORDS = 16;

export class WorkerTurns {
  readonly #words: Int32Array;
  readonly #workers: number;

  static byteLength(workers: number): number {
    return workers * WORKER_WORDS * 4;
  }

  constructor(buffer: ArrayBufferLike, byteOffset: number, workers: number) {
    this.#words = new Int32Array(buffer, byteOffset, workers * WORKER_WORDS);
    this.#workers = workers;
  }

  /** Worker only: the turn begins; rows read from here on are covered. */
  begin(worker: number): void {
    Atomics.or(this.#words, worker * WORKER_WORDS, 1);
  }

  /** Worker only: nothing read in the turn is held any more. */
  end(worker: number): void {
    const word = worker * WORKER_WORDS;
    Atomics.store(this.#words, word, (Atomics.load(this.#words, word) | 1) + 1);
  }

  /** Worker only, outside of turns: an empty turn, which shows that the loop runs. */
  beat(worker: number): void {
    this.end(worker);
  }

  /** The word as it stands: another number than before means that the worker, or its primary, was here. */
  turn(worker: number): number {
    return Atomics.load(this.#words, worker * WORKER_WORDS);
  }

  /** Primary only, when a worker died: it holds nothing now. */
  abandon(worker: number): void {
    this.end(worker);
  }

  snapshot(): Int32Array {
    const turns = new Int32Array(this.#workers);
    for (let worker = 0; worker < this.#workers; worker++) {
      turns[worker] = Atomics.load(this.#words, worker * WORKER_WORDS);
    }
    return turns;
  }

  hasPassed(snapshot: Int32Array): boolean {
    for (let worker = 0; worker < this.#workers; worker++) {
      const then = snapshot[worker];
      if ((then & 1) === 1 && Atomics.load(this.#words, worker * WORKER_WORDS) === then) {
        return false;
      }
    }
    return true;
  }
}
