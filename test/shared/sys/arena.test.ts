import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { viewMemory } from '../../../src/shared/sys/libc.ts';

describe('Arena', () => {
  it('hands out aligned, zeroed, non-overlapping ranges', () => {
    const arena = new Arena(4096);
    expect(arena.allocate(3)).to.equal(0);
    expect(arena.allocate(5)).to.equal(8);
    expect(arena.allocate(10, 64)).to.equal(64);
    expect(arena.allocate(1, 1)).to.equal(74);
    expect(arena.usedBytes).to.equal(75);
    expect(arena.bytes.every((byte) => byte === 0)).to.equal(true);
  });

  it('refuses what does not fit and stays usable', () => {
    const arena = new Arena(64);
    expect(() => arena.allocate(65)).to.throw(RangeError, 'too small');
    expect(arena.allocate(64)).to.equal(0);
    expect(() => arena.allocate(1)).to.throw(RangeError);
  });

  it('has views and an address that name the same bytes', () => {
    const arena = new Arena(4096);
    arena.view.setUint32(100, 0xdeadbeef, true);
    const other = new Uint8Array(viewMemory(arena.address + 96, 8));
    expect([...other]).to.deep.equal([0, 0, 0, 0, 0xef, 0xbe, 0xad, 0xde]);
    other[0] = 7;
    expect(arena.bytes[96]).to.equal(7);
  });

  it('keeps large arenas lazy', () => {
    const before = process.memoryUsage().rss;
    const arena = new Arena(1 << 30);
    arena.bytes[(1 << 30) - 1] = 1;
    expect(process.memoryUsage().rss - before).to.be.below(64 << 20);
  });

  it('reports a refused mapping as a SysError', () => {
    expect(() => new Arena(2 ** 60)).to.throw('mmap: not enough memory (ENOMEM)');
  });
});
