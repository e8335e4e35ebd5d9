/**
 * The metrics of a running weft node, one number per worker, read from its shared memory as the kernel shows it under
 * /proc. Reads only; close it before the lab is closed. A node that is started again has other memory.
 */
import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { openShared } from '../../src/shared/memory/layout.ts';
import { METRIC, type MetricName } from '../../src/shared/memory/metrics.ts';

/** Length of the memory's header, which is all that the tables need to find their places. */
const HEADER_BYTES = 4096;

export class WorkerMetrics {
  readonly #fd: number;
  /** Of each worker's column in the memory, in bytes. */
  readonly #offsets: readonly number[];

  /** `pid` is of the primary. */
  constructor(pid: number) {
    this.#fd = openSync(sharedMemoryPath(pid), 'r');
    const copy = new ArrayBuffer(fstatSync(this.#fd).size);
    readSync(this.#fd, new Uint8Array(copy, 0, HEADER_BYTES), 0, HEADER_BYTES, 0);
    const { metrics } = openShared(copy, 0);
    this.#offsets = Array.from({ length: metrics.columns - 1 }, (_, worker) => metrics.column(worker + 1).byteOffset);
  }

  read(name: MetricName): number[] {
    const cell = new Float64Array(1);
    return this.#offsets.map((offset) => {
      readSync(this.#fd, cell, 0, 8, offset + METRIC[name] * 8);
      return cell[0];
    });
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** How much each worker has counted in between. */
export function growth(before: readonly number[], after: readonly number[]): number[] {
  return after.map((count, worker) => count - before[worker]);
}

function sharedMemoryPath(pid: number): string {
  const folder = `/proc/${pid}/fd`;
  const found = readdirSync(folder).find((fd) => readlinkSync(`${folder}/${fd}`).startsWith('/memfd:weft'));
  if (found === undefined) {
    throw new Error(`process ${pid} has no shared memory of a weft node`);
  }
  return `${folder}/${found}`;
}
