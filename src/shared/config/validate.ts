/**
 * Checks a merged tree against the JSON schema made from the key table, with ajv: types, ranges and spellings of every
 * value, all faults at once, each with its line. What depends on several keys is in `checks.ts`.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Key } from './keyRows.ts';
import { keys, sections } from './keys.ts';
import type { Plain, PlainMap } from './plain.ts';
import { errorAt, formatPath, mismatchAt, type PathStep, type Place, type Problem, showText } from './problems.ts';
import { accepts, type Scalar } from './scalars.ts';
import { expectedOf, type JsonSchema, schemaOf } from './shapes.ts';
import type { ConfigNode, MapNode } from './yamlTree.ts';

export interface ValidatedTree {
  /** The tree as plain data; keys without a value are left out. */
  readonly plain: PlainMap;
  readonly problems: readonly Problem[];
  /** Whether this key, or a section above it, has an error: then what depends on it is not worth checking. */
  readonly isBroken: (path: string) => boolean;
}

/** The JSON schema of a whole configuration. Unknown keys are allowed: `unknownKeys.ts` warns about them. */
export function configSchema(): JsonSchema {
  return sectionSchema('');
}

export function validateTree(root: MapNode): ValidatedTree {
  const plain = sectionToPlain(root, '');
  const validator = compiledSchema();
  const problems = new Map<string, Problem>();
  const broken: string[] = [];
  if (!validator(withRequiredSections(plain))) {
    for (const error of validator.errors ?? []) {
      const steps = stepsOf(root, error);
      const path = formatPath(steps);
      if (!CONTAINER_KEYWORDS.has(error.keyword) && !problems.has(path)) {
        problems.set(path, problemOf(root, error, steps));
        broken.push(keyPathOf(steps));
      }
    }
  }
  const isBroken = (path: string) => broken.some((other) => path === other || path.startsWith(`${other}.`));
  return { plain, problems: [...problems.values()], isBroken };
}

/** The node that a path leads to, or the deepest one on the way, with what is left of the path. */
export function nodeAt(root: MapNode, steps: readonly PathStep[]): { node: ConfigNode; rest: readonly PathStep[] } {
  let node: ConfigNode = root;
  for (const [index, step] of steps.entries()) {
    const next: ConfigNode | undefined =
      node.kind === 'list'
        ? node.items[Number(step)]
        : node.kind === 'map'
          ? node.entries.get(String(step))
          : undefined;
    if (next === undefined) {
      return { node, rest: steps.slice(index) };
    }
    node = next;
  }
  return { node, rest: [] };
}

/** Where a dotted key stands, or the nearest section above it. */
export function placeOf(root: MapNode, path: string): Place {
  return nodeAt(root, path.split('.')).node.place;
}

/** Keywords that only repeat what a keyword inside them has said. */
const CONTAINER_KEYWORDS: ReadonlySet<string> = new Set(['if', 'propertyNames']);

let compiled: ValidateFunction | null = null;

function compiledSchema(): ValidateFunction {
  if (compiled === null) {
    // A test checks the schema against the meta schema; leaving that out here saves a quarter of the first load (50 ms).
    const unchecked = { meta: false, validateSchema: false, strictTypes: false, logger: false } as const;
    const ajv = new Ajv({ allErrors: true, verbose: true, ...unchecked });
    ajv.addVocabulary(['expected']);
    ajv.addKeyword({
      keyword: 'scalar',
      schemaType: 'object',
      errors: false,
      compile: (scalar: Scalar) => (value: unknown) => accepts(scalar, value),
    });
    compiled = ajv.compile(configSchema());
  }
  return compiled;
}

function sectionSchema(section: string): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const key of keys.values()) {
    const name = childName(section, key.path);
    if (name === null) {
      continue;
    }
    const path = section === '' ? name : `${section}.${name}`;
    const leaf = keys.get(path);
    properties[name] = leaf === undefined ? sectionSchema(path) : schemaOf(leaf.shape);
    if (leaf?.isRequired) {
      required.push(name);
    }
  }
  return { type: 'object', expected: 'a map of settings', properties, required };
}

/** The step that leads from a section towards a key below it; null when the key is elsewhere. */
function childName(section: string, path: string): string | null {
  if (section === '') {
    return path.split('.')[0];
  }
  return path.startsWith(`${section}.`) ? path.slice(section.length + 1).split('.')[0] : null;
}

function sectionToPlain(node: MapNode, section: string): PlainMap {
  const entries: [string, Plain][] = [];
  for (const [name, child] of node.entries) {
    const path = section === '' ? name : `${section}.${name}`;
    const isSection = sections.has(path) && child.kind === 'map';
    const value = isSection ? sectionToPlain(child, path) : toPlain(child);
    // A key without a value is a key that is not there; inside lists and tables it would hide a mistake.
    if (value !== null) {
      entries.push([name, value]);
    }
  }
  return Object.fromEntries(entries);
}

function toPlain(node: ConfigNode): Plain {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(toPlain);
    case 'map':
      return Object.fromEntries([...node.entries].map(([name, child]) => [name, toPlain(child)]));
  }
}

/** An absent section must not hide that its keys are required. */
function withRequiredSections(plain: PlainMap): PlainMap {
  const names = [...keys.values()].filter((key) => key.isRequired).map((key) => key.path.split('.')[0]);
  return { ...Object.fromEntries(names.map((name) => [name, {}])), ...plain };
}

function stepsOf(root: MapNode, error: ErrorObject): readonly PathStep[] {
  const names = error.instancePath.split('/').slice(1);
  const steps: PathStep[] = [];
  for (const name of names) {
    const unescaped = name.replaceAll('~1', '/').replaceAll('~0', '~');
    const { node, rest } = nodeAt(root, steps);
    steps.push(rest.length === 0 && node.kind === 'list' ? Number(unescaped) : unescaped);
  }
  if (error.propertyName !== undefined) {
    steps.push(error.propertyName);
  }
  if (error.keyword === 'required') {
    steps.push(String(error.params.missingProperty));
  }
  return steps;
}

function problemOf(root: MapNode, error: ErrorObject, steps: readonly PathStep[]): Problem {
  const { node, rest } = nodeAt(root, steps);
  const path = formatPath(steps);
  const key = keys.get(keyPathOf(steps));
  if (error.keyword === 'required') {
    const field = error.parentSchema?.properties?.[String(error.params.missingProperty)]?.expected;
    const what = key?.isRequired ? expectedRequired(key) : String(field ?? 'a value');
    return errorAt(node.place, path, `is missing; expected ${what}`);
  }
  const expected = String(error.parentSchema?.expected ?? error.message);
  if (error.propertyName !== undefined) {
    return mismatchAt(node.place, path, `${expected} as key`, showText(error.propertyName));
  }
  return mismatchAt(node.place, path, expected, rest.length > 0 ? 'nothing' : describe(node, key));
}

function expectedRequired(key: Key): string {
  return key.note === '' ? expectedOf(key.shape) : lowerFirst(key.note.split('. ')[0].replace(/\.$/, ''));
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text[0].toLowerCase() + text.slice(1) : text;
}

function describe(node: ConfigNode, key: Key | undefined): string {
  if (node.kind !== 'scalar') {
    return node.kind === 'list' ? 'a list' : 'a map';
  }
  if (node.value === null) {
    return 'nothing';
  }
  return key?.shape.is === 'text' && key.shape.secret ? 'a value that is not shown' : showText(node.text);
}

/** The longest prefix of a path that is a key or a section. */
function keyPathOf(steps: readonly PathStep[]): string {
  const names: string[] = [];
  for (const step of steps) {
    const path = [...names, step].join('.');
    if (!keys.has(path) && !sections.has(path)) {
      break;
    }
    names.push(String(step));
  }
  return names.join('.');
}
