import { expect } from 'chai';
import { describe, it } from 'mocha';
import { HostTable } from '../../../src/shared/memory/hostTable.ts';
import { IndexTable } from '../../../src/shared/memory/indexTable.ts';
import { initializeShared, openShared } from '../../../src/shared/memory/layout.ts';
import type { TunnelRow } from '../../../src/shared/memory/tunnelTable.ts';
import { reserve } from '../../support/counters.ts';
import { privateMemories, tunnelTable, workerTurns } from '../../support/memories.ts';
import { Random } from '../../support/random.ts';

describe('index table', () => {
  it('agrees with a Map over random inserts and removals', () => {
    const table = new IndexTable(new ArrayBuffer(IndexTable.byteLength(500)), 0, 500);
    const reference = new Map<number, number>();
    const random = new Random(3);
    for (let step = 0; step < 40000; step++) {
      if (reference.size < 500 && random.bool()) {
        const index = random.u32();
        const slot = random.below(500);
        if (random.bool() ? table.announce(index) && table.insert(index, slot) : table.insert(index, slot)) {
          expect(reference.has(index)).to.equal(false);
          reference.set(index, slot);
        }
      } else if (reference.size > 0) {
        const index = random.pick([...reference.keys()].slice(0, 20));
        table.remove(index);
        reference.delete(index);
        expect(table.lookup(index)).to.equal(-1);
      }
    }
    for (const [index, slot] of reference) {
      expect(table.lookup(index)).to.equal(slot);
      expect([table.announce(index), table.insert(index, 1), table.isAnnounced(index)]).to.deep.equal([
        false,
        false,
        false,
      ]);
    }
    expect(reference.size).to.be.greaterThan(100);
  });

  it('knows an announced index, which is no tunnel yet', () => {
    const table = new IndexTable(new ArrayBuffer(IndexTable.byteLength(4)), 0, 4);
    expect(table.announce(7)).to.equal(true);
    expect([table.isAnnounced(7), table.lookup(7), table.announce(7)]).to.deep.equal([true, -1, false]);
    expect([table.insert(7, 3), table.isAnnounced(7), table.lookup(7)]).to.deep.equal([true, false, 3]);
    table.withdraw(7);
    expect(table.lookup(7), 'it has a tunnel').to.equal(3);
    table.remove(7);
    expect(table.announce(7)).to.equal(true);
    table.withdraw(7);
    expect([table.isAnnounced(7), table.announce(7)]).to.deep.equal([false, true]);
  });

  it('refuses indexes whose bucket is full', () => {
    const table = new IndexTable(new ArrayBuffer(IndexTable.byteLength(4)), 0, 4);
    const accepted = Array.from({ length: 1000 }, (_, index) => table.announce(index + 1)).filter((is) => is).length;
    expect(accepted).to.be.within(16, 64);
  });

  it('never chooses index 0', () => {
    const table = new IndexTable(new ArrayBuffer(IndexTable.byteLength(4)), 0, 4);
    expect([table.announce(0), table.insert(0, 1)]).to.deep.equal([false, false]);
    expect([table.lookup(0), table.isAnnounced(0)]).to.deep.equal([-1, false]);
  });
});

describe('host table', () => {
  it('agrees with a Map, also when buckets overflow', () => {
    const capacity = 64;
    const table = new HostTable(new ArrayBuffer(HostTable.byteLength(capacity)), 0, capacity);
    const reference = new Map<string, number>();
    const random = new Random(5);
    const key = (text: string): [number, number, number, number] => {
      const parts = text.split(',').map(Number);
      return [parts[0], parts[1], parts[2], parts[3]];
    };
    for (let step = 0; step < 30000; step++) {
      const text = `0,0,65535,${random.below(400)}`;
      if (random.bool() && reference.size < 200) {
        const slot = random.below(1000);
        expect(table.set(...key(text), slot)).to.equal(true);
        reference.set(text, slot);
      } else {
        table.remove(...key(text));
        reference.delete(text);
      }
      const probe = `0,0,65535,${random.below(400)}`;
      expect(table.lookup(...key(probe))).to.equal(reference.get(probe) ?? -1);
    }
    expect(reference.size).to.be.greaterThan(100);
  });
});

describe('tunnel table', () => {
  const row: TunnelRow = {
    localIndex: 0xfedcba98,
    remoteIndex: 0x89abcdef,
    cipher: 1,
    sendKey: new Uint8Array(32).fill(1),
    receiveKey: new Uint8Array(32).fill(2),
    certificate: Uint8Array.of(9, 8, 7),
    certificateVersion: 2,
    ordinal: 77,
    lastCounter: 2,
  };

  it('gives back what was written and wipes keys on removal', () => {
    const { table, rows } = tunnelTable(4);
    expect(table.isLive(2)).to.equal(false);
    table.write(2, 2, row);
    expect(table.isLive(2)).to.equal(true);
    expect(table.localIndex(2)).to.equal(row.localIndex);
    expect(table.remoteIndex(2)).to.equal(row.remoteIndex);
    expect(table.cipher(2)).to.equal(1);
    expect(table.ordinal(2)).to.equal(77);
    expect(table.copySendKey(2)).to.deep.equal(row.sendKey);
    expect(table.copyReceiveKey(2)).to.deep.equal(row.receiveKey);
    expect(table.copyCertificate(2)).to.deep.equal(row.certificate);
    expect(table.certificateVersion(2)).to.equal(2);
    expect(reserve(table.cells, table.counterCell(2), 1)).to.equal(3);
    expect(table.generation(2)).to.equal(2);
    table.clear(2, 2);
    expect(table.isLive(2)).to.equal(false);
    expect(new Uint8Array(rows).includes(1, 2 * 48 * 4 + 32)).to.equal(false);
    table.write(2, 4, row);
    expect(table.generation(2)).to.equal(4);
    expect(reserve(table.cells, table.counterCell(2), 1)).to.equal(3);
  });

  it('keeps endpoint and traffic marks apart from neighbours', () => {
    const { table } = tunnelTable(3);
    table.write(1, 2, row);
    expect(table.endpointPort(1)).to.equal(0);
    const before = table.endpointGeneration(1);
    table.writeEndpoint(1, new Uint8Array(16).fill(3), 4242, new Uint8Array(16).fill(5));
    const local = new Uint8Array(16);
    table.copyLocalAddress(1, local, 0);
    expect(local).to.deep.equal(new Uint8Array(16).fill(5));
    expect(table.endpointGeneration(1)).to.equal(before + 2);
    const copy = new Uint8Array(20);
    table.copyEndpointAddress(1, copy, 2);
    expect([...copy.subarray(0, 3), table.endpointPort(1)]).to.deep.equal([0, 0, 3, 4242]);
    table.markIn(1);
    expect(table.takeTraffic(1)).to.equal(1);
    table.markOut(1);
    table.markIn(1);
    expect([table.takeTraffic(1), table.takeTraffic(1), table.takeTraffic(0), table.takeTraffic(2)]).to.deep.equal([
      3, 0, 0, 0,
    ]);
  });
});

describe('worker turns', () => {
  it('lets a slot be reused once every busy worker has moved on', () => {
    const turns = workerTurns(3);
    turns.begin(1);
    const snapshot = turns.snapshot();
    expect(turns.hasPassed(snapshot)).to.equal(false);
    turns.begin(0);
    expect(turns.hasPassed(snapshot)).to.equal(false);
    turns.end(1);
    expect(turns.hasPassed(snapshot)).to.equal(true);
    turns.begin(1);
    expect(turns.hasPassed(snapshot)).to.equal(true);
  });

  it('a dead worker holds nothing once the primary says so', () => {
    const turns = workerTurns(1);
    turns.begin(0);
    const snapshot = turns.snapshot();
    turns.abandon(0);
    expect(turns.hasPassed(snapshot)).to.equal(true);
  });
});

describe('layout', () => {
  it('opens what another process initialized, and refuses anything else', () => {
    const capacities = { workers: 2, tunnels: 8, flows: 64, lighthouseHosts: 8 };
    const memories = privateMemories(capacities);
    expect(() => openShared(memories, 0)).to.throw('layout version');
    const tables = initializeShared(memories, capacities);
    const other = openShared(memories, 1);
    expect(other.capacities).to.deep.equal(capacities);
    tables.indexes.insert(0xabc, 5);
    expect(other.indexes.lookup(0xabc)).to.equal(5);
    tables.metrics.column(2)[3] = 4;
    expect(other.metrics.column(2)[3]).to.equal(4);
  });
});
