/**
 * Every key weft knows: shape, default, whether a reload applies it, and a note for the documentation. Schema, typed
 * readers, hints for unknown keys, the difference of two configurations and `docs/configuration.md` come from this table.
 * Defaults are Nebula's (Nebula protocol: key reference) unless the key is weft's own.
 */
import type { Key } from './keyRows.ts';
import { dataKeys } from './keysOfData.ts';
import { nodeKeys } from './keysOfNode.ts';
import { unsupportedKeys } from './keysUnsupported.ts';

/** All keys by path, in the order of the documentation. */
export const keys: ReadonlyMap<string, Key> = new Map(
  [...nodeKeys, ...dataKeys, ...unsupportedKeys].map((key) => [key.path, key]),
);

/** Every path that is a section: `listen`, `lighthouse.dns`. */
export const sections: ReadonlySet<string> = new Set([...keys.keys()].flatMap(parents));

function parents(path: string): readonly string[] {
  const steps = path.split('.');
  return steps.slice(1).map((_, index) => steps.slice(0, index + 1).join('.'));
}
