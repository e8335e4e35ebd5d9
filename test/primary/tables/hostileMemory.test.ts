import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FirewallInspection } from '../../../src/primary/inspection/firewall.ts';
import { metricList } from '../../../src/primary/inspection/metrics.ts';
import { hostList } from '../../../src/primary/inspection/status.ts';
import { LockAudit } from '../../../src/primary/tables/lockAudit.ts';
import { counterWords, reserveCounters, SEND_COUNTER_MAX } from '../../../src/shared/memory/sendCounter.ts';
import { ep, ip } from '../../support/addresses.ts';
import { Random } from '../../support/random.ts';
import { InspectedNode } from '../inspectedNode.ts';

/** What a hostile worker leaves in the memory that it can write, word by word. */
const GARBAGE: Readonly<Record<string, (random: Random, index: number) => number>> = {
  zeros: () => 0,
  ones: () => -1,
  'ones, but even': () => -2,
  'the largest number': () => 0x7fffffff,
  'the smallest number': () => -0x80000000,
  'small odd numbers': (_, index) => (index & 0xff) | 1,
  'its own number': () => 1,
  'numbers of other processes': (_, index) => index % 4,
  noise: (random) => random.u32(),
  'noise among zeros': (random) => (random.below(4) === 0 ? random.u32() : 0),
};

function fill(buffer: ArrayBufferLike, word: (random: Random, index: number) => number, seed: number): void {
  const words = new Int32Array(buffer);
  const random = new Random(seed);
  for (let index = 0; index < words.length; index++) {
    words[index] = word(random, index);
  }
}

function lighthouseNode(): InspectedNode {
  return new InspectedNode({ lighthouse: { am_lighthouse: true }, listen: { port: 4242 } });
}

describe('the primary over memory that a hostile worker has written', () => {
  for (const [name, word] of Object.entries(GARBAGE)) {
    it(`answers, goes on and knows what it knew: ${name}`, () => {
      for (let seed = 1; seed <= 5; seed++) {
        const node = lighthouseNode();
        const { tables } = node;
        const tunnel = node.connect({ name: 'peer', networks: ['10.0.0.2/24'] }, '192.0.2.2:4242', 7);
        const hosts = node.lighthouse!;
        expect(hosts.add([ip('10.0.0.2')], tunnel.slot, 1)).to.equal(true);
        hosts.learn(ip('10.0.0.2'), ep('192.0.2.2:4242'));
        for (const buffer of [node.memories.common, ...node.memories.own]) {
          fill(buffer, word, seed);
        }

        // What it knows is what it knew.
        expect(node.rows.generation(tunnel.slot)).to.equal(tunnel.generation);
        expect(tables.tunnels.generation(tunnel.slot)).to.equal(tunnel.generation);
        expect(tables.indexes.lookup(7)).to.equal(tunnel.slot);
        expect(hosts.find(ip('10.0.0.2'))?.learned.map(({ text }) => text)).to.deep.equal(['192.0.2.2:4242']);

        // What it answers is JSON with numbers where numbers belong.
        const firewall = new FirewallInspection(node);
        const { counters } = metricList(node, firewall);
        const numbers = counters.flatMap(({ total, primary, workers }) => [total, primary, ...workers]);
        expect(numbers.every((number) => Number.isFinite(number) && number >= 0)).to.equal(true);
        expect(JSON.parse(JSON.stringify(hostList(node))).hosts[0].sentCounter).to.be.within(0, SEND_COUNTER_MAX);
        const rules = firewall.rules();
        expect(rules.rules.every(({ hits }) => hits >= 0)).to.equal(true);
        firewall.flows({ protocols: null, network: null, port: null, direction: null, limit: 1000 });
        JSON.stringify(hosts.list(100));

        // It goes on: new tunnels, hosts, sweeps.
        expect(node.rows.takeTraffic(tunnel.slot)).to.be.within(0, 3);
        expect(node.rows.sendCount(tunnel.slot)).to.be.within(0, SEND_COUNTER_MAX);
        reserveCounters(tables.tunnels.cells, tables.tunnels.counterCell(tunnel.slot), 1, counterWords());
        const next = node.connect({ name: 'next', networks: ['10.0.0.3/24'] }, '192.0.2.3:4242', 8);
        expect(next.slot).not.to.equal(tunnel.slot);
        expect(node.rows.sendCount(next.slot)).to.equal(2);
        node.rows.remove(tunnel.slot);
        expect([node.rows.isLive(tunnel.slot, tunnel.generation), tables.indexes.lookup(7)]).to.deep.equal([false, -1]);
        hosts.remove(ip('10.0.0.2'));
        expect(hosts.find(ip('10.0.0.2'))).to.equal(null);
        expect(hosts.add([ip('10.0.0.3')], next.slot, 1)).to.equal(true);
        for (const table of [tables.conntrack, tables.lighthouse]) {
          const audit = new LockAudit(table, 3);
          audit.lookAtAll(0);
          audit.lookAtAll(0);
          for (let lock = 0; lock < table.lockCount; lock++) {
            expect(table.lockHolder(lock)).to.equal(0);
          }
        }
        expect(tables.conntrack.sweep(1000, 2000, 0, tables.conntrack.bucketCount)).to.equal(0);
        node.addFlow({
          local: '10.0.0.1',
          remote: '10.0.0.3',
          protocol: 6,
          remotePort: 1,
          localPort: 2,
          incoming: true,
          rule: 0,
        });
        expect(
          firewall.flows({ protocols: [6, 17], network: null, port: 2, direction: null, limit: 9 }).count,
        ).to.equal(1);
      }
    });
  }

  it('takes numbers for tunnels from nobody', () => {
    const node = lighthouseNode();
    const tunnel = node.connect({ name: 'peer', networks: ['10.0.0.2/24'] }, '192.0.2.2:4242', 7);
    for (const slot of [1e9, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(node.rows.isLive(slot, tunnel.generation)).to.equal(false);
      node.rows.remove(slot);
    }
    for (const generation of [0, 1, -2, tunnel.generation + 2, Number.NaN]) {
      expect(node.rows.isLive(tunnel.slot, generation)).to.equal(false);
    }
    expect(node.rows.isLive(tunnel.slot, tunnel.generation)).to.equal(true);
  });

  it('gives up a send counter that changes all the time', () => {
    const { tables } = lighthouseNode();
    const { cells } = tables.tunnels;
    const cell = tables.tunnels.counterCell(0);
    const load = Atomics.load;
    let calls = 0;
    Atomics.load = ((words: Int32Array, index: number): number => {
      calls++;
      if (index === cell + 1) {
        cells[index] = (cells[index] + 1) & 0xff;
      }
      return load(words, index);
    }) as typeof Atomics.load;
    try {
      expect(reserveCounters(cells, cell, 1, counterWords())).to.equal(false);
    } finally {
      Atomics.load = load;
    }
    expect(calls).to.be.below(1000);
  });

  it('breaks a lock in the name of a live worker only when it is met twice', () => {
    const { tables } = lighthouseNode();
    const { lighthouse } = tables;
    const holders = [1, 2, 9, -5, 0].map((holder, row) => ({ holder, row }));
    let broken: number[] = [];
    const audit = new LockAudit(
      {
        lockCount: holders.length,
        lockHolder: (lock) => holders[lock].holder,
        breakLock: (lock) => {
          broken.push(holders[lock].holder);
          return true;
        },
      },
      3,
    );
    expect(audit.lookAtAll(2)).to.equal(3);
    expect(broken).to.deep.equal([2, 9, -5]);
    broken = [];
    holders[0].holder = 3;
    expect(audit.look(0, 1, 0)).to.equal(0);
    expect(audit.look(0, 1, 0)).to.equal(1);
    expect(broken).to.deep.equal([3]);
    expect(lighthouse.breakLock(0, 2), 'held by nobody').to.equal(false);
  });
});
