/** Cells of a slab: aligned, zero when taken, wiped when given back, and never more memory than lives at once. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { viewMemory } from '../../../src/shared/sys/libc.ts';
import { Slab } from '../../../src/shared/sys/slab.ts';
import { Random } from '../../support/random.ts';

describe('Slab', () => {
  const bytesOf = (address: number, length: number): Uint8Array => new Uint8Array(viewMemory(address, length));

  it('gives aligned cells that do not overlap', () => {
    const slab = new Slab(100);
    expect(slab.cellBytes).to.equal(128);
    const cells = Array.from({ length: 300 }, () => slab.take());
    expect(cells.every((address) => address % 64 === 0)).to.equal(true);
    const sorted = [...cells].sort((a, b) => a - b);
    expect(sorted.every((address, index) => index === 0 || address - sorted[index - 1] >= 128)).to.equal(true);
  });

  it('wipes what is given back, and gives it out zeroed', () => {
    const slab = new Slab(64);
    const address = slab.take();
    bytesOf(address, 64).fill(0xa5);
    slab.giveBack(address);
    expect([...bytesOf(address, 64)]).to.deep.equal(new Array(64).fill(0));
    expect(slab.take()).to.equal(address);
  });

  it('does not grow beyond the most that lived at once', () => {
    const slab = new Slab(2048);
    const random = new Random(3);
    const living: number[] = [];
    for (let count = 0; count < 1000; count++) {
      living.push(slab.take());
    }
    const { mappedBytes } = slab;
    for (let round = 0; round < 20_000; round++) {
      slab.giveBack(living.splice(random.below(living.length), 1)[0]);
      living.push(slab.take());
    }
    expect(slab.mappedBytes).to.equal(mappedBytes);
    expect(new Set(living).size).to.equal(living.length);
  });

  it('refuses a cell of somebody else', () => {
    expect(() => new Slab(64).giveBack(4096)).to.throw(RangeError);
  });
});
