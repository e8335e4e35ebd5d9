import { expect } from 'chai';
import { describe, it } from 'mocha';
import { hashTuple } from '../../../src/shared/firewall/tupleHash.ts';
import { PacketTuple } from '../../../src/shared/ip/packetTuple.ts';
import { RoutineCache } from '../../../src/worker/datapath/routineCache.ts';
import { raceTuple } from '../../shared/memory/conntrackRace.ts';

function flow(number: number): readonly [PacketTuple, number] {
  const tuple = raceTuple(new PacketTuple(), number);
  return [tuple, hashTuple(tuple, 5)];
}

describe('routine cache', () => {
  it('is off until the first tick, and for ever with a period of 0', () => {
    const cache = new RoutineCache(1000, 16);
    expect(cache.isOn).to.equal(false);
    cache.tick(1, 0);
    expect(cache.isOn).to.equal(true);
    const off = new RoutineCache(0, 16);
    off.tick(1, 0);
    expect(off.isOn).to.equal(false);
  });

  it('is emptied by a tick of another version, and says how many entries went', () => {
    const cache = new RoutineCache(1000, 16);
    cache.tick(1, 0);
    cache.add(...flow(1));
    cache.add(...flow(2));
    expect(cache.has(...flow(1))).to.equal(true);
    expect(cache.tick(1, 500)).to.equal(0);
    expect(cache.has(...flow(1))).to.equal(true);
    expect(cache.tick(2, 1000)).to.equal(2);
    expect([cache.has(...flow(1)), cache.has(...flow(2)), cache.entryCount]).to.deep.equal([false, false, 0]);
    expect(cache.tick(3, 2000)).to.equal(0);
  });

  it('turns off when three periods pass without a tick, and on again with the next', () => {
    const cache = new RoutineCache(1000, 16);
    cache.tick(7, 10_000);
    cache.add(...flow(1));
    cache.beginBatch(13_000);
    expect(cache.isOn).to.equal(true);
    cache.beginBatch(13_001);
    expect(cache.isOn).to.equal(false);
    cache.tick(7, 14_000);
    expect(cache.isOn).to.equal(true);
    expect(cache.has(...flow(1))).to.equal(false);
  });

  it('does not grow under a port scan, and keeps the flows it has', () => {
    const cache = new RoutineCache(1000, 64);
    cache.tick(1, 0);
    const kept = Array.from({ length: 20 }, (_, index) => index + 1);
    for (const number of kept) {
      cache.add(...flow(number));
    }
    const before = kept.filter((number) => cache.has(...flow(number)));
    expect(before).to.have.length(cache.entryCount);
    expect(cache.entryCount).to.be.above(15);
    for (let number = 100; number <= 10_000; number++) {
      cache.add(...flow(number));
      expect(cache.entryCount).to.be.at.most(64);
    }
    expect(cache.entryCount).to.equal(64);
    expect(kept.filter((number) => cache.has(...flow(number)))).to.deep.equal(before);
    let found = 0;
    for (let number = 1; number <= 10_000; number++) {
      found += cache.has(...flow(number)) ? 1 : 0;
    }
    expect(found).to.equal(64);
  });

  it('tells apart flows that differ in one field, even under the same hash', () => {
    const cache = new RoutineCache(1000, 64);
    cache.tick(1, 0);
    const [tuple] = flow(5);
    cache.add(tuple, 99);
    for (const field of Object.keys(tuple).filter((key) => key !== 'ipHeaderLength' && key !== 'version')) {
      const other = Object.assign(new PacketTuple(), tuple) as unknown as Record<string, number | boolean>;
      other[field] = typeof other[field] === 'boolean' ? !other[field] : (other[field] as number) ^ 1;
      expect(cache.has(other as unknown as PacketTuple, 99), field).to.equal(false);
    }
    expect(cache.has(tuple, 99)).to.equal(true);
  });

  it('holds two flows that meet in one place', () => {
    const cache = new RoutineCache(1000, 64);
    cache.tick(1, 0);
    cache.add(flow(1)[0], 64);
    cache.add(flow(2)[0], 128);
    expect([cache.has(flow(1)[0], 64), cache.has(flow(2)[0], 128)]).to.deep.equal([true, true]);
    expect(cache.entryCount).to.equal(2);
  });

  it('refuses a size that is no power of two', () => {
    expect(() => new RoutineCache(1000, 48)).to.throw(RangeError);
  });
});
