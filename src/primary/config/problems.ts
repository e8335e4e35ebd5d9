/**
 * Problems of a configuration: what is wrong, where it stands, what was expected and what was found.
 *
 * Everything in this folder reports through these values and nothing throws for operator input, so that one run names
 * every mistake. A problem never carries a secret: texts of keys that may hold a private key are withheld.
 */

/** A place in a file; `line` counts from 1, 0 means the file as a whole. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

export interface Problem {
  /** An error refuses the configuration; a warning is printed and the node starts. */
  readonly severity: 'error' | 'warning';
  readonly place: Place;
  /** Key path as the operator writes it (`listen.port`, `lighthouse.hosts[1]`); empty for the file as a whole. */
  readonly path: string;
  /** A complete sentence without place and path. */
  readonly message: string;
  /** What would be right, and what stands there; null where the message says all. */
  readonly expected: string | null;
  readonly found: string | null;
  /** A warning about what works as it is written: not what makes a node degraded. */
  readonly isAdvice: boolean;
  /** Extra fields for the log line of a warning. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** A step of a key path: a map key or a list index. */
export type PathStep = string | number;

const SHOWN_LENGTH_MAX = 80;

export function errorAt(place: Place, path: string, message: string): Problem {
  return { severity: 'error', place, path, message, expected: null, found: null, isAdvice: false, fields: {} };
}

export function warningAt(
  place: Place,
  path: string,
  message: string,
  fields: Readonly<Record<string, string | number | boolean>> = {},
): Problem {
  return { severity: 'warning', place, path, message, expected: null, found: null, isAdvice: false, fields };
}

/** A warning about what works as it is written, but could be written better. */
export function adviceAt(place: Place, path: string, message: string, fields: Problem['fields'] = {}): Problem {
  return { ...warningAt(place, path, message, fields), isAdvice: true };
}

/** A value of the wrong type or outside its range; a warning when `inForce` says what is in force instead. */
export function mismatchAt(
  place: Place,
  path: string,
  expected: string,
  found: string,
  inForce: string | null,
): Problem {
  const message = `expected ${expected}, found ${found}${inForce === null ? '' : `; ${inForce}`}`;
  const severity = inForce === null ? 'error' : 'warning';
  return { severity, place, path, message, expected, found, isAdvice: false, fields: {} };
}

/** One line: `/etc/weft/config.yml:12: listen.port: expected …, found …`. */
export function formatProblem(problem: Problem): string {
  const line = problem.place.line > 0 ? `:${problem.place.line}` : '';
  const severity = problem.severity === 'warning' ? 'warning: ' : '';
  const path = problem.path === '' ? '' : `${problem.path}: `;
  return `${problem.place.file}${line}: ${severity}${path}${problem.message}`;
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === 'error');
}

/** Errors before warnings, each in the order of file and line; equal ones keep their order. */
export function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  return [...problems].sort(
    (a, b) =>
      Number(a.severity === 'warning') - Number(b.severity === 'warning') ||
      (a.place.file < b.place.file ? -1 : a.place.file > b.place.file ? 1 : 0) ||
      a.place.line - b.place.line,
  );
}

/** `['lighthouse', 'hosts', 1]` as `lighthouse.hosts[1]`; keys with a dot or a blank are quoted. */
export function formatPath(steps: readonly PathStep[]): string {
  let text = '';
  for (const step of steps) {
    if (typeof step === 'number') {
      text += `[${step}]`;
    } else if (/^[\w-]+$/.test(step)) {
      text += text === '' ? step : `.${step}`;
    } else {
      text += `[${JSON.stringify(step)}]`;
    }
  }
  return text;
}

/** A text of the operator for a message: quoted, bounded, and never key material. */
export function showText(text: string): string {
  if (text.includes('-----BEGIN')) {
    return 'a PEM block';
  }
  return JSON.stringify(text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text);
}
