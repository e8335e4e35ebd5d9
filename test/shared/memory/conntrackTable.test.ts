import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LockAudit } from '../../../src/primary/tables/lockAudit.ts';
import { hashTuple } from '../../../src/shared/firewall/tupleHash.ts';
import { PacketTuple } from '../../../src/shared/ip/packetTuple.ts';
import { ConntrackInsert, ConntrackTable } from '../../../src/shared/memory/conntrackTable.ts';
import { Random } from '../../support/random.ts';
import { raceTuple } from './conntrackRace.ts';

const headerWords = 16;
const bucketWords = 144;

function tableOf(
  capacity: number,
  owner: number = 1,
): { table: ConntrackTable; words: Int32Array; memory: ArrayBuffer } {
  const memory = new ArrayBuffer(64 + ConntrackTable.byteLength(capacity));
  const table = new ConntrackTable(memory, 64, capacity, owner);
  table.initialize(-77);
  return { table, words: new Int32Array(memory, 64), memory };
}

function flow(table: ConntrackTable, number: number): readonly [PacketTuple, number] {
  const tuple = raceTuple(new PacketTuple(), number);
  return [tuple, hashTuple(tuple, table.seed)];
}

/** As many flows as asked for that share the first bucket. */
function bucketMates(table: ConntrackTable, count: number): (readonly [PacketTuple, number])[] {
  const mates: (readonly [PacketTuple, number])[] = [];
  for (let number = 1; mates.length < count; number++) {
    const candidate = flow(table, number);
    if (((candidate[1] >>> 7) & (table.bucketCount - 1)) === 0) {
      mates.push(candidate);
    }
  }
  return mates;
}

describe('conntrack table', () => {
  it('finds what was inserted until it expires or is removed', () => {
    const { table } = tableOf(64);
    expect(table.seed).to.equal(-77);
    const [tuple, hash] = flow(table, 5);
    expect(table.find(tuple, hash, 10)).to.equal(false);
    expect(table.insert(tuple, hash, true, 7, 3, 10, 40, 1)).to.equal(ConntrackInsert.Added);
    expect(table.find(tuple, hash, 40)).to.equal(true);
    expect(table).to.include({ foundIncoming: true, foundVersion: 7, foundExpiry: 40, foundRule: 3, foundOwner: 1 });
    expect(table.find(tuple, hash, 41)).to.equal(false);
    expect(table.remove(tuple, hash)).to.equal(true);
    expect(table.remove(tuple, hash)).to.equal(false);
    expect(table.find(tuple, hash, 10)).to.equal(false);
  });

  it('tells apart flows that differ in one field, even under the same hash', () => {
    const { table } = tableOf(64);
    const [tuple] = flow(table, 5);
    table.insert(tuple, 1234, true, 1, 0, 10, 40, 1);
    const fields = Object.keys(tuple).filter((key) => key !== 'ipHeaderLength' && key !== 'version');
    expect(fields).to.have.length(12);
    for (const field of fields) {
      const other = Object.assign(new PacketTuple(), tuple) as unknown as Record<string, number | boolean>;
      other[field] = typeof other[field] === 'boolean' ? !other[field] : (other[field] as number) ^ 1;
      expect(table.find(other as unknown as PacketTuple, 1234, 10), field).to.equal(false);
    }
    expect(table.find(tuple, 1234, 10)).to.equal(true);
  });

  it('refreshes, confirms and removes the found flow only while it is the same', () => {
    const { table, memory } = tableOf(64);
    const other = new ConntrackTable(memory, 64, 64, 2);
    const [tuple, hash] = flow(table, 5);
    table.insert(tuple, hash, true, 1, 0, 10, 40, 1);
    expect(table.find(tuple, hash, 10)).to.equal(true);
    table.refreshFound(50);
    expect(other.find(tuple, hash, 50)).to.equal(true);
    other.confirmFound(2, 9);
    // The re-check of the first one failed under older rules: it must not undo the newer verdict.
    table.removeFound();
    expect(table.find(tuple, hash, 50)).to.equal(true);
    expect(table).to.include({ foundIncoming: true, foundVersion: 2, foundRule: 9 });
    other.remove(tuple, hash);
    other.insert(tuple, hash, false, 2, 1, 10, 60, 1);
    table.refreshFound(1000);
    table.confirmFound(3, 3);
    table.removeFound();
    expect(other.find(tuple, hash, 60)).to.equal(true);
    expect(other).to.include({ foundIncoming: false, foundVersion: 2, foundExpiry: 60 });
    other.removeFound();
    expect(table.size()).to.equal(0);
  });

  it('raises the expiry when the flow is there already, and replaces an expired one', () => {
    const { table } = tableOf(64);
    const [tuple, hash] = flow(table, 5);
    table.insert(tuple, hash, true, 1, 0, 10, 40, 1);
    expect(table.insert(tuple, hash, false, 2, 0, 20, 55, 1)).to.equal(ConntrackInsert.Exists);
    expect(table.find(tuple, hash, 20)).to.equal(true);
    expect(table).to.include({ foundIncoming: true, foundVersion: 1, foundExpiry: 55 });
    expect(table.insert(tuple, hash, false, 2, 0, 56, 90, 1)).to.equal(ConntrackInsert.Added);
    expect(table.find(tuple, hash, 56)).to.equal(true);
    expect(table).to.include({ foundIncoming: false, foundVersion: 2 });
    expect(table.size()).to.equal(1);
  });

  it('gives up the flow nearest to its expiry when a bucket is full, expired ones first', () => {
    const { table } = tableOf(64);
    const mates = bucketMates(table, 10);
    for (const [index, [tuple, hash]] of mates.slice(0, 8).entries()) {
      expect(table.insert(tuple, hash, true, 1, 0, 10, 100 + ((index * 5) % 8), 1)).to.equal(ConntrackInsert.Added);
    }
    expect(table.insert(...mates[8], true, 1, 0, 10, 200, 1)).to.equal(ConntrackInsert.Evicted);
    expect(table.find(...mates[0], 10)).to.equal(false);
    expect(table.evictionCount).to.equal(1);
    // 101 is the least now, and at 102 it is over: nothing live is lost.
    expect(table.insert(...mates[9], true, 1, 0, 102, 200, 1)).to.equal(ConntrackInsert.Added);
    expect(table.evictionCount).to.equal(1);
    expect(table.size()).to.equal(8);
  });

  it('holds its capacity of flows with hardly an eviction', () => {
    const capacity = 16_384;
    const { table } = tableOf(capacity);
    for (let number = 1; number <= capacity; number++) {
      table.insert(...flow(table, number), true, 1, 0, 10, 100, 1);
    }
    expect(table.evictionCount).to.be.below(capacity * 0.015);
    expect(table.size()).to.equal(capacity - table.evictionCount);
  });

  it('sweeps expired flows in bounded steps', () => {
    const { table } = tableOf(256);
    for (let number = 1; number <= 100; number++) {
      table.insert(...flow(table, number), true, 1, 0, 10, number <= 60 ? 20 : 50, 1);
    }
    const before = table.size();
    let steps = 0;
    let from = 0;
    do {
      from = table.sweep(21, 100, from, 7);
      steps++;
    } while (from !== 0);
    expect(steps).to.equal(Math.ceil(table.bucketCount / 7));
    expect(before - table.size()).to.equal(60);
    expect([...table.flows(21)]).to.have.length(40);
    table.sweep(51, 100, 0, table.bucketCount);
    expect(table.size()).to.equal(0);
  });

  it('reads flows back as they were inserted', () => {
    const { table } = tableOf(64);
    for (const number of [6, 7, 14]) {
      table.insert(...flow(table, number), number === 7, number, number + 1, 10, 20 + number, 1);
    }
    const seen = new Map<number, Record<string, unknown>>();
    for (const record of table.flows(10)) {
      seen.set(record.rulesVersion, { ...record, tuple: { ...record.tuple } });
    }
    expect(seen.size).to.equal(3);
    for (const number of [6, 7, 14]) {
      const tuple = { ...flow(table, number)[0] };
      expect(seen.get(number)).to.deep.equal({
        tuple,
        expirySeconds: 20 + number,
        incoming: number === 7,
        rulesVersion: number,
        rule: number + 1,
        owner: 1,
      });
    }
  });

  it('does not wait for ever for a dead owner, whose lock the primary breaks', () => {
    const { table, words, memory } = tableOf(64);
    for (let bucket = 0; bucket < table.bucketCount; bucket++) {
      words[headerWords + bucket * bucketWords] = 2;
    }
    const [tuple, hash] = flow(table, 5);
    expect(table.insert(tuple, hash, true, 1, 0, 10, 40, 1)).to.equal(ConntrackInsert.Busy);
    expect(table.remove(tuple, hash)).to.equal(false);
    expect(table.busyCount).to.equal(2);
    const successor = new ConntrackTable(memory, 64, 64, 2);
    expect(successor.insert(tuple, hash, true, 1, 0, 10, 40, 1)).to.equal(ConntrackInsert.Added);
    expect(table.find(tuple, hash, 10)).to.equal(true);
    const audit = new LockAudit(table, 3);
    expect(audit.lookAtAll(2)).to.equal(table.bucketCount - 1);
    expect(audit.lookAtAll(2)).to.equal(0);
    expect(table.insert(...flow(table, 6), true, 1, 0, 10, 40, 1)).to.equal(ConntrackInsert.Added);
  });

  it('takes a row whose writing was cut short as empty', () => {
    const { table, words } = tableOf(4);
    expect(table.bucketCount).to.equal(1);
    const [tuple, hash] = flow(table, 5);
    table.insert(tuple, hash, true, 1, 0, 10, 40, 1);
    const tag = words.subarray(headerWords + 8, headerWords + 16).indexOf(hash);
    const row = headerWords + 16 + tag * 16;
    words[headerWords + 8 + tag] = 0;
    words[row]++;
    expect(words[row] & 1).to.equal(1);
    expect(table.find(tuple, hash, 10)).to.equal(false);
    expect([...table.flows(10)]).to.deep.equal([]);
    expect(table.insert(tuple, hash, false, 1, 0, 10, 40, 1)).to.equal(ConntrackInsert.Added);
    expect(words[row] & 1).to.equal(0);
    expect(table.find(tuple, hash, 10)).to.equal(true);
  });

  it('spreads flows that differ in a port or a last byte evenly, whatever the seed', () => {
    const random = new Random(1);
    for (let round = 0; round < 6; round++) {
      const seed = random.u32() | 0;
      const counts = new Int32Array(1024);
      const tuple = new PacketTuple();
      tuple.version = round % 2 === 0 ? 4 : 6;
      for (let number = 0; number < 8192; number++) {
        tuple.localPort = round < 2 ? number : 443;
        tuple.remotePort = round < 2 ? 443 : round < 4 ? number : 9;
        tuple.remote3 = round < 4 ? 1 : number;
        counts[(hashTuple(tuple, seed) >>> 7) & 1023]++;
      }
      // Poisson with a mean of 8: beyond 26 in one of 1024 is a chance of about one in ten thousand.
      expect(Math.max(...counts), `seed ${seed}`).to.be.below(27);
      expect(counts.filter((count) => count === 0).length).to.be.below(8);
    }
  });

  it('refuses an owner that could be taken for no lock', () => {
    expect(() => new ConntrackTable(new ArrayBuffer(ConntrackTable.byteLength(4)), 0, 4, 0)).to.throw(RangeError);
  });
});
