/**
 * What a reload changes: two typed configurations compared key by key, and which changes need a restart. Derived values
 * are compared, not texts: a key moved to its default, or `tun.routines: 2` rewritten as `routines: 2`, is no change.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config.ts';
import type { Key } from './keyRows.ts';
import { keys } from './keys.ts';

export interface ReloadPlan {
  /** Keys whose change a reload applies, as written in YAML, in the order of the key table. */
  readonly changed: readonly string[];
  /** Changed keys that keep their old value until the node is restarted. */
  readonly restartNeeded: readonly string[];
}

/** Every changed key, as written in YAML (`handshakes.try_interval`). */
export function configDifference(old: Config, next: Config): readonly string[] {
  return comparedKeys.filter((key) => !isDeepStrictEqual(fieldOf(old, key), fieldOf(next, key))).map((key) => key.path);
}

export function reloadPlan(old: Config, next: Config): ReloadPlan {
  const paths = configDifference(old, next);
  return {
    changed: paths.filter((path) => keys.get(path)?.isReloadable === true),
    restartNeeded: paths.filter((path) => keys.get(path)?.isReloadable !== true),
  };
}

/** Whether a list of changed keys has one of a section, or the key itself: `touches(plan.changed, 'logging')`. */
export function touches(paths: readonly string[], section: string): boolean {
  return paths.some((path) => path === section || path.startsWith(`${section}.`));
}

/** The keys that have a field in `Config`, in the order of the key table. */
export const comparedKeys: readonly Key[] = [...keys.values()].filter((key) => key.hasField);

/** The value of a key's field; undefined when there is none, which a test rules out for compared keys. */
export function fieldOf(config: Config, key: Key): unknown {
  let value: unknown = config;
  for (const step of fieldPath(key)) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, step) : undefined;
  }
  return value;
}

/** `listen.read_buffer` → listen, readBufferBytes. */
export function fieldPath(key: Key): readonly string[] {
  const steps = key.path
    .split('.')
    .map((step) => step.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase()));
  return [...steps.slice(0, -1), `${steps[steps.length - 1]}${key.shape.suffix}`];
}
