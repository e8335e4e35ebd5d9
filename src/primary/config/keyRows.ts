/** A row of the key table, and how the parts of the table write one. */
import type { Plain } from './plain.ts';
import { firm, type Shape } from './shapes.ts';

export interface Row<Value> {
  readonly shape: Shape<Value>;
  /** As it would be written in YAML; undefined when the key has no fixed default (the note says what happens). */
  readonly fallback: Plain | undefined;
  /** Whether SIGHUP applies a change, or only a restart. */
  readonly isReloadable: boolean;
  readonly note: string;
  readonly isRequired: boolean;
  /** Whether `Config` has a field for it. */
  readonly hasField: boolean;
}

export interface Key extends Row<unknown> {
  readonly path: string;
}

/** A key whose change SIGHUP applies; null stands for an absent value without a default. */
export function live<Value>(shape: Shape<Value>, fallback: Plain, note: string): Row<Value>;
export function live<Value>(shape: Shape<Value>, fallback: undefined, note: string): Row<Value | null>;
export function live<Value>(shape: Shape<Value>, fallback: Plain | undefined, note: string): Row<Value | null> {
  return { shape, fallback, isReloadable: true, note, isRequired: false, hasField: true };
}

/** A key whose change needs a restart. */
export function fixed<Value>(shape: Shape<Value>, fallback: Plain, note: string): Row<Value>;
export function fixed<Value>(shape: Shape<Value>, fallback: Plain | undefined, note: string): Row<Value | null>;
export function fixed<Value>(shape: Shape<Value>, fallback: Plain | undefined, note: string): Row<Value | null> {
  return { shape, fallback, isReloadable: false, note, isRequired: false, hasField: true };
}

/** A reloadable key without which the node cannot start. */
export function required(shape: Shape<string>, note: string): Row<string> {
  return { shape: firm(shape), fallback: undefined, isReloadable: true, note, isRequired: true, hasField: true };
}

/** A key that only feeds another key's field. */
export function feeding<Value>(row: Row<Value>): Row<Value> {
  return { ...row, hasField: false };
}

export const U32_MAX: number = 0xffff_ffff;
/** Bounds of a `setsockopt` or netlink `int`. */
export const INT_MAX: number = 0x7fff_ffff;
