/**
 * Every key weft knows: shape, default, whether a reload applies it, and a note for the documentation. Schema, typed
 * readers, hints for unknown keys, the difference of two configurations and `docs/configuration.md` come from this table.
 * Defaults are Nebula's (Nebula protocol: key reference) unless the key is weft's own.
 */
import { dataKeys } from './keysOfData.ts';
import { nodeKeys } from './keysOfNode.ts';
import type { Plain } from './scalars.ts';
import type { Shape } from './shapes.ts';

export interface Key {
  readonly path: string;
  readonly shape: Shape;
  /** As it would be written in YAML; undefined when the key has no fixed default (the note says what happens). */
  readonly fallback: Plain | undefined;
  /** Whether SIGHUP applies a change, or only a restart. */
  readonly isReloadable: boolean;
  readonly note: string;
  readonly isRequired: boolean;
}

/** All keys by path, in the order of the documentation. */
export const keys: ReadonlyMap<string, Key> = new Map([...nodeKeys, ...dataKeys].map((key) => [key.path, key]));

/** Every path that is a section: `listen`, `lighthouse.dns`. */
export const sections: ReadonlySet<string> = new Set([...keys.keys()].flatMap(parents));

function parents(path: string): readonly string[] {
  const steps = path.split('.');
  return steps.slice(1).map((_, index) => steps.slice(0, index + 1).join('.'));
}
