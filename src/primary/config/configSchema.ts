/**
 * The JSON Schema of a configuration, made from the key table: what `weft schema` prints for editors, and what the
 * loader's structure check runs. Limits of numbers and missing keys are in it for editors only; the loader reads those
 * with the values, because it can say what is in force instead.
 */

import { type JsonSchema, structureCheck } from './jsonSchema.ts';
import type { Key } from './keyRows.ts';
import { keys, sections } from './keys.ts';
import type { PlainMap } from './plain.ts';

/** Of the whole document. */
export function configSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'weft configuration',
    ...sectionSchema(''),
  };
}

/** The pointers of values whose kind or word is not what their key takes. */
export function structureFaults(plain: PlainMap): ReadonlySet<string> {
  const faults = check(plain).filter(({ keyword }) => !FOR_EDITORS.has(keyword));
  return new Set(faults.map(({ pointer }) => pointer));
}

const check = structureCheck(configSchema);

const FOR_EDITORS: ReadonlySet<string> = new Set(['minimum', 'maximum', 'required', 'additionalProperties']);

function sectionSchema(section: string): JsonSchema {
  const children = new Set([...keys.keys(), ...sections].flatMap((path) => childOf(section, path)));
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const name of children) {
    const path = section === '' ? name : `${section}.${name}`;
    const key = keys.get(path);
    properties[name] = key === undefined ? sectionSchema(path) : keySchema(key);
    if (key?.isRequired || [...keys.values()].some((other) => other.isRequired && other.path.startsWith(`${path}.`))) {
      required.push(name);
    }
  }
  return { type: 'object', properties, additionalProperties: false, ...(required.length > 0 ? { required } : {}) };
}

function keySchema({ shape, note, fallback }: Key): JsonSchema {
  return { ...shape.schema, description: note, ...(fallback === undefined ? {} : { default: fallback }) };
}

/** The step below a section on the way to a key. */
function childOf(section: string, path: string): readonly string[] {
  const prefix = section === '' ? '' : `${section}.`;
  return path.startsWith(prefix) && path !== section ? [path.slice(prefix.length).split('.')[0]] : [];
}
