import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LighthouseHosts } from '../../../src/primary/lighthouse/hosts.ts';
import { ep, ip } from '../../support/addresses.ts';
import { lighthouseMemory, lighthouseTable, turnsMemory, workerTurns } from '../../support/memories.ts';
import { Random } from '../../support/random.ts';
import type { RaceCommand, RaceResult } from './lighthouseRace.worker.ts';

const WORKERS = 3;
const CAPACITY = 64;
const RACE_MS = 2500;
/** The race goes on until each worker has read and written more than this, and the primary has done more steps. */
const READS = 1000;
const WRITES = 500;
const STEPS = 1000;

describe('shared/memory/lighthouseTable under three workers', function () {
  this.timeout(60_000);

  it('gives readers whole records while others write, from several threads at once', async () => {
    const memory = lighthouseMemory(CAPACITY);
    const turns = turnsMemory(WORKERS);
    const table = lighthouseTable(CAPACITY, memory);
    const hosts = new LighthouseHosts(table, workerTurns(WORKERS, turns));
    const stop = new Int32Array(new SharedArrayBuffer(4));
    for (let index = 0; index < 8; index++) {
      hosts.add([host(index), host(index + 100)], index, 2);
      learnMark(hosts, index, index);
    }
    const progress = [0, 1, 2].map(() => new Int32Array(new SharedArrayBuffer(8)));
    const workers = progress.map((counts, worker) =>
      race({ memory, turnsMemory: turns, capacity: CAPACITY, worker, stop, seed: worker + 1, progress: counts }),
    );
    let hasEnded = false;
    const end = (): void => {
      hasEnded = true;
    };
    // A worker ends by itself when it has found faults.
    Promise.race(workers).then(end, end);
    const random = new Random(99);
    const endMs = performance.now() + RACE_MS;
    let steps = 0;
    while (!hasEnded && (performance.now() < endMs || steps <= STEPS || !progress.every(isEnough))) {
      // The primary: hosts 0 to 3 stay, 4 to 7 come and go; all of them move about.
      for (let burst = 0; burst < 200; burst++) {
        const index = random.below(8);
        if (index >= 4 && random.bool()) {
          hosts.remove(host(index));
          hosts.add([host(index), host(index + 100)], index, 2);
        }
        learnMark(hosts, index, random.u32());
        steps++;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    Atomics.store(stop, 0, 1);
    const results = await Promise.all(workers);
    expect(results.flatMap((result) => result.faults)).to.deep.equal([]);
    expect(steps).to.be.greaterThan(STEPS);
    for (const result of results) {
      expect(result.reads).to.be.greaterThan(READS);
      expect(result.writes).to.be.greaterThan(WRITES);
      expect(result.missed).to.equal(0);
    }
  });
});

function isEnough(progress: Int32Array): boolean {
  return Atomics.load(progress, 0) > READS && Atomics.load(progress, 1) > WRITES;
}

function host(index: number): ReturnType<typeof ip> {
  return ip(`10.0.0.${index}`);
}

/** Writes both learned endpoints of a host so that each half can be recognised. */
function learnMark(hosts: LighthouseHosts, index: number, mark: number): void {
  const port = 1 + (mark & 0x7fff);
  hosts.learn(host(index), ep(`100.${index}.${port >>> 8}.${port & 255}:${port}`));
}

function race(command: RaceCommand): Promise<RaceResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./lighthouseRace.worker.js', import.meta.url), { workerData: command });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}
