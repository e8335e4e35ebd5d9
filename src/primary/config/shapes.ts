/**
 * Shapes of values: what a node of the tree has to be, how it is read, and what is said when it is refused. A value is
 * checked by being parsed, once: what a shape returns is what `Config` holds. The key table (`keys.ts`) gives every key a
 * shape; checks, defaults, JSON Schema and documentation come from that one table.
 *
 * A shape is lenient where Nebula is: at the top of a key a refused value is a warning and the default is in force
 * (`readTree.ts`). `firm` takes that away from a shape: from everything that decides on access, and where Nebula refuses
 * to start too.
 */
import type { JsonSchema } from './jsonSchema.ts';
import { hintOf } from './nearest.ts';
import { type Plain, plainOf } from './plain.ts';
import { IGNORED, type Spot } from './spot.ts';
import type { ConfigNode } from './yamlTree.ts';

export interface Shape<Value> {
  /** A short name of the type for the documentation. */
  readonly type: string;
  /** The words after "expected". */
  readonly expected: string;
  /** What the name of the field in `Config` ends in. */
  readonly suffix: '' | 'Ms' | 'Bytes';
  readonly schema: JsonSchema;
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
  schema: {},
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

/** The same values; one that is refused is an error wherever it stands. */
export function firm<Of extends Shape<unknown>>(shape: Of): Of {
  return { ...shape, read: (spot: Spot) => shape.read(spot.firm()) };
}

/** The same values, and another than the key's default for one that is refused. */
export function otherwise<Value>(shape: Shape<Value>, value: Value, consequence: string): Shape<Value> {
  return { ...shape, read: (spot) => shape.read(spot.lenient(consequence)) ?? value };
}

/** The same values; empty text is none. */
export function unlessEmpty<Of extends Shape<unknown>>(shape: Of): Of {
  return { ...shape, read: (spot: Spot) => (isEmptyText(spot.node) ? undefined : shape.read(spot)) };
}

export function listOf<Value>(of: Shape<Value>): Shape<readonly Value[]> {
  return list(of, (spot, items) => readItems(spot, items, of));
}

/** A list from which refused entries are left out with a warning. */
export function listOfSound<Value>(of: Shape<Value>): Shape<readonly Value[]> {
  return list(of, (spot, items) =>
    items
      .map((node, index) => of.read(spot.child(index, node).lenient(IGNORED)))
      .filter((value) => value !== undefined),
  );
}

/** One value, or a list of them. */
export function oneOrMany<Value>(of: Shape<Value>): Shape<readonly Value[]> {
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
    schema: { type: 'object', additionalProperties: values.schema },
    read: (spot) => {
      const map = spot.map(expected);
      return map === null
        ? undefined
        : all(
            [...map.entries].map(([name, node]): readonly [Key, Value] | undefined => {
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
    schema: {
      type: 'object',
      properties: Object.fromEntries(names.map((name) => [name, fields[name].shape.schema])),
      required: names.filter((name) => fields[name].fallback === undefined),
      additionalProperties: false,
    },
    read: (spot) => {
      const map = spot.map(expected);
      if (map === null) {
        return undefined;
      }
      for (const name of map.entries.keys()) {
        if (!Object.hasOwn(fields, name)) {
          spot.warn(`unknown key${hintOf(name, names)}`, name);
        }
      }
      const values = all(names.map((name) => readField(spot, name, map.entries.get(name), fields[name])));
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

function list<Value>(
  of: Shape<Value>,
  readAll: (spot: Spot, items: readonly ConfigNode[]) => readonly Value[] | undefined,
): Shape<readonly Value[]> {
  const expected = of === any ? 'a list' : `a list (each entry: ${of.expected})`;
  return {
    type: `list of ${of.type}`,
    expected,
    suffix: '',
    schema: { type: 'array', items: of.schema },
    read: (spot) => {
      const node = spot.list(expected);
      return node === null ? undefined : readAll(spot, node.items);
    },
  };
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
    schema: { anyOf: [one.schema, { type: 'array', items: item.schema }] },
    read: (spot) => {
      const { node } = spot;
      if (node.kind === 'list') {
        return readItems(spot, node.items, item);
      }
      if (node.kind === 'map' || node.value === null) {
        spot.mismatch(expected);
        return undefined;
      }
      const value = one.read(spot);
      return value === undefined ? undefined : [value];
    },
  };
}

function readItems<Value>(spot: Spot, items: readonly ConfigNode[], of: Shape<Value>): readonly Value[] | undefined {
  return all(items.map((node, index) => of.read(spot.child(index, node))));
}

function isEmptyText(node: ConfigNode): boolean {
  return node.kind === 'scalar' && node.value === '';
}

/** Undefined when one of them is. */
function all<Value>(values: readonly (Value | undefined)[]): readonly Value[] | undefined {
  const present = values.filter((value) => value !== undefined);
  return present.length === values.length ? present : undefined;
}
