import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { initializeShared, type SharedTables, sharedSizes } from '../../src/shared/memory/layout.ts';
import { createSealedMemory, createSharedMemory } from '../../src/shared/sys/sharedMemory.ts';
import { reserve } from '../support/counters.ts';

const script = fileURLToPath(new URL('./sharedState.worker.js', import.meta.url));
/** Of a racer, before it is killed: 256 reservations of at least one counter each. */
const PROOF_BYTES = 4096;
const capacities = { workers: 3, tunnels: 2, flows: 64, lighthouseHosts: 8 };

interface Racer {
  readonly process: ChildProcess;
  readonly pipe: NodeJS.ReadableStream;
  readonly output: Promise<Buffer>;
}

interface Shared {
  readonly fds: { readonly facts: number; readonly common: number; readonly own: number };
  readonly tables: SharedTables;
}

function shared(lastCounter: number): Shared {
  const sizes = sharedSizes(capacities);
  const facts = createSealedMemory('weft-test', sizes.facts);
  const common = createSharedMemory('weft-test', sizes.common);
  const own = createSharedMemory('weft-test', sizes.own);
  const memories = { facts: facts.buffer, common: common.buffer, own: [own.buffer, own.buffer, own.buffer] };
  const tables = initializeShared(memories, capacities);
  tables.tunnels.write(0, 2, {
    localIndex: 1,
    remoteIndex: 2,
    cipher: 0,
    sendKey: new Uint8Array(32),
    receiveKey: new Uint8Array(32),
    certificate: new Uint8Array(1),
    certificateVersion: 1,
    ordinal: 1,
    lastCounter: 2,
  });
  if (lastCounter > 2) {
    reserve(tables.tunnels.cells, tables.tunnels.counterCell(0), 2 ** 31 - 1000 - 2);
  }
  return { fds: { facts: facts.fd, common: common.fd, own: own.fd }, tables };
}

function race(mode: string, { fds }: Shared, seed: number, operations: number): Racer {
  const child = spawn(process.execPath, [script, mode, `${seed}`, `${operations}`], {
    stdio: ['ignore', 'inherit', 'inherit', 'ignore', fds.facts, 'pipe', fds.common, fds.own],
  });
  const chunks: Buffer[] = [];
  const pipe = (child.stdio as unknown[])[5] as NodeJS.ReadableStream;
  pipe.on('data', (chunk: Buffer) => chunks.push(chunk));
  return {
    process: child,
    pipe,
    output: new Promise((resolve) => pipe.on('end', () => resolve(Buffer.concat(chunks)))),
  };
}

/** Marks every counter of the reservations in `output`; returns how many were marked. */
function collect(output: Buffer, used: Map<number, number>): number {
  let counters = 0;
  for (let at = 0; at + 16 <= output.length; at += 16) {
    const first = output.readDoubleLE(at);
    const count = output.readDoubleLE(at + 8);
    for (let counter = first; counter < first + count; counter++) {
      used.set(counter, (used.get(counter) ?? 0) + 1);
      counters++;
    }
  }
  return counters;
}

describe('shared state between processes', function () {
  this.timeout(60_000);

  it('three processes never reserve the same counter, across a half-turn of the low word', async () => {
    const memory = shared(2 ** 31);
    const racers = [1, 2, 3].map((seed) => race('reserve', memory, seed, 5000));
    const used = new Map<number, number>();
    let counters = 0;
    for (const racer of racers) {
      counters += collect(await racer.output, used);
    }
    expect(counters).to.be.greaterThan(300_000);
    expect(used.size).to.equal(counters);
    const keys = [...used.keys()].sort((a, b) => a - b);
    expect(keys[0]).to.equal(2 ** 31 - 999);
    expect(keys[keys.length - 1]).to.be.greaterThan(2 ** 31 + 200_000);
    expect(keys[keys.length - 1] - keys[0] + 1).to.equal(counters);
  });

  it('no counter is used twice when processes are killed in the middle and started again', async () => {
    const memory = shared(2);
    const used = new Map<number, number>();
    let counters = 0;
    for (let round = 0; round < 6; round++) {
      const racers = [1, 2, 3].map((seed) => race('reserve', memory, round * 10 + seed, 10_000_000));
      for (const racer of racers) {
        // So many bytes prove that it works; then it dies wherever it happens to be.
        let bytes = 0;
        racer.pipe.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes >= PROOF_BYTES) {
            racer.process.kill('SIGKILL');
          }
        });
      }
      for (const racer of racers) {
        counters += collect(await racer.output, used);
      }
    }
    expect(counters).to.be.at.least((18 * PROOF_BYTES) / 16);
    expect(used.size).to.equal(counters);
    expect(Math.min(...[...used.keys()].slice(0, 1000))).to.be.at.least(3);
  });

  it('three processes accept every counter at most once', async () => {
    const memory = shared(2);
    const total = 200_000;
    const racers = [1, 2, 3].map((seed) => race('claim', memory, seed, total));
    const accepted = new Uint8Array(total);
    for (const racer of racers) {
      const output = await racer.output;
      expect(output.length).to.equal(total);
      for (let counter = 0; counter < total; counter++) {
        accepted[counter] += output[counter];
      }
    }
    expect(accepted.reduce((most, count) => Math.max(most, count), 0)).to.equal(1);
    expect([accepted[0], accepted[1], accepted[2]]).to.deep.equal([0, 0, 0]);
    expect(accepted.reduce((sum, count) => sum + count, 0)).to.be.greaterThan(total * 0.8);
  });
});
