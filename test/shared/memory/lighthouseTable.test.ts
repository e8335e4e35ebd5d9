import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LighthouseHosts } from '../../../src/primary/lighthouse/hosts.ts';
import { LockAudit } from '../../../src/primary/tables/lockAudit.ts';
import { addressFromBytes, type IpAddress } from '../../../src/shared/ip/address.ts';
import { addressWords } from '../../../src/shared/ip/networkWords.ts';
import { hashOfAddress } from '../../../src/shared/memory/buckets.ts';
import { LighthouseKeys } from '../../../src/shared/memory/lighthouseKeys.ts';
import { LighthouseRead, type LighthouseTable } from '../../../src/shared/memory/lighthouseTable.ts';
import type { WorkerTurns } from '../../../src/shared/memory/workerTurns.ts';
import { LighthouseDecoder } from '../../../src/shared/wire/lighthouseDecoder.ts';
import { LIGHTHOUSE_BYTES_MAX } from '../../../src/shared/wire/lighthouseEncoder.ts';
import {
  addEndpoint,
  endpointsOf,
  LighthouseMessage,
  LighthouseType,
} from '../../../src/shared/wire/lighthouseMessage.ts';
import { ep, ip, texts } from '../../support/addresses.ts';
import { lighthouseTable, workerTurns } from '../../support/memories.ts';
import { Random } from '../../support/random.ts';

const numbered = (index: number): IpAddress => addressFromBytes(Uint8Array.of(10, index >>> 16, index >>> 8, index));

interface Fixture {
  readonly table: LighthouseTable;
  readonly hosts: LighthouseHosts;
  readonly turns: WorkerTurns;
}

function fixture(capacity: number): Fixture {
  const table = lighthouseTable(capacity);
  const turns = workerTurns(2);
  return { table, turns, hosts: new LighthouseHosts(table, turns) };
}

function rowOf(table: LighthouseTable, address: IpAddress): number {
  const [a0, a1, a2, a3] = addressWords([address]);
  return table.lookup(a0, a1, a2, a3);
}

function report(table: LighthouseTable, row: number, endpoints: readonly string[], writer: number = 1): boolean {
  const message = new LighthouseMessage();
  for (const endpoint of endpoints) {
    addEndpoint(message, ep(endpoint));
  }
  return table.writeReported(row, writer, message);
}

describe('shared/memory/lighthouseTable', () => {
  it('knows a host from add to remove, under all its addresses', () => {
    const { table, hosts } = fixture(8);
    const addresses = [ip('10.0.0.1'), ip('fd42::1'), ip('10.1.0.1'), ip('10.2.0.1')];
    expect(hosts.add(addresses, 5, 2)).to.equal(true);
    const row = rowOf(table, addresses[0]);
    expect(addresses.map((address) => rowOf(table, address))).to.deep.equal([row, row, row, row]);
    expect([table.slot(row), table.version(row)]).to.deep.equal([5, 2]);
    hosts.learn(addresses[0], ep('192.0.2.1:1'));
    hosts.learn(addresses[0], ep('192.0.2.1:2'));
    hosts.learn(addresses[0], ep('[2001:db8::1]:3'));
    expect(texts(hosts.find(ip('10.2.0.1'))!.learned)).to.deep.equal(['192.0.2.1:2', '[2001:db8::1]:3']);
    hosts.remove(addresses[0]);
    expect(addresses.map((address) => rowOf(table, address))).to.deep.equal([-1, -1, -1, -1]);
    expect(hosts.find(addresses[0])).to.equal(null);
    expect(hosts.count).to.equal(0);
  });

  it('follows a host whose addresses and tunnel change, and keeps what is known of it', () => {
    const { table, hosts } = fixture(8);
    hosts.add([ip('10.0.0.1'), ip('10.0.0.2')], 1, 1);
    hosts.learn(ip('10.0.0.1'), ep('192.0.2.1:1'));
    report(table, rowOf(table, ip('10.0.0.1')), ['192.0.2.9:9']);
    hosts.add([ip('10.0.0.1'), ip('10.0.0.3')], 2, 2);
    expect(rowOf(table, ip('10.0.0.2'))).to.equal(-1);
    const row = rowOf(table, ip('10.0.0.3'));
    expect([table.slot(row), table.version(row)]).to.deep.equal([2, 2]);
    expect(hosts.find(ip('10.0.0.3'))).to.deep.equal({
      vpnAddresses: [ip('10.0.0.1'), ip('10.0.0.3')],
      learned: [ep('192.0.2.1:1')],
      reported: [ep('192.0.2.9:9')],
      relays: [],
    });
    expect(hosts.count).to.equal(1);
  });

  it('ignores what is said about a host that it does not know', () => {
    const { hosts } = fixture(8);
    hosts.learn(ip('10.0.0.1'), ep('192.0.2.1:1'));
    hosts.remove(ip('10.0.0.1'));
    expect(hosts.list(8)).to.deep.equal([]);
  });

  it('refuses and counts hosts beyond its capacity, and takes them when there is room again', () => {
    const { hosts, turns } = fixture(16);
    for (let index = 0; index < 16; index++) {
      expect(hosts.add([numbered(index)], index, 1)).to.equal(true);
    }
    expect(hosts.add([numbered(99)], 99, 1)).to.equal(false);
    expect(hosts.refusedCount).to.equal(1);
    expect(hosts.find(numbered(99))).to.equal(null);
    expect(hosts.add([numbered(3)], 50, 1)).to.equal(true);
    turns.begin(0);
    hosts.remove(numbered(3));
    // A worker may still hold the row: it must not become another host's under its hands.
    expect(hosts.add([numbered(99)], 99, 1)).to.equal(false);
    turns.end(0);
    expect(hosts.add([numbered(99)], 99, 1)).to.equal(true);
    expect(hosts.find(numbered(99))).to.deep.equal({
      vpnAddresses: [numbered(99)],
      learned: [],
      reported: [],
      relays: [],
    });
  });

  it('does not keep a host that has more keys than fit', () => {
    const { table, hosts } = fixture(1);
    const many = Array.from({ length: 8 }, (_, index) => numbered(index));
    expect(hosts.add(many, 1, 1)).to.equal(true);
    expect(many.every((address) => rowOf(table, address) === 0)).to.equal(true);
    const more = Array.from({ length: 12 }, (_, index) => numbered(index + 100));
    hosts.remove(many[0]);
    expect(hosts.add(more, 1, 1)).to.equal(true);
    // Eight addresses are findable; the certificate's others are not.
    expect(more.map((address) => rowOf(table, address) === 0)).to.deep.equal(more.map((_, index) => index < 8));
    hosts.remove(more[0]);
    expect(more.every((address) => rowOf(table, address) === -1)).to.equal(true);
  });

  it('frees the rows of a dead worker, keeps whole reports and drops half-written ones', () => {
    const { table, hosts } = fixture(4);
    hosts.add([ip('10.0.0.1')], 1, 1);
    hosts.learn(ip('10.0.0.1'), ep('192.0.2.1:1'));
    const row = rowOf(table, ip('10.0.0.1'));
    report(table, row, ['192.0.2.9:9']);
    dieInside(table, row, 2);
    expect(report(table, row, ['192.0.2.8:8'])).to.equal(false);
    const bytes = new Uint8Array(LIGHTHOUSE_BYTES_MAX + 4);
    expect(encode(table, row, ip('10.0.0.1'), bytes)).to.equal(LighthouseRead.Busy);
    const audit = new LockAudit(table, 2);
    expect(audit.lookAtAll(1)).to.equal(0);
    expect(audit.lookAtAll(2)).to.equal(1);
    expect(encode(table, row, ip('10.0.0.1'), bytes)).to.be.greaterThan(0);
    expect(hosts.find(ip('10.0.0.1'))).to.deep.include({ learned: [ep('192.0.2.1:1')], reported: [] });
    expect(report(table, row, ['192.0.2.8:8'])).to.equal(true);
    expect(texts(hosts.find(ip('10.0.0.1'))!.reported)).to.deep.equal(['192.0.2.8:8']);
  });

  it('does not take the row of another host for the one asked for', () => {
    const { table, hosts } = fixture(4);
    hosts.add([ip('10.0.0.1')], 1, 1);
    hosts.learn(ip('10.0.0.1'), ep('192.0.2.1:1'));
    const row = rowOf(table, ip('10.0.0.1'));
    const bytes = new Uint8Array(LIGHTHOUSE_BYTES_MAX + 4);
    expect(encode(table, row, ip('10.0.0.2'), bytes)).to.equal(LighthouseRead.Unknown);
  });

  it('agrees with a Map through random adds, changes and removals, with crowded buckets', () => {
    const random = new Random(11);
    const { table, hosts } = fixture(300);
    const known = new Map<string, readonly IpAddress[]>();
    for (let step = 0; step < 4000; step++) {
      const index = random.below(250);
      const first = numbered(index);
      if (random.below(5) < 3) {
        const extra = Array.from({ length: random.below(5) }, (_, k) =>
          numbered(1000 + index * 8 + k * 2 + random.below(2)),
        );
        if (hosts.add([first, ...extra], step, 1)) {
          known.set(first.text, [first, ...extra]);
        }
      } else {
        hosts.remove(first);
        known.delete(first.text);
      }
      if (step % 200 === 0) {
        const expected = new Map(
          [...known.values()].flatMap((all) => all.map((address) => [address.text, all[0].text])),
        );
        for (let probe = 0; probe < 3100; probe++) {
          const found = hosts.find(numbered(probe))?.vpnAddresses[0].text;
          expect(found, `${numbered(probe).text} at step ${step}`).to.equal(expected.get(numbered(probe).text));
        }
      }
    }
    expect(hosts.refusedCount).to.equal(0);
    expect(known.size).to.equal(hosts.count);
    expect(table.capacity).to.equal(300);
  });

  it('keeps every key of one bucket and its neighbours through removals', () => {
    const keys = new LighthouseKeys(new SharedArrayBuffer(LighthouseKeys.byteLength(8)), 0, 8);
    // Capacity 8 makes 4 buckets; hashes with the same low bits crowd one of them and flow over.
    const hashes = Array.from({ length: 26 }, (_, index) => (index << 24) | (index << 8) | (index < 20 ? 3 : 0));
    const live = new Set<number>();
    const find = (hash: number, row: number): boolean => {
      for (let at = keys.next(hash, keys.home(hash)); at >= 0; at = keys.next(hash, at + 1)) {
        if (keys.row(at) === row) {
          return true;
        }
      }
      return false;
    };
    const random = new Random(3);
    for (let step = 0; step < 4000; step++) {
      const row = random.below(hashes.length);
      if (live.has(row)) {
        keys.remove(hashes[row], row);
        live.delete(row);
      } else {
        expect(keys.insert(hashes[row], row)).to.equal(true);
        live.add(row);
      }
      hashes.forEach((hash, other) => {
        expect(find(hash, other), `row ${other} at step ${step}`).to.equal(live.has(other));
      });
    }
    const full = new LighthouseKeys(new SharedArrayBuffer(LighthouseKeys.byteLength(1)), 0, 1);
    const inserted = Array.from({ length: 20 }, (_, index) => full.insert(index, index));
    expect(inserted.filter(Boolean)).to.have.length(15);
    expect(full.next(0x05000000, full.home(0x05000000))).to.equal(-1);
    full.remove(77, 1);
  });

  it('spreads consecutive addresses over buckets', () => {
    const buckets = new Uint32Array(1024);
    for (let index = 0; index < 4096; index++) {
      const [a0, a1, a2, a3] = addressWords([numbered(index)]);
      buckets[hashOfAddress(a0, a1, a2, a3) & 1023]++;
    }
    expect(Math.max(...buckets)).to.be.lessThan(17);
  });
});

function encode(table: LighthouseTable, row: number, address: IpAddress, bytes: Uint8Array): number {
  const [a0, a1, a2, a3] = addressWords([address]);
  const view = new DataView(bytes.buffer);
  const length = table.encode(row, a0, a1, a2, a3, bytes, view, 0, LighthouseType.HostQueryReply, 2, a0, a1, a2, a3);
  if (length > 0) {
    const message = new LighthouseMessage();
    expect(new LighthouseDecoder().decode(bytes, 0, length, message)).to.equal(0);
    expect(endpointsOf(message).length).to.be.greaterThan(0);
  }
  return length;
}

/** A worker that is killed in the middle of its write: its message's endpoints throw while the row is locked. */
function dieInside(table: LighthouseTable, row: number, writer: number): void {
  const exchange = Atomics.exchange;
  Atomics.exchange = ((array: Int32Array, index: number, value: number): number => {
    exchange(array, index, value);
    throw new Error('killed');
  }) as typeof Atomics.exchange;
  try {
    expect(() => report(table, row, ['192.0.2.7:7'], writer)).to.throw('killed');
  } finally {
    Atomics.exchange = exchange;
  }
}
