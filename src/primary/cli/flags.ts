/**
 * Command-line flags in Go's syntax, which Nebula's tools use: one or two dashes, `-x v` or `-x=v`, booleans only `-x` or
 * `-x=false`, `--` ends the flags, the last of repeated flags counts. Every subcommand declares its flags as a value and
 * gets typed values back; the same value renders its usage. No output and no exit here: the caller decides.
 */
import { formatDuration, parseDuration } from '../config/duration.ts';
import { hintOf } from '../config/nearest.ts';

/** One flag. `fallback` is its value when absent; durations are milliseconds. */
export type FlagSpec =
  | { readonly kind: 'string'; readonly fallback: string; readonly help: string }
  | { readonly kind: 'bool'; readonly fallback: boolean; readonly help: string }
  | { readonly kind: 'uint'; readonly fallback: number; readonly help: string }
  | { readonly kind: 'duration'; readonly fallback: number; readonly help: string };

export type FlagSpecs = Readonly<Record<string, FlagSpec>>;

/** The values of a set of flags, by flag name. */
export type FlagValues<Specs extends FlagSpecs> = {
  readonly [Name in keyof Specs]: Specs[Name]['fallback'] extends string
    ? string
    : Specs[Name]['fallback'] extends boolean
      ? boolean
      : number;
};

export type ParsedFlags<Specs extends FlagSpecs> =
  | {
      readonly kind: 'flags';
      readonly values: FlagValues<Specs>;
      /** Names of the flags that were given. */
      readonly given: ReadonlySet<string>;
      /** What follows the flags. */
      readonly rest: readonly string[];
    }
  | { readonly kind: 'help' }
  | { readonly kind: 'error'; readonly message: string };

export function stringFlag(help: string, fallback: string = ''): { kind: 'string'; fallback: string; help: string } {
  return { kind: 'string', fallback, help };
}

export function boolFlag(help: string): { kind: 'bool'; fallback: boolean; help: string } {
  return { kind: 'bool', fallback: false, help };
}

export function uintFlag(help: string, fallback: number): { kind: 'uint'; fallback: number; help: string } {
  return { kind: 'uint', fallback, help };
}

/** `fallbackMs` in milliseconds. */
export function durationFlag(help: string, fallbackMs: number): { kind: 'duration'; fallback: number; help: string } {
  return { kind: 'duration', fallback: fallbackMs, help };
}

/** Reads `argv` up to the first argument that is no flag. `-h` and `-help` give `help` unless they are declared flags. */
export function parseFlags<Specs extends FlagSpecs>(specs: Specs, argv: readonly string[]): ParsedFlags<Specs> {
  const values: Record<string, string | boolean | number> = {};
  for (const [name, spec] of Object.entries(specs)) {
    values[name] = spec.fallback;
  }
  const given = new Set<string>();
  let index = 0;
  while (index < argv.length) {
    const argument = argv[index];
    if (argument === '--') {
      index++;
      break;
    }
    if (!argument.startsWith('-') || argument === '-') {
      break;
    }
    index++;
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(argument);
    if (match === null) {
      return { kind: 'error', message: `bad flag syntax: ${argument}` };
    }
    const name = match[1];
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) {
      return name === 'h' || name === 'help'
        ? { kind: 'help' }
        : { kind: 'error', message: `flag provided but not defined: -${name}${hintOf(name, Object.keys(specs), '-')}` };
    }
    let text: string | undefined = match[2];
    if (text === undefined && spec.kind === 'bool') {
      text = 'true';
    } else if (text === undefined) {
      if (index >= argv.length) {
        return { kind: 'error', message: `flag needs an argument: -${name}` };
      }
      text = argv[index++];
    }
    const value = parseValue(spec, text);
    if (value === null) {
      return { kind: 'error', message: `invalid value ${JSON.stringify(text)} for flag -${name}: ${expected(spec)}` };
    }
    values[name] = value;
    given.add(name);
  }
  return { kind: 'flags', values: values as FlagValues<Specs>, given, rest: argv.slice(index) };
}

/** The flags in alphabetical order, each with its type, help and default, as lines for a usage text. */
export function describeFlags(specs: FlagSpecs): string {
  const lines: string[] = [];
  for (const name of Object.keys(specs).sort()) {
    const spec = specs[name];
    const type = spec.kind === 'bool' ? '' : ` ${spec.kind}`;
    lines.push(`  -${name}${type}`, `    \t${spec.help.replaceAll('\n', '\n    \t')}${fallbackText(spec)}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function parseValue(spec: FlagSpec, text: string): string | boolean | number | null {
  switch (spec.kind) {
    case 'string':
      return text;
    case 'bool':
      return parseBool(text);
    case 'uint':
      return parseUint(text);
    case 'duration':
      return parseDuration(text);
  }
}

/** Go's strconv.ParseBool. */
function parseBool(text: string): boolean | null {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) {
    return true;
  }
  return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text) ? false : null;
}

/** Decimal, or with a 0x, 0o or 0b prefix, as Go reads integer flags. */
function parseUint(text: string): number | null {
  if (!/^(?:0[0-7]*|[1-9]\d*|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)$/.test(text)) {
    return null;
  }
  const value = /^0\d/.test(text) ? Number.parseInt(text, 8) : Number(text);
  return Number.isSafeInteger(value) ? value : null;
}

function expected(spec: FlagSpec): string {
  switch (spec.kind) {
    case 'bool':
      return 'expected true or false';
    case 'uint':
      return 'expected a number of 0 or more';
    case 'duration':
      return 'expected a duration with units, such as 8760h, 90m or 30s';
    default:
      return 'expected text';
  }
}

function fallbackText(spec: FlagSpec): string {
  if (spec.fallback === '' || spec.fallback === false || spec.fallback === 0) {
    return '';
  }
  const text = spec.kind === 'duration' ? formatDuration(spec.fallback) : String(spec.fallback);
  return ` (default ${spec.kind === 'string' ? JSON.stringify(text) : text})`;
}
