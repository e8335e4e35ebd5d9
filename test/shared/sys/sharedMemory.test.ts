import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, writeSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { libc } from '../../../src/shared/sys/libc.ts';
import {
  createSealedMemory,
  createSharedMemory,
  mapReadOnly,
  mapSharedMemory,
} from '../../../src/shared/sys/sharedMemory.ts';

describe('shared memory', () => {
  it('is zeroed, and two mappings of one fd show the same bytes', () => {
    const memory = createSharedMemory('weft-test', 8192);
    const words = new Int32Array(memory.buffer);
    expect(words.length).to.equal(2048);
    expect(words.every((word) => word === 0)).to.equal(true);
    const second = mapSharedMemory(memory.fd);
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

  it('can be written by its maker alone when it is sealed', () => {
    const memory = createSealedMemory('weft-test', 4096);
    expect(memory.isSealed, 'this kernel is older than 5.1').to.equal(true);
    const words = new Int32Array(memory.buffer);
    const seen = new Int32Array(mapReadOnly(memory.fd).buffer);
    Atomics.store(words, 3, 99);
    expect(Atomics.load(seen, 3)).to.equal(99);
    expect(() => mapSharedMemory(memory.fd)).to.throw('EPERM');
    expect(() => writeSync(memory.fd, Uint8Array.of(1))).to.throw('EPERM');
    expect(libc.fcntl(memory.fd, 1033, 8), 'no seal can be added').to.equal(-1);
    closeSync(memory.fd);
  });

  it('ends a process that writes to its read-only mapping, and stays as it was', () => {
    const memory = createSealedMemory('weft-test', 4096);
    const words = new Int32Array(memory.buffer).fill(7);
    const program = `
      import { mapReadOnly } from ${JSON.stringify(new URL('../../../src/shared/sys/sharedMemory.js', import.meta.url))};
      const words = new Int32Array(mapReadOnly(3).buffer);
      console.log(words[5]);
      words[5] = 8;
      console.log('written');`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit', memory.fd],
    });
    expect([child.stdout, child.signal]).to.deep.equal(['7\n', 'SIGSEGV']);
    expect(words[5]).to.equal(7);
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
