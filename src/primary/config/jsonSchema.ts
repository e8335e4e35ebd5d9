/**
 * JSON Schema and the one place that runs it, with ajv: where the structure of data is not what a schema says (kinds of
 * values, words of an enumeration). Values are not read here; whoever asks says in its own words what was expected.
 */
import { Ajv } from 'ajv';

/** A schema of draft 7, as far as it is written here. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** A place that is not as the schema has it. */
export interface StructureFault {
  /** JSON pointer (RFC 6901). */
  readonly pointer: string;
  readonly keyword: string;
  /** The name of the property that is missing or unknown. */
  readonly property: string | null;
}

/** All faults of a value; none when it is as the schema has it. */
export type StructureCheck = (value: unknown) => readonly StructureFault[];

/** Compiles a schema at its first use: that takes some 20 ms for a configuration's. */
export function structureCheck(makeSchema: () => JsonSchema): StructureCheck {
  let check: StructureCheck | null = null;
  return (value) => {
    check ??= compiled(makeSchema());
    return check(value);
  };
}

/** The pointer of a path. */
export function pointerOf(steps: readonly (string | number)[]): string {
  return steps.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function compiled(schema: JsonSchema): StructureCheck {
  // A test checks the schemas themselves; leaving that out here saves a quarter of the first check.
  const ajv = new Ajv({ allErrors: true, meta: false, validateSchema: false, strictTypes: false, logger: false });
  const validate = ajv.compile(schema);
  return (value) =>
    validate(value)
      ? []
      : (validate.errors ?? []).map(({ instancePath, keyword, params }) => ({
          pointer: instancePath,
          keyword,
          property: propertyOf(params),
        }));
}

function propertyOf(params: Readonly<Record<string, unknown>>): string | null {
  const name = params.missingProperty ?? params.additionalProperty;
  return typeof name === 'string' ? name : null;
}
