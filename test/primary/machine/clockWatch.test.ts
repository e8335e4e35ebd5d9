import { expect } from 'chai';
import { describe, it } from 'mocha';
import { bootMs } from '../../../src/primary/machine/bootClock.ts';
import {
  CLOCK_LOOK_MS,
  type ClockNews,
  type ClockReading,
  ClockWatch,
} from '../../../src/primary/machine/clockWatch.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Three clocks that a test moves. */
class Clocks {
  readonly #watch = new ClockWatch();
  #boot = 5_000_000;
  #monotonic = 4_000_000;
  #wall = 1_750_000_000_000;

  constructor() {
    this.look(0);
  }

  /** So much time passes, and of it the machine sleeps, and the wall clock is set; then one look. */
  look(passMs: number, sleepMs: number = 0, setMs: number = 0): ClockNews | null {
    this.#boot += passMs;
    this.#monotonic += passMs - sleepMs;
    this.#wall += passMs + setMs;
    const reading: ClockReading = { bootMs: this.#boot, monotonicMs: this.#monotonic, wallMs: this.#wall };
    return this.#watch.observe(reading);
  }
}

describe('the watch over the clocks', () => {
  it('has nothing to say while time goes on, punctual or a little late, slewed or not', () => {
    const clocks = new Clocks();
    for (let second = 0; second < 1000; second++) {
      expect(clocks.look(CLOCK_LOOK_MS + (second % 10) * 300, 0, second % 2 === 0 ? 1 : -1)).to.equal(null);
    }
  });

  it('tells of a suspend, which is no set clock', () => {
    const news = new Clocks().look(CLOCK_LOOK_MS + 8 * HOUR, 8 * HOUR);
    expect(news).to.deep.equal({ standstillMs: CLOCK_LOOK_MS + 8 * HOUR, suspendedMs: 8 * HOUR, wallStepMs: 0 });
  });

  it('tells of a process that stood still while the machine ran', () => {
    expect(new Clocks().look(60_000)).to.deep.equal({ standstillMs: 60_000, suspendedMs: 0, wallStepMs: 0 });
  });

  for (const setMs of [DAY, -DAY, 5_000, -5_000]) {
    it(`tells of a wall clock set by ${setMs} ms, once, and of nothing else`, () => {
      const clocks = new Clocks();
      expect(clocks.look(CLOCK_LOOK_MS, 0, setMs)).to.deep.equal({
        standstillMs: 0,
        suspendedMs: 0,
        wallStepMs: setMs,
      });
      expect(clocks.look(CLOCK_LOOK_MS)).to.equal(null);
    });
  }

  it('tells both apart when a machine wakes with a wrong clock', () => {
    const news = new Clocks().look(HOUR, HOUR - 500, -DAY);
    expect(news).to.deep.equal({ standstillMs: HOUR, suspendedMs: HOUR - 500, wallStepMs: -DAY });
  });

  it('reads a boot clock that goes on', () => {
    const first = bootMs();
    expect(first).to.be.greaterThan(0);
    expect(bootMs()).to.be.within(first, first + 60_000);
  });
});
