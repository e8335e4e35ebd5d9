/**
 * Shapes of values: scalars, lists, maps and objects, and the JSON schema that ajv compiles from them. The key table
 * (`keys.ts`) gives every key a shape; schema, defaults, documentation and typed readers all come from that one table.
 */
import { expectedScalar, type Scalar } from './scalars.ts';

export type Shape =
  | Scalar
  | { readonly is: 'list'; readonly of: Shape }
  /** One value, or a list of them. */
  | { readonly is: 'oneOrMany'; readonly of: Scalar }
  /** One value, or a list of objects. */
  | { readonly is: 'oneOrObjects'; readonly of: Scalar; readonly objects: Shape }
  /** Operator-chosen keys. `special` are keys with a shape of their own. */
  | {
      readonly is: 'map';
      readonly keys: Scalar;
      readonly values: Shape;
      readonly special: Readonly<Record<string, Shape>>;
    }
  | { readonly is: 'object'; readonly fields: Readonly<Record<string, Shape>>; readonly required: readonly string[] }
  /** Anything: read and checked by the part that owns it. */
  | { readonly is: 'any' };

/** JSON schema with the keywords `scalar` (see `validate.ts`) and `expected` (the words after "expected"). */
export type JsonSchema = { readonly [keyword: string]: unknown };

export const text: Shape = { is: 'text', mayBeEmpty: true, secret: false };
export const name: Shape = { is: 'text', mayBeEmpty: false, secret: false };
export const secret: Shape = { is: 'text', mayBeEmpty: false, secret: true };
export const flag: Shape = { is: 'flag' };
export const permission: Shape = { is: 'permission' };
export const address: Shape = { is: 'address' };
export const prefix: Shape = { is: 'prefix' };
export const hostPort: Shape = { is: 'hostPort' };
export const fingerprint: Shape = { is: 'fingerprint' };
export const device: Shape = { is: 'device' };
export const any: Shape = { is: 'any' };
export const duration: Shape = { is: 'duration', min: 'zero' };
export const positiveDuration: Shape = { is: 'duration', min: 'positive' };

export function integer(min: number, max: number, unit: '' | 'seconds' | 'bytes' = ''): Shape {
  return { is: 'integer', min, max, unit };
}

export function choice(...of: readonly string[]): Shape {
  return { is: 'choice', of, ifTrue: '', ifFalse: '' };
}

/** A choice in whose place a switch may stand. */
export function choiceOrFlag(ifTrue: string, ifFalse: string, ...of: readonly string[]): Shape {
  return { is: 'choice', of, ifTrue, ifFalse };
}

export function listOf(of: Shape): Shape {
  return { is: 'list', of };
}

export function mapOf(keys: Scalar, values: Shape, special: Readonly<Record<string, Shape>> = {}): Shape {
  return { is: 'map', keys, values, special };
}

export function objectOf(fields: Readonly<Record<string, Shape>>, ...required: readonly string[]): Shape {
  return { is: 'object', fields, required };
}

/** The schema of a shape. */
export function schemaOf(shape: Shape): JsonSchema {
  switch (shape.is) {
    case 'any':
      return {};
    case 'list':
      return { type: 'array', expected: expectedOf(shape), items: schemaOf(shape.of) };
    case 'oneOrMany':
    case 'oneOrObjects': {
      const entry = shape.is === 'oneOrMany' ? shape.of : shape.objects;
      return {
        type: ['array', 'string', 'number', 'boolean'],
        expected: expectedOf(shape),
        ...conditional({ type: 'array' }, { items: schemaOf(entry) }, schemaOf(shape.of)),
      };
    }
    case 'map': {
      const special = Object.entries(shape.special);
      const isSpecial = { enum: special.map(([key]) => key) };
      const keys = schemaOf(shape.keys);
      return {
        type: 'object',
        expected: expectedOf(shape),
        properties: Object.fromEntries(special.map(([key, value]) => [key, schemaOf(value)])),
        propertyNames: special.length === 0 ? keys : conditional(isSpecial, {}, keys),
        additionalProperties: schemaOf(shape.values),
      };
    }
    case 'object':
      return {
        type: 'object',
        expected: expectedOf(shape),
        properties: Object.fromEntries(Object.entries(shape.fields).map(([key, value]) => [key, schemaOf(value)])),
        required: shape.required,
      };
    default:
      return { scalar: shape, expected: expectedScalar(shape) };
  }
}

/** The words after "expected". */
export function expectedOf(shape: Shape): string {
  switch (shape.is) {
    case 'any':
      return 'any value';
    case 'list':
      return shape.of.is === 'any' ? 'a list' : `a list (each entry: ${expectedOf(shape.of)})`;
    case 'oneOrMany':
      return `${expectedScalar(shape.of)}, or a list of such`;
    case 'oneOrObjects':
      return `${expectedScalar(shape.of)}, or a list of maps`;
    case 'map':
      return shape.values.is === 'any'
        ? 'a map'
        : `a map (key: ${expectedScalar(shape.keys)}; value: ${expectedOf(shape.values)})`;
    case 'object':
      return `a map with ${Object.keys(shape.fields).join(', ')}`;
    default:
      return expectedScalar(shape);
  }
}

/** A short name of the type for the documentation. */
export function shapeName(shape: Shape): string {
  switch (shape.is) {
    case 'list':
      return `list of ${shapeName(shape.of)}`;
    case 'oneOrMany':
      return `${shapeName(shape.of)} or list`;
    case 'oneOrObjects':
      return `${shapeName(shape.of)} or list of maps`;
    case 'map':
      return `map ${shapeName(shape.keys)} → ${shapeName(shape.values)}`;
    case 'object':
      return 'map';
    case 'choice':
      return shape.of.filter((word) => word !== '').join(', ');
    case 'integer':
      return shape.unit === '' ? 'number' : `number of ${shape.unit}`;
    case 'flag':
    case 'permission':
      return 'true/false';
    case 'prefix':
      return 'network';
    case 'hostPort':
      return 'host:port';
    case 'device':
      return 'interface name';
    case 'any':
      return 'value';
    default:
      return shape.is;
  }
}

function conditional(condition: JsonSchema, whenTrue: JsonSchema, whenFalse: JsonSchema): JsonSchema {
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON schema
  return { if: condition, then: whenTrue, else: whenFalse };
}
