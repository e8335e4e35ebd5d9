/**
 * The shared memory of a running weft node as the kernel shows it under /proc: one column of numbers per worker, read
 * without asking the node. Reads only; close it before the lab is closed. A node that is started again has other memory.
 */
import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { openShared, type SharedTables } from '../../src/shared/memory/layout.ts';

/** Length of the header of the facts, which is all that the tables need to find their places. */
const HEADER_BYTES = 4096;

export class NodeMemory {
  /** Of each worker's own memory. */
  readonly #fds: readonly number[];
  /** Of each worker's column in it, in bytes. */
  readonly #offsets: readonly number[];

  /** `pid` is of the primary; `columns` gives the column of each worker. */
  constructor(pid: number, columns: (tables: SharedTables) => readonly Float64Array[]) {
    const facts = openMemory(pid, 'weft-facts');
    const common = openMemory(pid, 'weft-common');
    const copies = { facts: emptyCopy(facts), common: emptyCopy(common) };
    // The rest of these copies is never filled.
    readSync(facts, new Uint8Array(copies.facts, 0, HEADER_BYTES), 0, HEADER_BYTES, 0);
    closeSync(facts);
    closeSync(common);
    const { capacities } = openShared({ ...copies, own: [] }, 0);
    this.#fds = Array.from({ length: capacities.workers }, (_, worker) => openMemory(pid, `weft-worker-${worker}`));
    const tables = openShared({ ...copies, own: this.#fds.map(emptyCopy) }, 0);
    this.#offsets = columns(tables).map(({ byteOffset }) => byteOffset);
  }

  /** The number at `index` of each worker's column. */
  read(index: number): number[] {
    const cell = new Float64Array(1);
    return this.#offsets.map((offset, worker) => {
      readSync(this.#fds[worker], cell, 0, 8, offset + index * 8);
      return cell[0];
    });
  }

  close(): void {
    for (const fd of this.#fds) {
      closeSync(fd);
    }
  }
}

function emptyCopy(fd: number): ArrayBuffer {
  return new ArrayBuffer(fstatSync(fd).size);
}

function openMemory(pid: number, name: string): number {
  const folder = `/proc/${pid}/fd`;
  const found = readdirSync(folder).find((fd) => readlinkSync(`${folder}/${fd}`).startsWith(`/memfd:${name} `));
  if (found === undefined) {
    throw new Error(`process ${pid} has no memory ${name}`);
  }
  return openSync(`${folder}/${found}`, 'r');
}
