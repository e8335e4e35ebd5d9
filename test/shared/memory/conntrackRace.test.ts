import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LockAudit } from '../../../src/primary/tables/lockAudit.ts';
import { hashTuple } from '../../../src/shared/firewall/tupleHash.ts';
import { PacketTuple } from '../../../src/shared/ip/packetTuple.ts';
import { ConntrackInsert, ConntrackTable } from '../../../src/shared/memory/conntrackTable.ts';
import { createSharedMemory, type SharedMemory } from '../../../src/shared/sys/sharedMemory.ts';
import { Random } from '../../support/random.ts';
import {
  controlBytes,
  type RaceReport,
  type RaceTask,
  raceByteLength,
  raceCapacity,
  raceNow,
  raceTuple,
} from './conntrackRace.ts';

/** A bucket that stays locked is waited for at least this long. */
const WAIT_MS = 100;

const script = fileURLToPath(new URL('./conntrackRace.js', import.meta.url));

async function startChild(memory: SharedMemory): Promise<ChildProcess> {
  const child = fork(script, ['race'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc', memory.fd] });
  await once(child, 'message');
  return child;
}

async function race(memory: SharedMemory, task: Omit<RaceTask, 'process'>): Promise<readonly RaceReport[]> {
  const children = await Promise.all([0, 1, 2].map(() => startChild(memory)));
  const reports = children.map(async (child, process) => {
    const exited = once(child, 'exit');
    child.send({ ...task, process });
    const [report] = (await once(child, 'message')) as [RaceReport];
    await exited;
    return report;
  });
  return Promise.all(reports);
}

async function withTable(run: (memory: SharedMemory, table: ConntrackTable) => Promise<void>): Promise<void> {
  const memory = createSharedMemory('conntrack-race', raceByteLength);
  const table = new ConntrackTable(memory.buffer, controlBytes, raceCapacity, 9);
  table.initialize(4242);
  try {
    await run(memory, table);
  } finally {
    closeSync(memory.fd);
  }
}

function total(reports: readonly RaceReport[], field: Exclude<keyof RaceReport, 'faults'>): number {
  return reports.reduce((sum, report) => sum + report[field], 0);
}

function faultsOf(reports: readonly RaceReport[]): readonly string[] {
  return reports.flatMap((report) => report.faults);
}

describe('conntrack table under three processes', function () {
  this.timeout(60_000);

  it('is exact for each process while the others work in the same buckets and the primary sweeps', () =>
    withTable(async (memory, table) => {
      let from = 0;
      let longestMs = 0;
      const sweeper = setInterval(() => {
        const startMs = performance.now();
        from = table.sweep(raceNow, 2 ** 31 - 1, from, 50);
        longestMs = Math.max(longestMs, performance.now() - startMs);
      }, 1);
      const reports = await race(memory, { task: 'own', operations: 500_000 });
      clearInterval(sweeper);
      expect(faultsOf(reports)).to.deep.equal([]);
      expect(total(reports, 'operations')).to.equal(1_500_000);
      expect(table.evictionCount).to.equal(0);
      const busy = total(reports, 'busy');
      expect(table.busyCount, 'changes given up').to.be.within(busy, busy + total(reports, 'perhapsBusy'));
      if (table.busyCount > 0) {
        // Only the machine can have kept a bucket locked for so long: it stopped a process that had one.
        const stoppedMs = Math.max(longestMs, ...reports.map((report) => report.longestMs));
        expect(stoppedMs, `longest stop; ${table.busyCount} changes given up`).to.be.greaterThan(WAIT_MS / 2);
      }
      expect([1, 2, 3, 9].map((owner) => new LockAudit(table, 9).lookAtAll(owner))).to.deep.equal([0, 0, 0, 0]);
    }));

  it('loses and invents nothing when all work on the same flows', () =>
    withTable(async (memory, table) => {
      const reports = await race(memory, { task: 'shared', operations: 400_000 });
      expect(faultsOf(reports)).to.deep.equal([]);
      // An eviction takes one and adds one.
      expect(table.size()).to.equal(total(reports, 'added') - total(reports, 'removed'));
      expect(table.evictionCount).to.be.above(1000);
      const flows = [...table.flows(raceNow)].map((record) => record.rule);
      const rules = new Set<number>();
      for (const record of table.flows(raceNow)) {
        rules.add(record.rule);
      }
      expect(flows).to.have.length(table.size());
      expect(rules.size).to.equal(table.size());
    }));

  it('shows an addition and a deletion to the next process at once', () =>
    withTable(async (memory) => {
      const reports = await race(memory, { task: 'relay', operations: 3000 });
      expect(faultsOf(reports)).to.deep.equal([]);
      expect(total(reports, 'operations')).to.equal(3000);
    }));

  it('survives processes killed in the middle of a change', () =>
    withTable(async (memory, table) => {
      const random = new Random(3);
      let broken = 0;
      for (let kill = 0; kill < 8; kill++) {
        const child = await startChild(memory);
        child.send({ task: 'victim', process: 1, operations: 0 } satisfies RaceTask);
        await new Promise((resolve) => setTimeout(resolve, 15 + random.below(20)));
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
        broken += new LockAudit(table, 9).lookAtAll(2);
        expectWorking(table);
      }
      expect(broken).to.be.at.most(8);
    }));
});

/** Every row of every bucket can be taken, found and given back. */
function expectWorking(table: ConntrackTable): void {
  const tuple = new PacketTuple();
  const perBucket = new Int32Array(table.bucketCount);
  const flows: number[] = [];
  for (let flow = 1_000_000; flows.length < table.bucketCount * 8; flow++) {
    const bucket = (hashTuple(raceTuple(tuple, flow), table.seed) >>> 7) & (table.bucketCount - 1);
    if (perBucket[bucket] < 8) {
      perBucket[bucket]++;
      flows.push(flow);
    }
  }
  const later = raceNow + 10;
  for (const flow of flows) {
    const hash = hashTuple(raceTuple(tuple, flow), table.seed);
    expect(table.insert(tuple, hash, true, 1, 1, later, later + 5, 1)).to.equal(ConntrackInsert.Added);
  }
  for (const flow of flows) {
    const hash = hashTuple(raceTuple(tuple, flow), table.seed);
    expect(table.find(tuple, hash, later)).to.equal(true);
    expect(table.remove(tuple, hash)).to.equal(true);
  }
  expect(table.size()).to.equal(0);
}
