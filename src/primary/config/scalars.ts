/**
 * The kinds of single values a key can hold: what is accepted, what it is parsed to, what is said when it is refused.
 *
 * Lenient exactly where Nebula's readers are and an operator's file may rely on it: numbers in quotes, `y`/`yes`/`t`/`1`
 * for switches, durations in Go's syntax. Parsers return null for what they refuse.
 */
import {
  type IpAddress,
  type Prefix,
  parseAddress,
  parseEndpoint,
  parsePrefix,
  splitHostPort,
} from '../../shared/ip/address.ts';
import { DEVICE_NAME_WORDS, isDeviceName } from '../../shared/sys/deviceName.ts';
import type { HostPort } from './config.ts';
import { parseDuration } from './duration.ts';
import { parseGoPattern } from './goPattern.ts';
import type { JsonSchema } from './jsonSchema.ts';
import { plainOf } from './plain.ts';
import type { Scalar } from './shapes.ts';

const TEXT: JsonSchema = { type: ['string', 'number', 'boolean'] };
const STRING: JsonSchema = { type: 'string' };
const WHOLE = /^[-+]?\d+$/;

export const text: Scalar<string> = scalar('text', 'text', parseText, { schema: TEXT });
export const name: Scalar<string> = scalar('text', 'text that is not empty', parseName, {
  schema: { type: ['string', 'number'] },
});
/** Never shown. */
export const secret: Scalar<string> = scalar('text', 'text that is not empty', parseName, {
  schema: { type: ['string', 'number'] },
  isSecret: true,
});
export const flag: Scalar<boolean> = scalar('true/false', 'true or false', parseFlag, {
  schema: {
    anyOf: [
      { type: 'boolean' },
      { enum: [0, 1] },
      wordsOf(['1', 't', 'true', 'y', 'yes', '0', 'f', 'false', 'n', 'no']),
    ],
  },
});
/** The stricter switch of allow lists: a YAML boolean or y, yes, n, no. */
export const permission: Scalar<boolean> = scalar('true/false', 'true or false (or y, yes, n, no)', parsePermission, {
  schema: { anyOf: [{ type: 'boolean' }, wordsOf(['y', 'yes', 'n', 'no'])] },
});
export const address: Scalar<IpAddress> = scalar('address', 'an IP address', (value) =>
  typeof value === 'string' ? parseAddress(value) : null,
);
export const prefix: Scalar<Prefix> = scalar(
  'network',
  'a network as address/bits, such as 10.0.0.0/8 or fd00::/64',
  (value) => (typeof value === 'string' ? parsePrefix(value) : null),
);
/** Where the host is an address or a name. */
export const hostPort: Scalar<HostPort> = blankless(
  scalar('host:port', 'host:port, such as 192.0.2.1:4242, [2001:db8::1]:4242 or vpn.example.com:4242', parseHostPort),
);
/** An address or a name to listen on, where empty text has a meaning of its own. */
export const listenHost: Scalar<string> = blankless(
  scalar('text', 'an address or a name', parseListenHost, { schema: TEXT }),
);
export const fingerprint: Scalar<string> = scalar(
  'fingerprint',
  'a certificate fingerprint (64 hexadecimal digits)',
  parseFingerprint,
);
/** As `weft cert print` shows it: 32 bytes on Curve25519, an uncompressed point on P256. */
export const publicKey: Scalar<string> = scalar(
  'public key',
  'a public key (64 hexadecimal digits, 130 on P256)',
  parsePublicKey,
);
/** Empty text leaves the name to the kernel. */
export const device: Scalar<string> = scalar('interface name', DEVICE_NAME_WORDS, parseDevice, { schema: TEXT });
/** Matches a whole interface name. */
export const pattern: Scalar<RegExp> = scalar('pattern', 'a regular expression', (value) =>
  typeof value === 'string' ? parseGoPattern(value) : null,
);
/** Milliseconds; sub-millisecond parts are fractions. */
export const duration: Scalar<number> = durationOf(', and not negative', (durationMs) => durationMs >= 0);
export const positiveDuration: Scalar<number> = durationOf(', and greater than 0', (durationMs) => durationMs > 0);

/** The largest and smallest whole numbers that a key without limits of its own accepts. */
const ANY_MAX: number = Number.MAX_SAFE_INTEGER;
const ANY_MIN: number = Number.MIN_SAFE_INTEGER;

export const anyInteger: Scalar<number> = integer(ANY_MIN, ANY_MAX);

/** A lenient place takes the nearest limit for a number outside. */
export function integer(min: number, max: number): Scalar<number> {
  return integerOf(min, max, '', '');
}

/** A number outside is an error in a lenient place too: the machine would refuse it. */
export function numberOrError(min: number, max: number): Scalar<number> {
  const number = integer(min, max);
  return {
    ...number,
    read: (spot) => number.read(parseWhole(plainOf(spot.node)) === null ? spot : spot.firm()),
  };
}

/** A number outside is no number. */
export function integerOrDefault(min: number, max: number): Scalar<number> {
  const { type, expected, schema, parse } = integer(min, max);
  return scalar(type, expected, parse, { schema });
}

export function byteCount(max: number): Scalar<number> {
  return integerOf(0, max, ' of bytes', 'Bytes');
}

/** Seconds, which become milliseconds. */
export function seconds(min: number, max: number): Scalar<number> {
  const whole = integerOf(min, max, ' of seconds', 'Ms');
  return {
    ...whole,
    parse: (value) => inMs(whole.parse(value)),
    read: (spot) => inMs(whole.read(spot) ?? null) ?? undefined,
  };
}

/** Words as they are spelt. */
export function choice<const Word extends string>(...of: readonly Word[]): Scalar<Word> {
  return scalar(choiceType(of), expectedChoice(of), (value) => parseChoice(parseText(value), of), {
    schema: { enum: [...of, ...of.filter((word) => /^\d+$/.test(word)).map(Number)] },
  });
}

/** Words in lower or upper case. */
export function choiceOfAnyCase<const Word extends string>(...of: readonly Word[]): Scalar<Word> {
  return scalar(
    choiceType(of),
    expectedChoice(of),
    (value) => parseChoice(parseText(value)?.toLowerCase() ?? null, of),
    {
      schema: { anyOf: [{ enum: [...of] }, wordsOf(of)] },
    },
  );
}

/** A choice in whose place a switch may stand. */
export function choiceOrFlag<const Word extends string>(
  ifTrue: Word,
  ifFalse: Word,
  ...of: readonly Word[]
): Scalar<Word> {
  const parse = (value: unknown): Word | null => {
    const isOn = parseFlag(value);
    return isOn === null ? parseChoice(parseText(value), of) : isOn ? ifTrue : ifFalse;
  };
  return scalar(choiceType(of), expectedChoice(of), parse, { schema: { anyOf: [{ enum: [...of] }, flag.schema] } });
}

interface ScalarOptions<Value> {
  readonly schema?: JsonSchema;
  readonly suffix?: Scalar<Value>['suffix'];
  readonly isSecret?: boolean;
}

function scalar<Value>(
  type: string,
  expected: string,
  parse: (value: unknown) => Value | null,
  { schema = STRING, suffix = '', isSecret = false }: ScalarOptions<Value> = {},
): Scalar<Value> {
  return {
    type,
    expected,
    suffix,
    schema,
    parse,
    read: (spot) => {
      const node = spot.scalar(expected, isSecret);
      const value = node === null ? null : parse(node.value);
      if (node !== null && value === null) {
        spot.mismatch(expected, isSecret);
      }
      return value ?? undefined;
    },
  };
}

/** Leaves blanks around a value out, with a warning: Nebula would look for a host of that name. */
function blankless<Value>(shape: Scalar<Value>): Scalar<Value> {
  return {
    ...shape,
    read: (spot) => {
      const { node } = spot;
      const trimmed = node.kind === 'scalar' && typeof node.value === 'string' ? withoutBlanks(node.value) : null;
      if (trimmed === null || node.kind !== 'scalar' || trimmed === node.value || shape.parse(trimmed) === null) {
        return shape.read(spot);
      }
      spot.takenAs(`${shape.expected}, without blanks`, `${JSON.stringify(trimmed)} is in force`);
      return shape.parse(trimmed) ?? undefined;
    },
  };
}

/** `192.0.2.1 :4242` too. */
function withoutBlanks(text: string): string {
  return text.trim().replace(/\s+(?=:\d+$)/, '');
}

function integerOf(min: number, max: number, unit: string, suffix: Scalar<number>['suffix']): Scalar<number> {
  const expected = expectedInteger(min, max, unit);
  const schema: JsonSchema = {
    type: ['integer', 'string'],
    pattern: WHOLE.source,
    ...(min === ANY_MIN ? {} : { minimum: min }),
    ...(max === ANY_MAX ? {} : { maximum: max }),
  };
  const any = scalar(`number${unit}`, expected, parseWhole, { schema, suffix });
  return {
    ...any,
    parse: (value) => {
      const number = parseWhole(value);
      return number !== null && number >= min && number <= max ? number : null;
    },
    read: (spot) => {
      const number = any.read(spot);
      if (number === undefined || (number >= min && number <= max)) {
        return number;
      }
      if (!spot.isLenient) {
        spot.mismatch(expected);
        return undefined;
      }
      const nearest = number < min ? min : max;
      spot.takenAs(expected, `${nearest} is in force`);
      return nearest;
    },
  };
}

function inMs(seconds: number | null): number | null {
  return seconds === null ? null : seconds * 1000;
}

function durationOf(limit: string, isWithin: (durationMs: number) => boolean): Scalar<number> {
  const parse = (value: unknown): number | null => {
    const text = parseText(value);
    const durationMs = text === null ? null : parseDuration(text);
    return durationMs !== null && isWithin(durationMs) ? durationMs : null;
  };
  const expected = `a duration with a unit, such as 10s, 1m30s or 250ms${limit}`;
  return scalar('duration', expected, parse, { schema: { type: ['string', 'integer'] }, suffix: 'Ms' });
}

/** A schema of words in any case. */
function wordsOf(words: readonly string[]): JsonSchema {
  const anyCase = words.map((word) => word.replaceAll(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`));
  return { type: 'string', pattern: `^(?:${anyCase.join('|')})$` };
}

/** Go prints any value into a string key; so a number or a switch is taken as it would be written. */
export function parseText(value: unknown): string | null {
  return typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : null;
}

function parseName(value: unknown): string | null {
  return typeof value === 'boolean' ? null : parseText(value) || null;
}

function parseListenHost(value: unknown): string | null {
  const text = parseText(value);
  return text === null || /\s/.test(text) ? null : text;
}

function parseWhole(value: unknown): number | null {
  const text = typeof value === 'boolean' ? null : parseText(value);
  const number = text !== null && WHOLE.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(number) ? number : null;
}

export function parseFlag(value: unknown): boolean | null {
  switch (parseText(value)?.toLowerCase()) {
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

function parseChoice<Word extends string>(text: string | null, of: readonly Word[]): Word | null {
  return of.find((word) => word === text) ?? null;
}

function choiceType(of: readonly string[]): string {
  return of.filter((word) => word !== '').join(', ');
}

function expectedChoice(of: readonly string[]): string {
  return `one of ${of.map((word) => (word === '' ? '""' : word)).join(', ')}`;
}

function parseFingerprint(value: unknown): string | null {
  return typeof value === 'string' && /^\s*[0-9a-f]{64}\s*$/i.test(value) ? value.trim().toLowerCase() : null;
}

function parsePublicKey(value: unknown): string | null {
  return typeof value === 'string' && /^\s*(?:[0-9a-f]{64}|04[0-9a-f]{128})\s*$/i.test(value)
    ? value.trim().toLowerCase()
    : null;
}

function parseDevice(value: unknown): string | null {
  const text = parseText(value);
  return text !== null && isDeviceName(text) ? text : null;
}

function expectedInteger(min: number, max: number, unit: string): string {
  const what = `a whole number${unit}`;
  if (max < ANY_MAX) {
    return min === ANY_MIN ? `${what} of at most ${max}` : `${what} from ${min} to ${max}`;
  }
  return min === ANY_MIN ? what : `${what} of at least ${min}`;
}
