/** Shared tables in memory of this process (or its threads) alone. */
import { type Capacities, type SharedMemories, sharedSizes } from '../../src/shared/memory/layout.ts';
import { LighthouseTable } from '../../src/shared/memory/lighthouseTable.ts';
import { TunnelTable } from '../../src/shared/memory/tunnelTable.ts';
import { WorkerTurns } from '../../src/shared/memory/workerTurns.ts';

export function privateMemories(capacities: Capacities): SharedMemories {
  const sizes = sharedSizes(capacities);
  return {
    facts: new SharedArrayBuffer(sizes.facts),
    common: new SharedArrayBuffer(sizes.common),
    own: Array.from({ length: capacities.workers }, () => new SharedArrayBuffer(sizes.own)),
  };
}

/** Both parts of a lighthouse table, one behind the other. */
export function lighthouseMemory(capacity: number): SharedArrayBuffer {
  return new SharedArrayBuffer(reportsOffset(capacity) + LighthouseTable.reportsByteLength(capacity));
}

export function lighthouseTable(
  capacity: number,
  buffer: SharedArrayBuffer = lighthouseMemory(capacity),
): LighthouseTable {
  return new LighthouseTable({ buffer, byteOffset: 0 }, { buffer, byteOffset: reportsOffset(capacity) }, capacity);
}

export function turnsMemory(workers: number): SharedArrayBuffer {
  return new SharedArrayBuffer(workers * WorkerTurns.byteLength());
}

export function workerTurns(workers: number, buffer: SharedArrayBuffer = turnsMemory(workers)): WorkerTurns {
  return new WorkerTurns(
    Array.from({ length: workers }, (_, worker) => ({ buffer, byteOffset: worker * WorkerTurns.byteLength() })),
  );
}

/** A tunnel table, and the memory of its rows. */
export function tunnelTable(capacity: number): { readonly table: TunnelTable; readonly rows: ArrayBuffer } {
  const rows = new ArrayBuffer(TunnelTable.rowsByteLength(capacity));
  const cells = new ArrayBuffer(TunnelTable.cellsByteLength(capacity));
  const table = new TunnelTable({ buffer: rows, byteOffset: 0 }, { buffer: cells, byteOffset: 0 }, capacity);
  return { table, rows };
}

function reportsOffset(capacity: number): number {
  return Math.ceil(LighthouseTable.factsByteLength(capacity) / 64) * 64;
}
