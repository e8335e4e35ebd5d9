import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { createSharedMemory, mapSharedMemory } from '../../../src/shared/sys/sharedMemory.ts';

describe('shared memory', () => {
  it('is zeroed, and two mappings of one fd show the same bytes', () => {
    const memory = createSharedMemory('weft-test', 8192);
    const words = new Int32Array(memory.buffer);
    expect(words.length).to.equal(2048);
    expect(words.every((word) => word === 0)).to.equal(true);
    const second = mapSharedMemory(memory.fd, 8192);
    expect(second.address).not.to.equal(memory.address);
    Atomics.store(new Int32Array(second.buffer), 2047, 77);
    expect(Atomics.load(words, 2047)).to.equal(77);
    closeSync(memory.fd);
    expect(Atomics.add(words, 2047, 1)).to.equal(77);
    expect(new Int32Array(second.buffer)[2047]).to.equal(78);
  });

  it('cannot be shrunk or grown by anyone who holds the fd', () => {
    const memory = createSharedMemory('weft-test', 8192);
    expect(() => ftruncateSync(memory.fd, 0)).to.throw('EPERM');
    expect(() => ftruncateSync(memory.fd, 16384)).to.throw('EPERM');
    closeSync(memory.fd);
  });

  it('refuses to map more than there is', () => {
    const memory = createSharedMemory('weft-test', 4096);
    expect(() => mapSharedMemory(memory.fd, 4097)).to.throw(RangeError, 'has 4096 bytes where 4097');
    closeSync(memory.fd);
  });

  it('does not leak into a child that does not ask for it', () => {
    const memory = createSharedMemory('weft-leak', 4096);
    const child = spawnSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
    expect(child.status).to.equal(0);
    expect(child.stdout).not.to.contain('weft-leak');
    closeSync(memory.fd);
  });
});
