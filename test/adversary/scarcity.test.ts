/**
 * A machine that has no more of something: descriptors, processes, memory. A node that has once been ready never gives
 * up; its worker comes back when there is enough again, and until then the others carry their flows.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { Pair, RIGHT } from '../support/pair.ts';
import { untilReachable } from '../support/traffic.ts';
import { misbehaviour } from './misbehaviour.ts';
import { PidsGroup } from './pidsGroup.ts';
import { isLong } from './scale.ts';

const ROUTINES = 2;
/** Between two starts that fail, with room. */
const BACKOFF_MS_MAX = 8_000;

describe('a machine that is short of something', function () {
  this.timeout(400_000);
  let pair: Pair;

  before(function () {
    requireLab(this, 'nebula-cert', 'ping', 'prlimit');
  });
  afterEach(() => {
    pair.close();
  });

  async function startPair(env: NodeJS.ProcessEnv = {}): Promise<void> {
    pair = new Pair({ left: { routines: ROUTINES, env }, right: { routines: ROUTINES } });
    await pair.start();
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
  }

  /** Kills a worker while `limit` holds, sees that it cannot start, lifts the limit, and waits until it is back. */
  async function expectReturn(name: RegExp, limit: () => void, lift: () => void): Promise<void> {
    const { left } = pair;
    const tries = isLong ? 20 : 6;
    const from = left.lines.length;
    const failures = (): string[] => left.lines.slice(from).filter((line) => name.test(line));
    const [victim, other] = left.workerPids();
    const descriptors = descriptorCount(left.program.pid);
    limit();
    try {
      process.kill(victim, 'SIGKILL');
      await until('the starts to fail', () => failures().length >= tries, tries * BACKOFF_MS_MAX);
      expect(left.program.status, 'the node').to.equal(null);
      expect(left.workerPids()).to.deep.equal([other]);
    } finally {
      lift();
    }
    await until('the worker to come back', () => left.workerPids().length === ROUTINES, 30_000);
    await untilReachable(pair.lab, left.namespace, RIGHT);
    expect(left.workerPids()).to.include(other);
    expect(descriptorCount(left.program.pid), 'descriptors of the primary').to.equal(descriptors);
  }

  it('of descriptors: the worker comes back when there are some', async () => {
    await startPair();
    const { pid } = pair.left.program;
    const setLimit = (soft: number): void => {
      execFileSync('prlimit', [`--pid=${pid}`, `--nofile=${soft}:`]);
    };
    await expectReturn(
      /EMFILE/,
      () => setLimit(4),
      () => setLimit(1024),
    );
  });

  it('of memory: a worker goes before its primary, and one whose heap runs away ends by itself', async () => {
    await startPair(misbehaviour('heap'));
    const { left } = pair;
    const [victim, other] = left.workerPids();
    const scores = [left.program.pid, victim, other].map(oomScore);
    expect(scores[1]).to.be.greaterThan(scores[0]);
    expect(scores[2]).to.be.greaterThan(scores[0]);
    const from = left.lines.length;
    process.kill(victim, 'SIGUSR2');
    await left.program.waitForLine(/Worker died.*signal SIG(ABRT|TRAP|ILL)/, 60_000, from);
    await until('the worker to come back', () => left.workerPids().length === ROUTINES);
    await untilReachable(pair.lab, left.namespace, RIGHT);
    expect(left.workerPids()).to.include(other);
  });

  it('of processes: the worker comes back when there may be some', async function () {
    await startPair();
    const group = new PidsGroup();
    if (group.obstacle !== null) {
      this.skip();
    }
    try {
      group.take(pair.left.allPids());
      await expectReturn(
        /EAGAIN/,
        () => group.limit(1),
        () => group.limit('max'),
      );
    } finally {
      await pair.left.stop();
      group.close();
    }
  });
});

function descriptorCount(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function oomScore(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'latin1'));
}
