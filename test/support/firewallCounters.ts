/**
 * The firewall counters of a running weft node, read from its shared memory as the kernel shows it under /proc: what each
 * worker has counted, without asking the node. Reads only; close it before the lab is closed.
 */
import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { until } from '../../src/primary/cli/demo/until.ts';
import { FirewallCounter } from '../../src/shared/firewall/firewallCounters.ts';
import { openShared } from '../../src/shared/memory/layout.ts';
import type { TestNode } from './nodes.ts';

export type CounterName = keyof typeof FirewallCounter;

export class NodeCounters {
  readonly #fd: number;
  /** Of each worker's column in the memory, in bytes. */
  readonly #offsets: readonly number[];
  readonly #name: string;

  constructor(node: TestNode) {
    this.#name = node.name;
    this.#fd = openSync(sharedMemoryPath(node.program.pid), 'r');
    // The tables find their places by the header alone; the rest of this copy is never filled.
    const copy = new ArrayBuffer(fstatSync(this.#fd).size);
    readSync(this.#fd, new Uint8Array(copy, 0, 4096), 0, 4096, 0);
    this.#offsets = openShared(copy, 0).firewallCounters.map(({ byteOffset }) => byteOffset);
  }

  /** One number per worker. */
  read(counter: CounterName): number[] {
    const cell = new Float64Array(1);
    return this.#offsets.map((offset) => {
      readSync(this.#fd, cell, 0, 8, offset + FirewallCounter[counter] * 8);
      return cell[0];
    });
  }

  total(counter: CounterName): number {
    return this.read(counter).reduce((sum, count) => sum + count, 0);
  }

  /** Returns when every worker has taken over the rules of at least this version; a node starts with 1. */
  async untilRules(version: number): Promise<void> {
    await until(`rules ${version} in every worker of ${this.#name}`, () =>
      this.read('RulesVersion').every((inForce) => inForce >= version),
    );
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
