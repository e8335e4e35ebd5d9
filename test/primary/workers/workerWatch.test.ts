import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  LOOK_MS,
  SILENT_MS_MAX,
  START_MS_MAX,
  type WorkerSight,
  WorkerWatch,
} from '../../../src/primary/workers/workerWatch.ts';

interface Fake {
  pid: number;
  isReady: boolean;
  turn: number;
  /** Added to the turn at every look. */
  step: number;
}

/** A watch on a fake clock over workers that a test changes. */
class Watched {
  readonly workers: Fake[];
  readonly #watch: WorkerWatch;
  nowMs = 1_000_000;

  constructor(count: number) {
    this.workers = Array.from({ length: count }, (_, n) => ({ pid: 100 + n, isReady: true, turn: 2, step: 2 }));
    this.#watch = new WorkerWatch(count);
  }

  look(afterMs: number = LOOK_MS): string[] {
    this.nowMs += afterMs;
    for (const worker of this.workers) {
      worker.turn = (worker.turn + worker.step) | 0;
    }
    const sights: WorkerSight[] = this.workers.map(({ pid, isReady, turn }) => ({ pid, isReady, turn }));
    return this.#watch.observe(this.nowMs, sights).map(({ worker, pid, silentMs }) => `${worker} ${pid} ${silentMs}`);
  }

  looks(count: number, afterMs: number = LOOK_MS): string[] {
    return Array.from({ length: count }, () => this.look(afterMs)).flat();
  }
}

describe('the watch over workers', () => {
  it('leaves a worker alone that beats, for as long as it likes', () => {
    expect(new Watched(3).looks(10_000)).to.deep.equal([]);
  });

  it('names a worker that makes no turn for two seconds, once, and no other', () => {
    const watched = new Watched(3);
    watched.looks(10);
    watched.workers[1].step = 0;
    expect(watched.looks(SILENT_MS_MAX / LOOK_MS - 1)).to.deep.equal([]);
    expect(watched.look()).to.deep.equal(['1 101 2000']);
    expect(watched.looks(100)).to.deep.equal([]);
  });

  it('begins anew with the process that takes the place, and judges that one as well', () => {
    const watched = new Watched(1);
    watched.workers[0].step = 0;
    expect(watched.looks(20)).to.have.length(1);
    watched.workers[0] = { pid: 0, isReady: false, turn: 4, step: 0 };
    expect(watched.looks(1000)).to.deep.equal([]);
    watched.workers[0] = { pid: 200, isReady: true, turn: 4, step: 0 };
    expect(watched.looks(4)).to.deep.equal([]);
    expect(watched.look()).to.deep.equal(['0 200 2000']);
  });

  it('gives a worker that is stopped and continued its time again', () => {
    const watched = new Watched(1);
    for (let round = 0; round < 50; round++) {
      watched.workers[0].step = 0;
      expect(watched.looks(3)).to.deep.equal([]);
      watched.workers[0].step = 2;
      expect(watched.look()).to.deep.equal([]);
    }
  });

  it('waits longer for one that starts, and not for ever', () => {
    const watched = new Watched(1);
    watched.workers[0] = { pid: 100, isReady: false, turn: 0, step: 0 };
    expect(watched.looks(START_MS_MAX / LOOK_MS)).to.deep.equal([]);
    expect(watched.look()).to.deep.equal(['0 100 30000']);
  });

  for (const [what, gapMs] of [
    ['a stall of the primary', 10_000],
    ['a night of the whole machine', 12 * 3_600_000],
  ] as const) {
    it(`does not count ${what} against a worker`, () => {
      const watched = new Watched(2);
      watched.looks(3);
      watched.workers[0].step = 0;
      watched.workers[1].step = 0;
      expect(watched.look(gapMs)).to.deep.equal([]);
      expect(watched.looks(2)).to.deep.equal([]);
      watched.workers[0].step = 2;
      expect(watched.looks(10)).to.deep.equal(['1 101 2000']);
    });
  }

  it('finds a hanging worker also when the primary is always late', () => {
    const watched = new Watched(1);
    watched.workers[0].step = 0;
    expect(watched.looks(10, 5 * LOOK_MS)).to.have.length(1);
  });

  it('takes any number for a turn: a faked one saves only who fakes it', () => {
    const watched = new Watched(2);
    watched.workers[1].step = 0;
    for (const turn of [-1, 0x7fffffff, -0x80000000, 0, 1]) {
      watched.workers[0].turn = turn;
      watched.look();
    }
    expect(watched.looks(10)).to.deep.equal([]);
    watched.workers[0].step = 0;
    expect(watched.looks(10)).to.deep.equal(['0 100 2000']);
  });
});
