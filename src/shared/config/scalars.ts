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
import type { Scalar } from './shapes.ts';

export const text: Scalar<string> = scalar('text', 'text', parseText);
export const name: Scalar<string> = scalar('text', 'text that is not empty', parseName);
/** Never shown. */
export const secret: Scalar<string> = scalar('text', 'text that is not empty', parseName, { isSecret: true });
export const flag: Scalar<boolean> = scalar('true/false', 'true or false', parseFlag);
/** The stricter switch of allow lists: a YAML boolean or y, yes, n, no. */
export const permission: Scalar<boolean> = scalar('true/false', 'true or false (or y, yes, n, no)', parsePermission);
export const address: Scalar<IpAddress> = scalar('address', 'an IP address', (value) =>
  typeof value === 'string' ? parseAddress(value) : null,
);
export const prefix: Scalar<Prefix> = scalar(
  'network',
  'a network as address/bits, such as 10.0.0.0/8 or fd00::/64',
  (value) => (typeof value === 'string' ? parsePrefix(value) : null),
);
/** Where the host is an address or a name. */
export const hostPort: Scalar<HostPort> = scalar(
  'host:port',
  'host:port, such as 192.0.2.1:4242, [2001:db8::1]:4242 or vpn.example.com:4242',
  parseHostPort,
);
export const fingerprint: Scalar<string> = scalar(
  'fingerprint',
  'a certificate fingerprint (64 hexadecimal digits)',
  parseFingerprint,
);
/** Empty text leaves the name to the kernel. */
export const device: Scalar<string> = scalar('interface name', deviceNameWords, parseDevice);
/** Matches a whole interface name. */
export const pattern: Scalar<RegExp> = scalar('pattern', 'a regular expression', parsePattern);
/** Milliseconds; sub-millisecond parts are fractions. */
export const duration: Scalar<number> = durationOf(', and not negative', (durationMs) => durationMs >= 0);
export const positiveDuration: Scalar<number> = durationOf(', and greater than 0', (durationMs) => durationMs > 0);

/** The largest and smallest whole numbers that a key without limits of its own accepts. */
const ANY_MAX: number = Number.MAX_SAFE_INTEGER;
const ANY_MIN: number = Number.MIN_SAFE_INTEGER;

export const anyInteger: Scalar<number> = integer(ANY_MIN, ANY_MAX);

export function integer(min: number, max: number): Scalar<number> {
  return integerOf(min, max, '', '');
}

export function byteCount(max: number): Scalar<number> {
  return integerOf(0, max, ' of bytes', 'Bytes');
}

/** Seconds, which become milliseconds. */
export function seconds(min: number, max: number): Scalar<number> {
  const whole = integerOf(min, max, ' of seconds', 'Ms');
  return scalar(
    whole.type,
    whole.expected,
    (value) => {
      const count = whole.parse(value);
      return count === null ? null : count * 1000;
    },
    { suffix: 'Ms' },
  );
}

export function choice<const Word extends string>(...of: readonly Word[]): Scalar<Word> {
  return scalar(choiceType(of), expectedChoice(of), (value) => parseChoice(value, of));
}

/** A choice in whose place a switch may stand. */
export function choiceOrFlag<const Word extends string>(
  ifTrue: Word,
  ifFalse: Word,
  ...of: readonly Word[]
): Scalar<Word> {
  return scalar(choiceType(of), expectedChoice(of), (value) => {
    const isOn = parseFlag(value);
    return isOn === null ? parseChoice(value, of) : isOn ? ifTrue : ifFalse;
  });
}

function scalar<Value>(
  type: string,
  expected: string,
  parse: (value: unknown) => Value | null,
  { suffix = '', isSecret = false }: { readonly suffix?: Scalar<Value>['suffix']; readonly isSecret?: boolean } = {},
): Scalar<Value> {
  return {
    type,
    expected,
    suffix,
    parse,
    read: (spot) => {
      const value = spot.node.kind === 'scalar' ? parse(spot.node.value) : null;
      if (value === null) {
        spot.mismatch(expected, isSecret);
        return undefined;
      }
      return value;
    },
  };
}

function integerOf(min: number, max: number, unit: string, suffix: Scalar<number>['suffix']): Scalar<number> {
  const expected = expectedInteger(min, max, unit);
  return scalar(`number${unit}`, expected, (value) => parseInteger(value, min, max), { suffix });
}

function durationOf(limit: string, isWithin: (durationMs: number) => boolean): Scalar<number> {
  const parse = (value: unknown): number | null => {
    const text = parseText(value);
    const durationMs = text === null ? null : parseDuration(text);
    return durationMs !== null && isWithin(durationMs) ? durationMs : null;
  };
  const expected = `a duration with a unit, such as 10s, 1m30s or 250ms${limit}`;
  return scalar('duration', expected, parse, { suffix: 'Ms' });
}

/** Go prints any value into a string key; here numbers are accepted and written as they stand. */
export function parseText(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null;
}

function parseName(value: unknown): string | null {
  return parseText(value) || null;
}

function parseInteger(value: unknown, min: number, max: number): number | null {
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

function parsePermission(value: unknown): boolean | null {
  if (typeof value === 'boolean') {
    return value;
  }
  const text = typeof value === 'string' ? value.toLowerCase() : '';
  return text === 'y' || text === 'yes' ? true : text === 'n' || text === 'no' ? false : null;
}

function parseHostPort(value: unknown): HostPort | null {
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

function parseChoice<Word extends string>(value: unknown, of: readonly Word[]): Word | null {
  const text = parseText(value)?.toLowerCase();
  return of.find((word) => word === text) ?? null;
}

function choiceType(of: readonly string[]): string {
  return of.filter((word) => word !== '').join(', ');
}

function expectedChoice(of: readonly string[]): string {
  return `one of ${of.map((word) => (word === '' ? '""' : word)).join(', ')}`;
}

function parseFingerprint(value: unknown): string | null {
  return typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value) ? value.toLowerCase() : null;
}

function parseDevice(value: unknown): string | null {
  const text = parseText(value);
  return text !== null && isDeviceName(text) ? text : null;
}

function parsePattern(value: unknown): RegExp | null {
  if (typeof value !== 'string') {
    return null;
  }
  try {
    return new RegExp(`^(?:${value})$`);
  } catch {
    return null;
  }
}

function expectedInteger(min: number, max: number, unit: string): string {
  const what = `a whole number${unit}`;
  if (max < ANY_MAX) {
    return min === ANY_MIN ? `${what} of at most ${max}` : `${what} from ${min} to ${max}`;
  }
  return min === ANY_MIN ? what : `${what} of at least ${min}`;
}
