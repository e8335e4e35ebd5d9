/**
 * Reads a merged tree by the key table: every value is checked and parsed, once, and all faults are reported with their
 * places. A value that is refused where Nebula takes its default gives a warning and the default. What depends on several
 * keys is in `checks.ts`.
 */
import { structureFaults } from './configSchema.ts';
import type { Key } from './keyRows.ts';
import { type KeyPath, keys, sections, type ValueOf } from './keys.ts';
import { nodeOf, type Plain, type PlainMap, plainOf } from './plain.ts';
import { errorAt, hasErrors, type Problem } from './problems.ts';
import { IGNORED, nodeAt, type Reading, Spot } from './spot.ts';
import type { ConfigNode, MapNode } from './yamlTree.ts';

/**
 * The values of the keys. One that was refused reads as its default: the configuration is thrown away then, but the
 * checks of other keys still run.
 */
export class Values {
  readonly #given: ReadonlyMap<string, unknown>;
  readonly #broken: readonly string[];

  constructor(given: ReadonlyMap<string, unknown>, broken: readonly string[]) {
    this.#given = given;
    this.#broken = broken;
  }

  /** The value, or the default of the key table. */
  of<Path extends KeyPath>(path: Path): ValueOf<Path> {
    const value = this.#given.has(path) ? this.#given.get(path) : defaultOf(path);
    // The shape of this very key made it.
    return value as ValueOf<Path>;
  }

  /** The value, or null when the file has none. */
  given<Path extends KeyPath>(path: Path): ValueOf<Path> | null {
    return this.#given.has(path) ? this.of(path) : null;
  }

  /** Whether this key, or a section above it, has an error: then what depends on it is not worth checking. */
  isBroken(path: string): boolean {
    return this.#broken.some((other) => path === other || path.startsWith(`${other}.`));
  }
}

export interface ReadTree {
  readonly values: Values;
  readonly problems: readonly Problem[];
}

/** `plain` is the same tree as `plainTree` gives it. */
export function readTree(root: MapNode, plain: PlainMap): ReadTree {
  const problems: Problem[] = [];
  const reading: Reading = { problems, faults: structureFaults(plain) };
  const given = new Map<string, unknown>();
  const broken = [...sections].filter((section) => isNoMap(root, section, reading) && FIRM_SECTIONS.has(section));
  const values = new Values(given, broken);
  for (const key of keys.values()) {
    const steps = key.path.split('.');
    const { node, rest } = nodeAt(root, steps);
    if (rest.length === 0 && !isNull(node)) {
      const before = problems.length;
      const value = key.shape.read(new Spot(node, steps, reading, defaultInForce(key)));
      if (value !== undefined) {
        given.set(key.path, value);
      } else if (hasErrors(problems.slice(before))) {
        broken.push(key.path);
      }
    } else if (key.isRequired && !values.isBroken(key.path)) {
      problems.push(errorAt(node.place, key.path, `is missing; expected ${expectedRequired(key)}`));
      broken.push(key.path);
    }
  }
  return { values, problems };
}

/** The tree as plain data; keys without a value are left out. */
export function plainTree(root: MapNode): PlainMap {
  return plainSection(root, '');
}

/** Sections that decide on access as a whole; of any other the defaults are in force, as with Nebula. */
const FIRM_SECTIONS: ReadonlySet<string> = new Set(['pki', 'firewall']);

function isNoMap(root: MapNode, section: string, reading: Reading): boolean {
  const steps = section.split('.');
  const { node, rest } = nodeAt(root, steps);
  const isEmpty = node.kind === 'scalar' && (node.value === null || node.value === '');
  if (rest.length > 0 || node.kind === 'map' || isEmpty) {
    return false;
  }
  new Spot(node, steps, reading, FIRM_SECTIONS.has(section) ? null : IGNORED).map('a map of settings');
  return true;
}

/** A key without a value is a key that is not there; inside lists and tables it would hide a mistake. */
function isNull(node: ConfigNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

/** What follows from a value that a lenient shape refuses. */
function defaultInForce({ fallback }: Key): string {
  if (fallback === undefined) {
    return IGNORED;
  }
  const text = typeof fallback === 'string' && fallback !== '' ? fallback : JSON.stringify(fallback);
  return `the default ${text} is in force`;
}

function defaultOf(path: KeyPath): unknown {
  const key = keys.get(path);
  if (key === undefined || key.isRequired) {
    return '';
  }
  return key.fallback === undefined ? null : key.shape.read(new Spot(nodeOf(key.fallback), [path], unreported(), null));
}

function unreported(): Reading {
  return { problems: [], faults: new Set() };
}

function plainSection(section: MapNode, path: string): PlainMap {
  const entries: [string, Plain][] = [];
  for (const [name, node] of section.entries) {
    const below = path === '' ? name : `${path}.${name}`;
    if (!isNull(node)) {
      entries.push([name, sections.has(below) && node.kind === 'map' ? plainSection(node, below) : plainOf(node)]);
    }
  }
  return Object.fromEntries(entries);
}

function expectedRequired(key: Key): string {
  const first = key.note.split('. ')[0].replace(/\.$/, '');
  return /^[A-Z][a-z]/.test(first) ? first[0].toLowerCase() + first.slice(1) : first;
}
