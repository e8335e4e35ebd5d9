/**
 * The kinds of single values a key can hold: what is accepted, what it is parsed to, what is said when it is refused.
 *
 * Lenient exactly where Nebula's readers are and an operator's file may rely on it: numbers in quotes, `y`/`yes`/`t`/`1`
 * for switches, durations in Go's syntax. Unlike Nebula a value that cannot be read is refused, never replaced by the
 * default. Parsers return null for what they refuse.
 */
import { type IpAddress, type Prefix, parseAddress, parseEndpoint, parsePrefix, splitHostPort } from '../ip/address.ts';
import { deviceNameWords, isDeviceName } from '../sys/deviceName.ts';
import type { HostPort } from './config.ts';
import { parseDuration } from './duration.ts';

export type Scalar =
  | { readonly is: 'text'; readonly mayBeEmpty: boolean; readonly secret: boolean }
  | { readonly is: 'integer'; readonly min: number; readonly max: number; readonly unit: '' | 'seconds' | 'bytes' }
  | { readonly is: 'flag' }
  /** The stricter switch of allow lists: a YAML boolean or y, yes, n, no. */
  | { readonly is: 'permission' }
  | { readonly is: 'duration'; readonly min: 'any' | 'zero' | 'positive' }
  | { readonly is: 'address' }
  | { readonly is: 'prefix' }
  /** `host:port`, where host is an address or a name. */
  | { readonly is: 'hostPort' }
  /** `ifTrue` and `ifFalse` are what a YAML switch in this place means; empty when switches are refused. */
  | { readonly is: 'choice'; readonly of: readonly string[]; readonly ifTrue: string; readonly ifFalse: string }
  | { readonly is: 'fingerprint' }
  | { readonly is: 'device' }
  | { readonly is: 'pattern' };

export function accepts(scalar: Scalar, value: unknown): boolean {
  switch (scalar.is) {
    case 'text':
      return scalar.mayBeEmpty ? parseText(value) !== null : (parseText(value) ?? '') !== '';
    case 'integer':
      return parseInteger(value, scalar.min, scalar.max) !== null;
    case 'flag':
      return parseFlag(value) !== null;
    case 'permission':
      return parsePermission(value) !== null;
    case 'duration':
      return acceptsDuration(value, scalar.min);
    case 'address':
      return parseAddressValue(value) !== null;
    case 'prefix':
      return parsePrefixValue(value) !== null;
    case 'hostPort':
      return parseHostPort(value) !== null;
    case 'choice':
      return parseChoice(value, scalar) !== null;
    case 'fingerprint':
      return parseFingerprint(value) !== null;
    case 'device':
      return parseDevice(value) !== null;
    case 'pattern':
      return parsePattern(value) !== null;
  }
}

/** The words after "expected". */
export function expectedScalar(scalar: Scalar): string {
  switch (scalar.is) {
    case 'text':
      return scalar.mayBeEmpty ? 'text' : 'text that is not empty';
    case 'integer':
      return expectedInteger(scalar.min, scalar.max, scalar.unit);
    case 'flag':
      return 'true or false';
    case 'permission':
      return 'true or false (or y, yes, n, no)';
    case 'duration':
      return `a duration with a unit, such as 10s, 1m30s or 250ms${DURATION_LIMITS[scalar.min]}`;
    case 'address':
      return 'an IP address';
    case 'prefix':
      return 'a network as address/bits, such as 10.0.0.0/8 or fd00::/64';
    case 'hostPort':
      return 'host:port, such as 192.0.2.1:4242, [2001:db8::1]:4242 or vpn.example.com:4242';
    case 'choice':
      return `one of ${scalar.of.map((word) => (word === '' ? '""' : word)).join(', ')}`;
    case 'fingerprint':
      return 'a certificate fingerprint (64 hexadecimal digits)';
    case 'device':
      return deviceNameWords;
    case 'pattern':
      return 'a regular expression';
  }
}

/** Go prints any value into a string key; here numbers are accepted and written as they stand. */
export function parseText(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null;
}

export function parseInteger(value: unknown, min: number, max: number): number | null {
  const text = parseText(value);
  if (text === null || !/^[-+]?\d+$/.test(text)) {
    return null;
  }
  const number = Number(text);
  return Number.isSafeInteger(number) && number >= min && number <= max ? number : null;
}

export function parseFlag(value: unknown): boolean | null {
  const text = typeof value === 'boolean' ? String(value) : parseText(value);
  switch (text?.toLowerCase()) {
    case '1':
    case 't':
    case 'true':
    case 'y':
    case 'yes':
      return true;
    case '0':
    case 'f':
    case 'false':
    case 'n':
    case 'no':
      return false;
    default:
      return null;
  }
}

export function parsePermission(value: unknown): boolean | null {
  if (typeof value === 'boolean') {
    return value;
  }
  const text = typeof value === 'string' ? value.toLowerCase() : '';
  return text === 'y' || text === 'yes' ? true : text === 'n' || text === 'no' ? false : null;
}

/** Milliseconds; sub-millisecond parts are fractions. */
export function parseDurationMs(value: unknown): number | null {
  const text = parseText(value);
  return text === null ? null : parseDuration(text);
}

export function parseAddressValue(value: unknown): IpAddress | null {
  return typeof value === 'string' ? parseAddress(value) : null;
}

export function parsePrefixValue(value: unknown): Prefix | null {
  return typeof value === 'string' ? parsePrefix(value) : null;
}

export function parseHostPort(value: unknown): HostPort | null {
  if (typeof value !== 'string') {
    return null;
  }
  const parts = splitHostPort(value);
  // A name of digits and dots only is a mistyped address.
  if (parts === null || /\s/.test(parts.host)) {
    return null;
  }
  const endpoint = parseEndpoint(value);
  return endpoint === null && /^[\d.]+$|:/.test(parts.host) ? null : { ...parts, endpoint };
}

export function parseChoice(value: unknown, scalar: Scalar & { readonly is: 'choice' }): string | null {
  if (scalar.ifTrue !== '') {
    const flag = parseFlag(value);
    if (flag !== null) {
      return flag ? scalar.ifTrue : scalar.ifFalse;
    }
  }
  const text = parseText(value)?.toLowerCase() ?? null;
  return text !== null && scalar.of.includes(text) ? text : null;
}

export function parseFingerprint(value: unknown): string | null {
  return typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value) ? value.toLowerCase() : null;
}

/** Empty text leaves the name to the kernel. */
export function parseDevice(value: unknown): string | null {
  const text = parseText(value);
  return text !== null && isDeviceName(text) ? text : null;
}

/** A pattern that must match a whole interface name. */
export function parsePattern(value: unknown): RegExp | null {
  if (typeof value !== 'string') {
    return null;
  }
  try {
    return new RegExp(`^(?:${value})$`);
  } catch {
    return null;
  }
}

const DURATION_LIMITS: Readonly<Record<'any' | 'zero' | 'positive', string>> = {
  any: '',
  zero: ', and not negative',
  positive: ', and greater than 0',
};

function acceptsDuration(value: unknown, min: 'any' | 'zero' | 'positive'): boolean {
  const durationMs = parseDurationMs(value);
  return durationMs !== null && (min === 'any' || durationMs > 0 || (min === 'zero' && durationMs === 0));
}

function expectedInteger(min: number, max: number, unit: string): string {
  const what = unit === '' ? 'a whole number' : `a whole number of ${unit}`;
  if (max < Number.MAX_SAFE_INTEGER) {
    return min === Number.MIN_SAFE_INTEGER ? `${what} of at most ${max}` : `${what} from ${min} to ${max}`;
  }
  return min === Number.MIN_SAFE_INTEGER ? what : `${what} of at least ${min}`;
}
