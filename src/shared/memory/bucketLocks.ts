/**
 * The locks of the conntrack table's buckets: one word each, 0 or the number of the process that holds it.
 *
 * A process may die while it holds one. The primary then breaks it (`breakOf`), or the worker started with the same
 * number takes it over. Nothing here allocates.
 */
export class BucketLocks {
  readonly #words: Int32Array;
  readonly #owner: number;
  readonly #failures: number;
  /** Never written: sleeping is waiting for it in vain. */
  readonly #sleeper: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(4));
  #stuck: number = -1;
  /** So many more failures are not waited for. */
  #hastyCount = 0;

  /** Locks are words of `words`, as is the counter `failures` of waits in vain. */
  constructor(words: Int32Array, owner: number, failures: number) {
    this.#words = words;
    this.#owner = owner;
    this.#failures = failures;
  }

  /**
   * Waits for the lock, first spinning, then sleeping, because the kernel may have stopped the holder in the middle.
   * A lock that was waited for in vain (its holder died) is not waited for again until it is broken, and the next ones
   * that are held are not waited for either: if a hostile worker holds them all, the packets go on without.
   */
  take(lock: number): boolean {
    for (let attempt = 0; attempt < SPINS; attempt++) {
      if (this.tryTake(lock)) {
        return true;
      }
    }
    if (this.#hastyCount > 0) {
      this.#hastyCount--;
    } else if (lock !== this.#stuck) {
      for (let attempt = 0; attempt < SLEEPS; attempt++) {
        Atomics.wait(this.#sleeper, 0, 0, SLEEP_MS);
        if (this.tryTake(lock)) {
          return true;
        }
      }
      this.#stuck = lock;
      this.#hastyCount = HASTY_COUNT;
    }
    Atomics.add(this.#words, this.#failures, 1);
    return false;
  }

  /** A lock with our own number was left by a predecessor that died: nobody else uses the number, so it is ours. */
  tryTake(lock: number): boolean {
    const holder = Atomics.compareExchange(this.#words, lock, 0, this.#owner);
    if (holder !== 0 && holder !== this.#owner) {
      return false;
    }
    if (lock === this.#stuck) {
      this.#stuck = -1;
    }
    return true;
  }

  release(lock: number): void {
    Atomics.store(this.#words, lock, 0);
  }

  holder(lock: number): number {
    return Atomics.load(this.#words, lock);
  }

  /** Frees the lock if `owner` holds it. */
  breakOf(owner: number, lock: number): boolean {
    return Atomics.compareExchange(this.#words, lock, owner, 0) === owner;
  }
}

/** A holder is done in a fraction of a microsecond, unless the kernel stopped it: then up to 100 ms of sleeps. */
const SPINS = 200;
const SLEEPS = 500;
const SLEEP_MS = 0.2;
/** A turn of the loop is a few hundred packets, and should not wait more than once. */
const HASTY_COUNT = 256;
