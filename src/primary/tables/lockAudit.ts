/**
 * Finds locks that nobody will release: of a table in memory that every worker can write, looked at by the primary.
 *
 * A lock names its holder. One that names a process that there is not, or a dead worker, is broken at once. One in the
 * name of a live worker may be a forgery, or was left by a worker that failed on the way: it is broken when it is seen
 * held by the same holder at two looks. Looks are a tenth of a second or more apart and a holder is done in a fraction
 * of a microsecond, so an honest one is met twice about never; a write may then be cut in two, which readers notice.
 */

/** A table with locks, as the primary sees it. */
export interface LockedTable {
  readonly lockCount: number;
  /** 0: free. */
  lockHolder(lock: number): number;
  /** Frees the lock if `holder` still holds it. */
  breakLock(lock: number, holder: number): boolean;
}

export class LockAudit {
  readonly #table: LockedTable;
  readonly #ownersMax: number;
  /** Whom each lock was last seen held by. */
  readonly #seen: Int32Array;

  /** Owners are numbered 1 to `ownersMax`. */
  constructor(table: LockedTable, ownersMax: number) {
    this.#table = table;
    this.#ownersMax = ownersMax;
    this.#seen = new Int32Array(table.lockCount);
  }

  /**
   * Looks at `count` locks from `from` on; returns how many it broke. `dead` is the owner number of a worker that died,
   * or 0.
   */
  look(from: number, count: number, dead: number): number {
    const end = Math.min(from + count, this.#table.lockCount);
    let broken = 0;
    for (let lock = from; lock < end; lock++) {
      const holder = this.#table.lockHolder(lock);
      const isAbandoned = holder !== 0 && (holder === dead || !this.#isOwner(holder) || holder === this.#seen[lock]);
      this.#seen[lock] = isAbandoned ? 0 : holder;
      broken += isAbandoned && this.#table.breakLock(lock, holder) ? 1 : 0;
    }
    return broken;
  }

  /** Looks at all of them. */
  lookAtAll(dead: number): number {
    return this.look(0, this.#table.lockCount, dead);
  }

  #isOwner(holder: number): boolean {
    return holder > 0 && holder <= this.#ownersMax;
  }
}
