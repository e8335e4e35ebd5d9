/**
 * The structure of what is posted to the local API, by JSON Schema: which fields there are and of which kind. The values
 * are read in `requests.ts`. Every fault names the field and what was expected, as an InspectionError with status 400.
 */
import { type JsonSchema, type StructureFault, structureCheck } from '../config/jsonSchema.ts';
import { InspectionError } from '../inspection/nodeView.ts';

/** Checks one kind of body; what comes back has no field beside those of the schema. */
export type BodyCheck = (body: unknown) => Readonly<Record<string, unknown>>;

const TEXT: JsonSchema = { type: 'string', description: 'text' };
const OPTIONAL_TEXT: JsonSchema = { type: ['string', 'null'], description: 'text' };
const OPTIONAL_FLAG: JsonSchema = { type: ['boolean', 'null'], description: 'true or false' };
const RULES: JsonSchema = { type: ['array', 'null'], description: 'a list of rules' };
const PORT: JsonSchema = {
  type: ['integer', 'null'],
  minimum: 0,
  maximum: 65_535,
  description: 'a number from 0 to 65535',
};

/** Of `POST /v1/firewall/diff`. */
export const diffBody: BodyCheck = bodyOf({ inbound: RULES, outbound: RULES, defaultLocalCidrAny: OPTIONAL_FLAG }, []);

/** Of `POST /v1/why`. */
export const whyBody: BodyCheck = bodyOf(
  {
    source: TEXT,
    destination: TEXT,
    protocol: TEXT,
    sourcePort: PORT,
    destinationPort: PORT,
    identifier: PORT,
    fragment: OPTIONAL_FLAG,
    via: OPTIONAL_TEXT,
  },
  ['source', 'destination', 'protocol'],
);

function bodyOf(properties: Readonly<Record<string, JsonSchema>>, required: readonly string[]): BodyCheck {
  const check = structureCheck(() => ({ type: 'object', properties, required, additionalProperties: false }));
  const names = Object.keys(properties).join(', ');
  return (body) => {
    const faults = check(body);
    const unknown = faults.flatMap(({ keyword, property }) => (keyword === 'additionalProperties' ? [property] : []));
    if (unknown.length > 0) {
      throw new InspectionError(400, `unknown: ${unknown.map(show).join(', ')}; there are ${names}`);
    }
    const map = typeof body === 'object' && body !== null ? { ...body } : {};
    if (faults.length > 0) {
      throw new InspectionError(400, faultText(faults[0], properties, map));
    }
    return map;
  };
}

function faultText(
  { pointer, property }: StructureFault,
  properties: Readonly<Record<string, JsonSchema>>,
  map: Readonly<Record<string, unknown>>,
): string {
  if (property !== null) {
    return `${property} is missing`;
  }
  const name = pointer.slice(1);
  if (name === '') {
    return `expected an object with ${Object.keys(properties).join(', ')}`;
  }
  return map[name] === null
    ? `${name} is missing`
    : `${name}: expected ${properties[name].description}, not ${show(map[name])}`;
}

/** A value of the caller for a message, bounded. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
