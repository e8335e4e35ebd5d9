/** How the two halves of the key table write a row. */
import type { Key } from './keys.ts';
import type { Plain } from './scalars.ts';
import type { Shape } from './shapes.ts';

/** A key whose change SIGHUP applies. */
export function live(path: string, shape: Shape, fallback: Plain | undefined, note: string): Key {
  return { path, shape, fallback, isReloadable: true, note, isRequired: false };
}

/** A key whose change needs a restart. */
export function fixed(path: string, shape: Shape, fallback: Plain | undefined, note: string): Key {
  return { path, shape, fallback, isReloadable: false, note, isRequired: false };
}

/** A reloadable key without which the node cannot start. */
export function required(path: string, shape: Shape, note: string): Key {
  return { path, shape, fallback: undefined, isReloadable: true, note, isRequired: true };
}

/** The largest and smallest whole numbers that a key without limits of its own accepts. */
export const ANY_MAX: number = Number.MAX_SAFE_INTEGER;
export const ANY_MIN: number = Number.MIN_SAFE_INTEGER;
export const U32_MAX: number = 0xffff_ffff;
/** Bounds of a `setsockopt` or netlink `int`. */
export const INT_MAX: number = 0x7fff_ffff;
