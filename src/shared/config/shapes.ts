/**
 * Shapes of values: how a node of the tree is read, and what is said when it is refused. A value is checked by being
 * parsed, once: what a shape returns is what `Config` holds. The key table (`keys.ts`) gives every key a shape; checks,
 * defaults and documentation come from that one table.
 */
import { nearestOf } from './nearest.ts';
import { type Plain, plainOf } from './plain.ts';
import type { Spot } from './spot.ts';
import type { ConfigNode } from './yamlTree.ts';

export interface Shape<Value> {
  /** A short name of the type for the documentation. */
  readonly type: string;
  /** The words after "expected". */
  readonly expected: string;
  /** What the name of the field in `Config` ends in. */
  readonly suffix: '' | 'Ms' | 'Bytes';
  /** Undefined when the value is refused, which has been reported then. */
  read(spot: Spot): Value | undefined;
}

/** The shape of a single value; map keys have one too. */
export interface Scalar<Value> extends Shape<Value> {
  /** Null when the value is refused. */
  parse(value: unknown): Value | null;
}

/** Anything: read and checked by the part that owns it. */
export const any: Shape<Plain> = {
  type: 'value',
  expected: 'any value',
  suffix: '',
  read: ({ node }) => plainOf(node),
};

/** The same values, and what `make` does with them; it reports what it refuses. */
export function mapped<From, To>(shape: Shape<From>, make: (value: From, spot: Spot) => To | undefined): Shape<To> {
  return {
    ...shape,
    read: (spot) => {
      const value = shape.read(spot);
      return value === undefined ? undefined : make(value, spot);
    },
  };
}

export function listOf<Value>(of: Shape<Value>): Shape<readonly Value[]> {
  const expected = of === any ? 'a list' : `a list (each entry: ${of.expected})`;
  return {
    type: `list of ${of.type}`,
    expected,
    suffix: '',
    read: (spot) => (spot.node.kind === 'list' ? readItems(spot, spot.node.items, of) : refuse(spot, expected)),
  };
}

/** One value, or a list of them. */
export function oneOrMany<Value>(of: Scalar<Value>): Shape<readonly Value[]> {
  return oneOrList(of, of, `${of.type} or list`, `${of.expected}, or a list of such`);
}

/** One value, or a list of maps. */
export function oneOrObjects<Value>(of: Shape<Value>, objects: Shape<Value>): Shape<readonly Value[]> {
  return oneOrList(of, objects, `${of.type} or list of maps`, `${of.expected}, or a list of maps`);
}

/** Operator-chosen keys, in the order of the file. */
export function mapOf<Key, Value>(
  keys: Scalar<Key>,
  values: Shape<Value>,
): Shape<readonly (readonly [key: Key, value: Value])[]> {
  const expected = values === any ? 'a map' : `a map (key: ${keys.expected}; value: ${values.expected})`;
  return {
    type: `map ${keys.type} → ${values.type}`,
    expected,
    suffix: '',
    read: (spot) => {
      if (spot.node.kind !== 'map') {
        return refuse(spot, expected);
      }
      return all(
        [...spot.node.entries].map(([name, node]): readonly [Key, Value] | undefined => {
          const child = spot.child(name, node);
          const key = keys.parse(name);
          if (key === null) {
            child.keyMismatch(keys.expected);
          }
          const value = values.read(child);
          return key === null || value === undefined ? undefined : [key, value];
        }),
      );
    },
  };
}

/** Without a fallback the field is required. */
export interface Field<Value> {
  readonly shape: Shape<Value>;
  readonly fallback: Value | undefined;
}

type Fields = Readonly<Record<string, Field<unknown>>>;
type ValuesOf<Of extends Fields> = { readonly [Name in keyof Of]: Of[Name] extends Field<infer Value> ? Value : never };

export function field<Value>(shape: Shape<Value>, fallback?: Value): Field<Value> {
  return { shape, fallback };
}

/** Fixed fields; a warning names the others. */
export function objectOf<Of extends Fields>(fields: Of): Shape<ValuesOf<Of>> {
  const names = Object.keys(fields);
  const expected = `a map with ${names.join(', ')}`;
  return {
    type: 'map',
    expected,
    suffix: '',
    read: (spot) => {
      const { node } = spot;
      if (node.kind !== 'map') {
        return refuse(spot, expected);
      }
      for (const name of node.entries.keys()) {
        if (!Object.hasOwn(fields, name)) {
          const nearest = nearestOf(name, names);
          spot.warn(`unknown key${nearest === null ? '' : `; did you mean ${nearest}?`}`, name);
        }
      }
      const values = all(names.map((name) => readField(spot, name, node.entries.get(name), fields[name])));
      // Each value was read by the shape of its name.
      return values === undefined
        ? undefined
        : (Object.fromEntries(names.map((name, index) => [name, values[index]])) as ValuesOf<Of>);
    },
  };
}

function readField(
  spot: Spot,
  name: string,
  node: ConfigNode | undefined,
  { shape, fallback }: Field<unknown>,
): unknown {
  if (node !== undefined) {
    return shape.read(spot.child(name, node));
  }
  if (fallback === undefined) {
    spot.error(`is missing; expected ${shape.expected}`, name);
  }
  return fallback;
}

function oneOrList<Value>(
  one: Shape<Value>,
  item: Shape<Value>,
  type: string,
  expected: string,
): Shape<readonly Value[]> {
  return {
    type,
    expected,
    suffix: '',
    read: (spot) => {
      const { node } = spot;
      if (node.kind === 'list') {
        return readItems(spot, node.items, item);
      }
      if (node.kind === 'map' || node.value === null) {
        return refuse(spot, expected);
      }
      const value = one.read(spot);
      return value === undefined ? undefined : [value];
    },
  };
}

function readItems<Value>(spot: Spot, items: readonly ConfigNode[], of: Shape<Value>): readonly Value[] | undefined {
  return all(items.map((node, index) => of.read(spot.child(index, node))));
}

/** Undefined when one of them is. */
function all<Value>(values: readonly (Value | undefined)[]): readonly Value[] | undefined {
  const present = values.filter((value) => value !== undefined);
  return present.length === values.length ? present : undefined;
}

function refuse(spot: Spot, expected: string): undefined {
  spot.mismatch(expected);
  return undefined;
}
