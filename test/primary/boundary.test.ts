import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Boundary, ENTRIES } from '../../src/primary/boundary.ts';
import { BrokenInvariant, invariant } from '../../src/primary/control/invariant.ts';
import { CollectingLog } from '../support/collectingLog.ts';

interface Bench {
  readonly boundary: Boundary;
  readonly log: CollectingLog;
  readonly broken: string[];
  now: number;
}

function bench(log: CollectingLog = new CollectingLog()): Bench {
  const result: { -readonly [K in keyof Bench]: Bench[K] } = {
    boundary: new Boundary({ log, nowMs: () => result.now }),
    log,
    broken: [],
    now: 1_000,
  };
  void result.boundary.broken.then((reason) => result.broken.push(reason));
  return result;
}

const fail = (): never => {
  throw new TypeError('no such thing');
};

describe('boundary of the primary', () => {
  it('catches, counts by entry, and names every entry before anything happened', async () => {
    const { boundary, log } = bench();
    expect(boundary.counts.size).to.equal(ENTRIES.length);
    expect([...boundary.counts.values()].every((count) => count === 0)).to.equal(true);
    expect(boundary.guard('api', fail)).to.equal(false);
    expect(boundary.guard('api', () => undefined)).to.equal(true);
    await boundary.guardAsync('lookup', async () => fail());
    await boundary.guardAsync('lookup', fail);
    expect(boundary.counts.get('boundary.api')).to.equal(1);
    expect(boundary.counts.get('boundary.lookup')).to.equal(2);
    expect(log.lines[0]).to.deep.equal({
      level: 'error',
      message: 'A fault was caught, the node goes on',
      fields: { entry: 'api', error: 'no such thing' },
    });
    expect(log.lines[1].level).to.equal('debug');
    expect(log.lines[1].fields['stack']).to.match(/boundary\.test/);
  });

  it('writes few lines however often it happens, one entry beside the other, and says how many it kept back', () => {
    const state = bench();
    const { boundary, log } = state;
    const errors = (entry: string): number =>
      log.lines.filter(({ level, fields }) => level === 'error' && fields['entry'] === entry).length;
    for (let i = 0; i < 10_000; i++) {
      boundary.guard('worker', fail);
    }
    expect(errors('worker')).to.equal(3);
    boundary.guard('timer', fail);
    expect(errors('timer')).to.equal(1);
    state.now += 10_000;
    boundary.guard('worker', fail);
    expect(log.lines.filter(({ level }) => level === 'error').at(-1)?.fields['suppressed']).to.equal(9_997);
    expect(boundary.counts.get('boundary.worker')).to.equal(10_001);
  });

  it('goes on when the log cannot be written', () => {
    const { boundary } = bench(
      new (class extends CollectingLog {
        override log(): void {
          throw new Error('disk full');
        }
      })(),
    );
    expect(boundary.guard('timer', fail)).to.equal(false);
    expect(boundary.counts.get('boundary.timer')).to.equal(1);
  });

  it('ends the node once for a broken invariant, and for nothing else', async () => {
    const { boundary, broken } = bench();
    boundary.report('worker', new Error('whatever a stranger sent'));
    boundary.report('worker', 'not even an error');
    await Promise.resolve();
    expect(broken).to.deep.equal([]);
    boundary.guard('worker', () => invariant(1 + 1 === 3, 'sums are wrong'));
    boundary.guard('timer', () => {
      throw new BrokenInvariant('and again');
    });
    await Promise.resolve();
    expect(broken).to.deep.equal(['sums are wrong']);
  });

  it('is the last net while it is wanted', () => {
    const { boundary } = bench();
    const events = ['uncaughtException', 'unhandledRejection'] as const;
    const before = events.map((event) => process.listenerCount(event));
    const letGo = boundary.catchRest();
    for (const event of events) {
      const net = process.rawListeners(event).at(-1) as (error: unknown) => void;
      net(new Error('nobody caught it'));
    }
    letGo();
    expect(boundary.counts.get('boundary.process')).to.equal(2);
    expect(events.map((event) => process.listenerCount(event))).to.deep.equal(before);
  });
});
