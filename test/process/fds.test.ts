/**
 * What children see of the parent's descriptors and memory: the way a worker gets its fds and the shared memory.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { createSharedMemory, type SharedMemory } from '../../src/shared/sys/sharedMemory.ts';
import { forkConfined } from '../support/confinedChild.ts';

const ChildProgram = fileURLToPath(new URL('fdsChild.js', import.meta.url));
const AddsPerChild = 200_000;

describe('inherited descriptors', function () {
  this.timeout(30_000);

  it('lets processes add to one cell without losing an increment', async () => {
    const memory = createSharedMemory('weft-test', 65536);
    const words = new Int32Array(memory.buffer);
    await Promise.all([finished(start(memory, 'add')), finished(start(memory, 'add'))]);
    expect(Atomics.load(words, 0)).to.equal(2 * AddsPerChild);
    closeSync(memory.fd);
  });

  it('keeps every add of a child that was killed while adding', async () => {
    const memory = createSharedMemory('weft-test', 65536);
    const words = new Int32Array(memory.buffer);
    const child = start(memory, 'count');
    const exit = finished(child);
    await new Promise<void>((resolve) => child.once('message', () => resolve()));
    child.kill('SIGKILL');
    expect(await exit).to.equal('SIGKILL');
    // The child adds 1 to cell 0 before it adds 1 to cell 1: killed at any instruction, the cells differ by 0 or 1.
    expect(words[0]).to.be.greaterThan(1000);
    expect(words[0] - words[1]).to.be.oneOf([0, 1]);
    closeSync(memory.fd);
  });

  it('lets a confined child use the memory (root)', async function () {
    if (process.getuid?.() !== 0) {
      console.log('      skipped: needs root to have privileges to drop');
      this.skip();
    }
    const memory = createSharedMemory('weft-test', 65536);
    const { child, user } = forkConfined(ChildProgram, ['confine'], [memory.fd]);
    const exit = finished(child);
    const seen = await new Promise<unknown>((resolve) => child.once('message', resolve));
    expect(await exit).to.equal(0);
    expect(seen).to.deep.equal([user.uid, user.uid, user.gid, user.gid]);
    expect(Atomics.load(new Int32Array(memory.buffer), 5)).to.equal(55);
    closeSync(memory.fd);
  });
});

function start(memory: SharedMemory, task: string): ChildProcess {
  return fork(ChildProgram, [task, String(AddsPerChild)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', memory.fd],
  });
}

function finished(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
}
