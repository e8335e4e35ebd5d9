import { expect } from 'chai';
import { describe, it } from 'mocha';
import { hashTuple } from '../../../src/shared/firewall/tupleHash.ts';
import { PacketTuple } from '../../../src/shared/ip/packetTuple.ts';
import { ConntrackInsert, ConntrackTable } from '../../../src/shared/memory/conntrackTable.ts';
import { Random } from '../../support/random.ts';
import { raceTuple } from './conntrackRace.ts';

const ways = 8;

interface Flow {
  readonly number: number;
  readonly peer: number;
  expiry: number;
}

function tableOf(capacity: number, owner: number = 1): ConntrackTable {
  const table = new ConntrackTable(new ArrayBuffer(ConntrackTable.byteLength(capacity)), 0, capacity, owner);
  table.initialize(-77);
  return table;
}

function flow(table: ConntrackTable, number: number): readonly [PacketTuple, number] {
  const tuple = raceTuple(new PacketTuple(), number);
  return [tuple, hashTuple(tuple, table.seed)];
}

/** The same table, said slowly: per bucket a list of live flows. */
class NaiveTable {
  readonly buckets = new Map<number, Flow[]>();

  insert(bucket: number, flow: Flow, now: number): number {
    const live = (this.buckets.get(bucket) ?? []).filter((other) => other.expiry >= now);
    this.buckets.set(bucket, live);
    const same = live.find((other) => other.number === flow.number);
    if (same !== undefined) {
      same.expiry = flow.expiry;
      return ConntrackInsert.Exists;
    }
    live.push(flow);
    if (live.length <= ways) {
      return ConntrackInsert.Added;
    }
    const held = (peer: number): number => live.filter((other) => other.peer === peer).length;
    const most = Math.max(...live.filter((other) => other !== flow).map((other) => held(other.peer)));
    const mayGo = live.filter((other) => other !== flow && held(other.peer) === most);
    const own = mayGo.filter((other) => other.peer === flow.peer);
    const [leaves] = [...(own.length > 0 ? own : mayGo)].sort((a, b) => a.expiry - b.expiry);
    live.splice(live.indexOf(leaves), 1);
    return ConntrackInsert.Evicted;
  }

  holds(bucket: number, number: number, now: number): boolean {
    return (this.buckets.get(bucket) ?? []).some((flow) => flow.number === number && flow.expiry >= now);
  }
}

describe('conntrack shares', () => {
  it('are those of a naive table for random peers, flows and times', () => {
    let evictions = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const random = new Random(seed);
      const table = tableOf(16, random.pick([1, 2, 65_537]));
      const naive = new NaiveTable();
      const peers = Array.from({ length: 1 + random.below(9) }, () => random.below(0x8000));
      for (let step = 0; step < 4000; step++) {
        // Times in steps of 4096, expiries between them: no two alike, so that every choice has one answer.
        const now = (10 + Math.floor(step / 20)) * 4096;
        const number = random.below(120);
        const [tuple, hash] = flow(table, number);
        const bucket = (hash >>> 7) & (table.bucketCount - 1);
        const peer = peers[number % peers.length];
        const expiry = now + random.below(40) * 4096 + step;
        const expected = naive.insert(bucket, { number, peer, expiry }, now);
        evictions += expected === ConntrackInsert.Evicted ? 1 : 0;
        expect(table.insert(tuple, hash, true, 1, 0, now, expiry, peer), `seed ${seed}`).to.equal(expected);
        if (step % 100 === 0) {
          expectSame(table, naive, now);
        }
      }
    }
    expect(evictions).to.be.above(1000);
  });

  it('keep the idle flows of others while one peer floods', () => {
    const table = tableOf(4096);
    const idle = Array.from({ length: 400 }, (_, number) => number);
    for (const number of idle) {
      table.insert(...flow(table, number), true, 1, 0, 10, 20, 7);
    }
    for (let number = 1000; number < 101_000; number++) {
      table.insert(...flow(table, number), true, 1, 0, 10, 1000, 8);
    }
    expect(table.evictionCount).to.be.above(80_000);
    expect(idle.filter((number) => !table.find(...flow(table, number), 10))).to.deep.equal([]);
    // And who comes later finds room as well.
    const late = Array.from({ length: 400 }, (_, number) => 200_000 + number);
    for (const number of late) {
      table.insert(...flow(table, number), true, 1, 0, 10, 15, 9);
    }
    for (let number = 300_000; number < 350_000; number++) {
      table.insert(...flow(table, number), true, 1, 0, 10, 1000, 8);
    }
    expect([...idle, ...late].filter((number) => !table.find(...flow(table, number), 10))).to.deep.equal([]);
  });
});

function expectSame(table: ConntrackTable, naive: NaiveTable, now: number): void {
  for (let number = 0; number < 120; number++) {
    const [tuple, hash] = flow(table, number);
    const bucket = (hash >>> 7) & (table.bucketCount - 1);
    expect(table.find(tuple, hash, now), `flow ${number}`).to.equal(naive.holds(bucket, number, now));
  }
}
