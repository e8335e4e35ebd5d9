/**
 * Keeps the locks of the tables that every worker can write from being held for ever: after a worker's death at once and
 * once more a moment later, and in slow rounds all the time. The primary itself never waits for one.
 */

import type { Logger } from '../../shared/log/logger.ts';
import { ownerOf, type SharedTables } from '../../shared/memory/layout.ts';
import { METRIC } from '../../shared/memory/metrics.ts';
import type { Boundary } from '../boundary.ts';
import { LockAudit, type LockedTable } from './lockAudit.ts';

const STEP_MS = 1000;
/** A whole round takes about 100 s whatever the size of a table. */
const STEPS_PER_ROUND = 100;
/** Between the two looks after a death. */
const SECOND_LOOK_MS = 100;

export interface LockKeeperOptions {
  readonly tables: readonly LockedTable[];
  /** The largest number under which a process of this node holds locks. */
  readonly ownersMax: number;
  readonly boundary: Boundary;
  /** So many locks were freed; `isExpected`: those of a dead worker. */
  readonly onBroken: (count: number, isExpected: boolean) => void;
}

/** For the tables of a node; counts what was broken, and says once that a live worker left locks, as none should. */
export function lockKeeperOf(tables: SharedTables, log: Logger, boundary: Boundary): LockKeeper {
  const metrics = tables.metrics.column(0);
  let hasTold = false;
  return new LockKeeper({
    tables: [tables.conntrack, tables.lighthouse],
    ownersMax: ownerOf(tables.capacities.workers),
    boundary,
    onBroken: (count, isExpected) => {
      metrics[METRIC['memory.locks_broken']] += count;
      if (!isExpected && !hasTold) {
        hasTold = true;
        log.warn('Shared tables were locked by nobody; a worker is broken or hostile', { locks: count });
      }
    },
  });
}

export class LockKeeper {
  readonly #options: LockKeeperOptions;
  readonly #audits: readonly { readonly audit: LockAudit; readonly table: LockedTable }[];
  #step = 0;
  #interval: NodeJS.Timeout | null = null;
  #secondLook: NodeJS.Timeout | null = null;

  constructor(options: LockKeeperOptions) {
    this.#options = options;
    this.#audits = options.tables.map((table) => ({ table, audit: new LockAudit(table, options.ownersMax) }));
  }

  start(): void {
    const { boundary } = this.#options;
    this.#interval = setInterval(() => boundary.guard('timer', () => this.#look()), STEP_MS);
  }

  close(): void {
    clearInterval(this.#interval ?? undefined);
    clearTimeout(this.#secondLook ?? undefined);
  }

  /** A worker died that held locks under this number, and may have left others in the name of others. */
  onDeath(owner: number): void {
    const { boundary } = this.#options;
    this.#lookAtAll(owner);
    clearTimeout(this.#secondLook ?? undefined);
    this.#secondLook = setTimeout(() => boundary.guard('timer', () => this.#lookAtAll(0)), SECOND_LOOK_MS);
  }

  #lookAtAll(dead: number): void {
    let broken = 0;
    for (const { audit } of this.#audits) {
      broken += audit.lookAtAll(dead);
    }
    this.#tell(broken, dead !== 0);
  }

  #look(): void {
    let broken = 0;
    for (const { table, audit } of this.#audits) {
      const count = Math.ceil(table.lockCount / STEPS_PER_ROUND);
      broken += audit.look(this.#step * count, count, 0);
    }
    this.#step = (this.#step + 1) % STEPS_PER_ROUND;
    this.#tell(broken, false);
  }

  #tell(broken: number, isExpected: boolean): void {
    if (broken > 0) {
      this.#options.onBroken(broken, isExpected);
    }
  }
}
