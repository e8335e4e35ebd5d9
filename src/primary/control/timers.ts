/**
 * Deadlines as data: a binary heap of jobs ordered by time, then by the order of scheduling. No callback, no clock:
 * the owner asks for due jobs with its own `now` and tells its caller when to come back (`nextMs`).
 */
export class Timers<Job> {
  readonly #heap: Entry<Job>[] = [];
  readonly #entries = new Map<number, Entry<Job>>();
  #lastId = 0;

  /** Number of jobs that wait. */
  get size(): number {
    return this.#entries.size;
  }

  /** Monotonic milliseconds at which `takeDue` has something to give; null when nothing waits. */
  get nextMs(): number | null {
    this.#dropCancelled();
    return this.#heap.length === 0 ? null : this.#heap[0].atMs;
  }

  /** Returns an id (never 0) for `cancel`. A time in the past is due at once. */
  schedule(atMs: number, job: Job): number {
    const entry: Entry<Job> = { atMs, id: ++this.#lastId, job };
    this.#entries.set(entry.id, entry);
    this.#heap.push(entry);
    this.#siftUp(this.#heap.length - 1);
    return entry.id;
  }

  /** Forgets a job; an id that is unknown, done or cancelled already is ignored. */
  cancel(id: number): void {
    this.#entries.delete(id);
    if (this.#heap.length > 64 && this.#heap.length > 2 * this.#entries.size) {
      this.#rebuild();
    }
  }

  /** Removes and returns the earliest job that is due at `nowMs`, or null. Call again until it returns null. */
  takeDue(nowMs: number): Job | null {
    this.#dropCancelled();
    if (this.#heap.length === 0 || this.#heap[0].atMs > nowMs) {
      return null;
    }
    const entry = this.#heap[0];
    this.#entries.delete(entry.id);
    this.#removeTop();
    return entry.job;
  }

  #dropCancelled(): void {
    while (this.#heap.length > 0 && !this.#entries.has(this.#heap[0].id)) {
      this.#removeTop();
    }
  }

  /** Cancelled entries stay in the heap until they surface; this keeps them from outnumbering the live ones. */
  #rebuild(): void {
    const live = [...this.#entries.values()].sort((a, b) => (isBefore(a, b) ? -1 : 1));
    this.#heap.length = 0;
    this.#heap.push(...live);
  }

  #removeTop(): void {
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#siftDown();
    }
  }

  #siftUp(start: number): void {
    const heap = this.#heap;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(heap[index], heap[parent])) {
        return;
      }
      [heap[index], heap[parent]] = [heap[parent], heap[index]];
      index = parent;
    }
  }

  #siftDown(): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= heap.length) {
        return;
      }
      const right = left + 1;
      const child = right < heap.length && isBefore(heap[right], heap[left]) ? right : left;
      if (!isBefore(heap[child], heap[index])) {
        return;
      }
      [heap[index], heap[child]] = [heap[child], heap[index]];
      index = child;
    }
  }
}

interface Entry<Job> {
  readonly atMs: number;
  readonly id: number;
  readonly job: Job;
}

function isBefore<Job>(a: Entry<Job>, b: Entry<Job>): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.id < b.id);
}
