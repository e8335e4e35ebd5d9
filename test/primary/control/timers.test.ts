import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Timers } from '../../../src/primary/control/timers.ts';
import { Random } from '../../support/random.ts';

function takeAll(timers: Timers<string>, nowMs: number): string[] {
  const jobs: string[] = [];
  for (let job = timers.takeDue(nowMs); job !== null; job = timers.takeDue(nowMs)) {
    jobs.push(job);
  }
  return jobs;
}

describe('timers', () => {
  it('gives jobs in the order of their times, and of scheduling where times are equal', () => {
    const timers = new Timers<string>();
    timers.schedule(30, 'c');
    timers.schedule(10, 'a');
    timers.schedule(20, 'b1');
    timers.schedule(20, 'b2');
    expect(timers.nextMs).to.equal(10);
    expect(takeAll(timers, 9)).to.deep.equal([]);
    expect(takeAll(timers, 20)).to.deep.equal(['a', 'b1', 'b2']);
    expect(timers.nextMs).to.equal(30);
    expect(takeAll(timers, 1000)).to.deep.equal(['c']);
    expect(timers.nextMs).to.equal(null);
    expect(timers.size).to.equal(0);
  });

  it('forgets cancelled jobs, and ignores ids that are done', () => {
    const timers = new Timers<string>();
    const a = timers.schedule(1, 'a');
    const b = timers.schedule(2, 'b');
    timers.cancel(a);
    expect(timers.nextMs).to.equal(2);
    expect(takeAll(timers, 5)).to.deep.equal(['b']);
    timers.cancel(b);
    timers.cancel(0);
    expect(timers.size).to.equal(0);
  });

  it('agrees with a sorted list under random use, and does not keep what was cancelled', () => {
    const random = new Random(3);
    const timers = new Timers<string>();
    let expected: { id: number; atMs: number; job: string }[] = [];
    let nowMs = 0;
    for (let round = 0; round < 20_000; round++) {
      const choice = random.below(10);
      if (choice < 5) {
        const atMs = nowMs + random.below(100);
        const id = timers.schedule(atMs, `job ${round}`);
        expected.push({ id, atMs, job: `job ${round}` });
      } else if (choice < 9 && expected.length > 0) {
        const { id } = random.pick(expected);
        timers.cancel(id);
        expected = expected.filter((entry) => entry.id !== id);
      } else {
        nowMs += random.below(20);
        expected.sort((a, b) => a.atMs - b.atMs || a.id - b.id);
        const due = expected.filter((entry) => entry.atMs <= nowMs);
        expected = expected.filter((entry) => entry.atMs > nowMs);
        expect(takeAll(timers, nowMs)).to.deep.equal(due.map((entry) => entry.job));
      }
      expect(timers.size).to.equal(expected.length);
    }
    const next = expected.length === 0 ? null : Math.min(...expected.map((entry) => entry.atMs));
    expect(timers.nextMs).to.equal(next);
  });
});
