import { expect } from 'chai';
import { describe, it } from 'mocha';
import { sumBytes } from '../../../src/shared/ip/checksum.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { viewMemory } from '../../../src/shared/sys/libc.ts';
import { Random } from '../../support/random.ts';

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

  it('lies below 2^31, where an address is a small integer, and so do others beside it', () => {
    const arenas = [1 << 24, 1 << 23, 4096, 1 << 22, 65536].map((byteLength) => new Arena(byteLength));
    const ranges = arenas.map(({ address, bytes }) => [address, address + bytes.length]).sort((a, b) => a[0] - b[0]);
    ranges.forEach(([start, end], index) => {
      expect(start % 65536).to.equal(0);
      expect(end).to.be.below(index + 1 < ranges.length ? ranges[index + 1][0] + 1 : 2 ** 31);
    });
  });

  it('lies anywhere when it is too large for that', () => {
    const arena = new Arena(2 ** 31);
    arena.bytes[2 ** 31 - 1] = 5;
    expect(arena.address).to.be.above(2 ** 31);
    expect(arena.bytes[2 ** 31 - 1]).to.equal(5);
  });

  it('sums its own bytes, by WebAssembly', () => {
    const arena = new Arena(100_000);
    const random = new Random(5);
    arena.bytes.set(random.bytes(100_000));
    const { sum } = arena;
    // A native function; the fallback is one of JavaScript.
    expect(String(sum)).to.contain('[native code]');
    expect(arena.sum).to.equal(sum);
    for (let round = 0; round < 500; round++) {
      const length = random.below(3000);
      const offset = random.below(100_000 - length);
      arena.bytes[offset] ^= 0x55;
      expect(sum(offset, length)).to.equal(sumBytes(arena.view, offset, length));
    }
  });

  it('copies what comes from elsewhere only where there is room', () => {
    const arena = new Arena(4096);
    const offset = arena.allocate(16);
    const behind = arena.allocate(8);
    expect(arena.copyIn(new Uint8Array(16).fill(7), offset, 16)).to.equal(true);
    expect(arena.copyIn(new Uint8Array(17).fill(9), offset, 16)).to.equal(false);
    expect(arena.copyIn(new Uint8Array(4_700_000), offset, 16)).to.equal(false);
    expect([arena.bytes[offset + 15], arena.bytes[behind]]).to.deep.equal([7, 0]);
  });
});
