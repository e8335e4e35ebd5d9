/**
 * Why a node is not as its operator means it to be, though it runs: what `weft status` calls degraded. Holds what the
 * configuration in force was warned about and whether a newer one was refused; the rest is asked when it is shown.
 */
import { formatProblem, hasErrors, type Problem } from '../config/problems.ts';

export const HEALTH_KINDS = [
  'configuration',
  'reload',
  'certificate',
  'clock',
  'program',
  'lighthouse',
  'name',
  'host',
] as const;

export interface HealthReason {
  readonly kind: (typeof HEALTH_KINDS)[number];
  /** One line for people. */
  readonly text: string;
}

export class ConfigurationHealth {
  #inForce: readonly HealthReason[] = [];
  #refused: readonly HealthReason[] = [];

  /** These are the problems of a configuration that was read: of the one in force from now on, or of a refused one. */
  follow(problems: readonly Problem[]): void {
    if (hasErrors(problems)) {
      this.#refused = problems
        .filter(({ severity }) => severity === 'error')
        .map((problem) => ({ kind: 'reload', text: `not reloaded: ${formatProblem(problem)}` }));
    } else {
      this.#refused = [];
      this.#inForce = problems
        .filter(({ isAdvice }) => !isAdvice)
        .map((problem) => ({ kind: 'configuration', text: formatProblem(problem) }));
    }
  }

  /** The machine refused a step of a reload; the next one does all of them again. */
  stoppedHalfWay(reason: string): void {
    this.#refused = [{ kind: 'reload', text: `stopped half way: ${reason}` }];
  }

  get reasons(): readonly HealthReason[] {
    return [...this.#refused, ...this.#inForce];
  }
}
