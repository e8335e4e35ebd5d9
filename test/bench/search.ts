/**
 * The highest rate that a link carries nearly without loss, after RFC 2544 (26.1): trials of one length at one rate each,
 * doubling until one fails, then halving the gap between the best that passed and the lowest that failed.
 *
 * Knows no link: a trial is a function, so the search is tested with made ones.
 */

export interface Trial {
  /** Datagrams per second that left the sender: fewer than asked for when the machine has no more to give. */
  readonly sent: number;
  readonly received: number;
}

export interface SearchPlan {
  /** Datagrams per second of the first trial. */
  readonly first: number;
  readonly highest: number;
  /** Share of the datagrams sent, not reached by a trial that passes. */
  readonly lossMax: number;
  /** The search ends when the gap is this share of the rate. */
  readonly precision: number;
  /** A rate fails when all of so many trials fail: on a shared machine one may be somebody else's fault. */
  readonly attempts: number;
}

/** Datagrams per second received in the best trial that passed; 0 when none did. */
export async function highestRate(trial: (rate: number) => Promise<Trial>, plan: SearchPlan): Promise<number> {
  let best = 0;
  let passed = 0;
  let failed = Number.POSITIVE_INFINITY;
  let rate = Math.min(plan.first, plan.highest);
  while (failed - passed > plan.precision * passed && passed < plan.highest) {
    const received = await attempt(trial, rate, plan);
    if (received === null) {
      failed = rate;
    } else {
      passed = rate;
      best = Math.max(best, received);
    }
    if (failed < plan.first * SLOWEST) {
      break;
    }
    rate = failed === Number.POSITIVE_INFINITY ? Math.min(passed * 2, plan.highest) : (passed + failed) / 2;
  }
  return best;
}

/** What was received, or null when every attempt lost too much or could not be sent at that rate. */
async function attempt(
  trial: (rate: number) => Promise<Trial>,
  rate: number,
  { lossMax, attempts }: SearchPlan,
): Promise<number | null> {
  for (let left = attempts; left > 0; left--) {
    const { sent, received } = await trial(rate);
    if (sent >= rate * SENT_SHARE_MIN && received > sent * (1 - lossMax)) {
      return received;
    }
  }
  return null;
}

/** A sender that falls behind by more is not sending at the rate of the trial. */
const SENT_SHARE_MIN = 0.97;

/** Of the first rate: where even this fails, there is no link to speak of. */
const SLOWEST = 1 / 64;
