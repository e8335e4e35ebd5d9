/**
 * What happened to time between two looks: did this node stand still, was the wall clock set? Pure: the clocks' readings
 * are arguments, the answer is a value; `clockKeeper.ts` looks and acts.
 *
 *   boot        counts while the machine sleeps (CLOCK_BOOTTIME); nobody can set it
 *   monotonic   does not (CLOCK_MONOTONIC)
 *   wall        is set by people and by NTP
 *
 * A look that comes much later than it was meant to is a standstill, whatever the reason: suspend, a frozen container, a
 * paused virtual machine, SIGSTOP. A wall clock that has gone another way than the boot clock was set.
 */

/** How often `observe` is to be called. */
export const CLOCK_LOOK_MS = 1_000;
/** Peers give a tunnel up after about 15 s without an answer. */
export const STANDSTILL_MS_MIN = 5_000;
/** Slewing moves the clock by half a millisecond a second; a busy machine, the readings apart by some. */
export const WALL_STEP_MS_MIN = 2_000;

export interface ClockReading {
  readonly bootMs: number;
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface ClockNews {
  /** How long the node did nothing; 0: it was there. */
  readonly standstillMs: number;
  /** How much of that the machine slept. */
  readonly suspendedMs: number;
  /** By how much the wall clock was set, negative for back; 0: it was not. */
  readonly wallStepMs: number;
}

export class ClockWatch {
  #last: ClockReading | null = null;

  /** Null when time went on as it should. */
  observe(reading: ClockReading): ClockNews | null {
    const last = this.#last;
    this.#last = reading;
    if (last === null) {
      return null;
    }
    const passedMs = reading.bootMs - last.bootMs;
    const lateMs = passedMs - CLOCK_LOOK_MS;
    const stepMs = reading.wallMs - last.wallMs - passedMs;
    const hasStood = lateMs >= STANDSTILL_MS_MIN;
    const wasSet = Math.abs(stepMs) >= WALL_STEP_MS_MIN;
    if (!hasStood && !wasSet) {
      return null;
    }
    return {
      standstillMs: hasStood ? passedMs : 0,
      suspendedMs: hasStood ? Math.max(0, passedMs - (reading.monotonicMs - last.monotonicMs)) : 0,
      wallStepMs: wasSet ? stepMs : 0,
    };
  }
}
