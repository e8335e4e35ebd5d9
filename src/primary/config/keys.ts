/**
 * Every key weft knows: shape, default, whether a reload applies it, and a note for the documentation. The reader of the
 * tree, hints for unknown keys, the difference of two configurations and `docs/configuration.md` come from this table.
 * Defaults are Nebula's (Nebula protocol: key reference) unless the key is weft's own.
 */
import type { Key, Row } from './keyRows.ts';
import { dataKeys } from './keysOfData.ts';
import { nodeKeys } from './keysOfNode.ts';
import { statsKeys } from './keysOfStats.ts';
import { unsupportedKeys } from './keysUnsupported.ts';

/** The keys that weft acts on. */
type Rows = typeof nodeKeys & typeof dataKeys & typeof statsKeys;
export type KeyPath = keyof Rows;
/** What a key's value is parsed to. */
export type ValueOf<Path extends KeyPath> = Rows[Path] extends Row<infer Value> ? Value : never;

/** All keys by path, in the order of the documentation. */
export const keys: ReadonlyMap<string, Key> = new Map(
  [...keysOf(nodeKeys), ...keysOf(dataKeys), ...keysOf(statsKeys), ...unsupportedKeys].map((key) => [key.path, key]),
);

/** Every path that is a section: `listen`, `lighthouse.dns`. */
export const sections: ReadonlySet<string> = new Set([...keys.keys()].flatMap(parents));

function keysOf(rows: Readonly<Record<string, Row<unknown>>>): readonly Key[] {
  return Object.entries(rows).map(([path, row]) => ({ path, ...row }));
}

function parents(path: string): readonly string[] {
  const steps = path.split('.');
  return steps.slice(1).map((_, index) => steps.slice(0, index + 1).join('.'));
}
