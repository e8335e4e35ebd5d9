/** A row of the key table, and how the parts of the table write one. */
import type { Plain } from './plain.ts';
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
  /** Whether `Config` has a field for it. */
  readonly hasField: boolean;
}

/** A key whose change SIGHUP applies. */
export function live(path: string, shape: Shape, fallback: Plain | undefined, note: string): Key {
  return { path, shape, fallback, isReloadable: true, note, isRequired: false, hasField: true };
}

/** A key whose change needs a restart. */
export function fixed(path: string, shape: Shape, fallback: Plain | undefined, note: string): Key {
  return { path, shape, fallback, isReloadable: false, note, isRequired: false, hasField: true };
}

/** A reloadable key without which the node cannot start. */
export function required(path: string, shape: Shape, note: string): Key {
  return { path, shape, fallback: undefined, isReloadable: true, note, isRequired: true, hasField: true };
}

/** A key that only feeds another key's field. */
export function feeding(key: Key): Key {
  return { ...key, hasField: false };
}

/** The largest and smallest whole numbers that a key without limits of its own accepts. */
export const ANY_MAX: number = Number.MAX_SAFE_INTEGER;
export const ANY_MIN: number = Number.MIN_SAFE_INTEGER;
export const U32_MAX: number = 0xffff_ffff;
/** Bounds of a `setsockopt` or netlink `int`. */
export const INT_MAX: number = 0x7fff_ffff;
