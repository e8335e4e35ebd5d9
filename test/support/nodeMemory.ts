/**
 * The shared memory of a running weft node as the kernel shows it under /proc: one column of numbers per worker, read
 * without asking the node. Reads only; close it before the lab is closed. A node that is started again has other memory.
 */
import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { openShared, type SharedTables } from '../../src/shared/memory/layout.ts';

/** Length of the memory's header, which is all that the tables need to find their places. */
const HEADER_BYTES = 4096;

export class NodeMemory {
  readonly #fd: number;
  /** Of each worker's column in the memory, in bytes. */
  readonly #offsets: readonly number[];

  /** `pid` is of the primary; `columns` gives the column of each worker. */
  constructor(pid: number, columns: (tables: SharedTables) => readonly Float64Array[]) {
    this.#fd = openSync(sharedMemoryPath(pid), 'r');
    // The rest of this copy is never filled.
    const copy = new ArrayBuffer(fstatSync(this.#fd).size);
    readSync(this.#fd, new Uint8Array(copy, 0, HEADER_BYTES), 0, HEADER_BYTES, 0);
    this.#offsets = columns(openShared(copy, 0)).map(({ byteOffset }) => byteOffset);
  }

  /** The number at `index` of each worker's column. */
  read(index: number): number[] {
    const cell = new Float64Array(1);
    return this.#offsets.map((offset) => {
      readSync(this.#fd, cell, 0, 8, offset + index * 8);
      return cell[0];
    });
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function sharedMemoryPath(pid: number): string {
  const folder = `/proc/${pid}/fd`;
  const found = readdirSync(folder).find((fd) => readlinkSync(`${folder}/${fd}`).startsWith('/memfd:weft'));
  if (found === undefined) {
    throw new Error(`process ${pid} has no shared memory of a weft node`);
  }
  return `${folder}/${found}`;
}
