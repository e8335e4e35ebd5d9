/**
 * Typed reading of validated plain data by key path, with the defaults of the key table. A value that validation refused
 * reads as its default: the configuration is thrown away then, but the checks of other keys still run.
 */
import type { IpAddress, Prefix } from '../ip/address.ts';
import type { HostPort } from './config.ts';
import type { Key } from './keyRows.ts';
import { keys } from './keys.ts';
import { isList, isMap, lookup, type Plain, type PlainMap, parseEach } from './plain.ts';
import {
  parseAddressValue,
  parseChoice,
  parseDevice,
  parseDurationMs,
  parseFlag,
  parseHostPort,
  parseInteger,
  parsePrefixValue,
  parseText,
} from './scalars.ts';

export class Reader {
  readonly #plain: PlainMap;

  constructor(plain: PlainMap) {
    this.#plain = plain;
  }

  /** What stands there, for a part that has a reader of its own; undefined when nothing does. */
  plain(path: string): Plain | undefined {
    return this.#value(path);
  }

  text(path: string): string {
    return this.#read(path, parseText);
  }

  /** Null when the key is absent. */
  optionalText(path: string): string | null {
    return parseText(this.#value(path));
  }

  device(path: string): string {
    return this.#read(path, parseDevice);
  }

  flag(path: string): boolean {
    return this.#read(path, parseFlag);
  }

  integer(path: string): number {
    return this.#read(path, (value) => parseLimited(keyOf(path), value));
  }

  optionalInteger(path: string): number | null {
    return parseLimited(keyOf(path), this.#value(path));
  }

  durationMs(path: string): number {
    return this.#read(path, parseDurationMs);
  }

  optionalDurationMs(path: string): number | null {
    return parseDurationMs(this.#value(path));
  }

  /** One of the words of `allowed`; the key table has the same words. */
  choice<Word extends string>(path: string, allowed: readonly Word[]): Word {
    const shape = keyOf(path).shape;
    const word = this.#read(path, (value) => (shape.is === 'choice' ? parseChoice(value, shape) : null));
    const found = allowed.find((other) => other === word);
    if (found === undefined) {
      throw new Error(`the word ${word} of the key ${path} has no place in its type`);
    }
    return found;
  }

  optionalChoice(path: string): string | null {
    const shape = keyOf(path).shape;
    return shape.is === 'choice' ? parseChoice(this.#value(path), shape) : null;
  }

  prefix(path: string): Prefix | null {
    return parsePrefixValue(this.#value(path));
  }

  addresses(path: string): readonly IpAddress[] {
    return this.list(path, parseAddressValue);
  }

  prefixes(path: string): readonly Prefix[] {
    return this.list(path, parsePrefixValue);
  }

  hostPorts(path: string): readonly HostPort[] {
    return this.list(path, parseHostPort);
  }

  /** The entries of a list that `parse` accepts. */
  list<Value>(path: string, parse: (value: Plain) => Value | null): readonly Value[] {
    const value = this.#value(path) ?? keyOf(path).fallback;
    return isList(value) ? parseEach(value, parse) : [];
  }

  /** The entries of a map in the order of the file; null when the key is absent. */
  entries(path: string): readonly (readonly [string, Plain])[] | null {
    const value = this.#value(path);
    return isMap(value) ? Object.entries(value) : null;
  }

  #read<Value>(path: string, parse: (value: Plain | undefined) => Value | null): Value {
    const value = parse(this.#value(path)) ?? parse(keyOf(path).fallback);
    if (value === null) {
      // Only a required key has no default; the configuration is refused.
      return parse('') ?? unreadable(path);
    }
    return value;
  }

  #value(path: string): Plain | undefined {
    keyOf(path);
    return lookup(this.#plain, path);
  }
}

function keyOf(path: string): Key {
  return keys.get(path) ?? unreadable(path);
}

function parseLimited(key: Key, value: Plain | undefined): number | null {
  return key.shape.is === 'integer' ? parseInteger(value, key.shape.min, key.shape.max) : null;
}

function unreadable(path: string): never {
  throw new Error(`the key table has no usable entry for ${path}`);
}
