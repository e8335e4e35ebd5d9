/**
 * What an unquoted YAML word means: Nebula's reader (go-yaml 3) resolves words by YAML 1.2's core rules plus octal
 * numbers with a leading zero and underscores between digits, and every existing configuration was tried with that.
 * `yes`, `no`, `on` and `off` stay text here: the keys that are switches accept them.
 */

export type ScalarValue = string | number | boolean | null;

const NULLS: ReadonlySet<string> = new Set(['', '~', 'null', 'Null', 'NULL']);
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['True', true],
  ['TRUE', true],
  ['false', false],
  ['False', false],
  ['FALSE', false],
]);

/**
 * The value of an unquoted scalar. Fractions, exponents and whole numbers beyond 2^53 keep their text: no key holds
 * them, and a fingerprint or group name made of digits must not be rounded.
 */
export function resolvePlainScalar(text: string): ScalarValue {
  if (NULLS.has(text)) {
    return null;
  }
  const flag = BOOLEANS.get(text);
  if (flag !== undefined) {
    return flag;
  }
  const whole = parseWhole(text);
  return whole !== null && Number.isSafeInteger(whole) ? whole : text;
}

/** True for `010`, which the rules above read as 8: worth a warning. */
export function isLegacyOctal(text: string): boolean {
  return /^[-+]?0[0-7_]*[1-7][0-7_]*$/.test(text);
}

function parseWhole(text: string): number | null {
  const match = /^([-+]?)(0x[0-9a-f_]+|0o[0-7_]+|0b[01_]+|0[0-7_]*|[1-9][0-9_]*)$/i.exec(text);
  if (match === null) {
    return null;
  }
  const digits = match[2].replaceAll('_', '');
  const magnitude = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  if (Number.isNaN(magnitude)) {
    return null;
  }
  return match[1] === '-' && magnitude !== 0 ? -magnitude : magnitude;
}
