/** A configuration as plain data: what a merged YAML tree holds, without places. */
import type { ConfigNode } from './yamlTree.ts';

export type Plain = string | number | boolean | null | readonly Plain[] | PlainMap;
export type PlainMap = { readonly [key: string]: Plain };

export function isMap(value: Plain | undefined): value is PlainMap {
  return typeof value === 'object' && value !== null && !isList(value);
}

export function isList(value: Plain | undefined): value is readonly Plain[] {
  return Array.isArray(value);
}

/** What stands at a dotted key path; undefined when nothing does. */
export function lookup(plain: PlainMap, path: string): Plain | undefined {
  let value: Plain | undefined = plain;
  for (const step of path.split('.')) {
    value = isMap(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value;
}

/** A node without its places. */
export function plainOf(node: ConfigNode): Plain {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(plainOf);
    case 'map':
      return Object.fromEntries([...node.entries].map(([name, child]) => [name, plainOf(child)]));
  }
}

/** The other way round: a node that stands nowhere. */
export function nodeOf(value: Plain): ConfigNode {
  const place = { file: '', line: 0 };
  if (isList(value)) {
    return { kind: 'list', place, items: value.map(nodeOf) };
  }
  return isMap(value)
    ? { kind: 'map', place, entries: new Map(Object.entries(value).map(([name, child]) => [name, nodeOf(child)])) }
    : { kind: 'scalar', place, value, text: String(value) };
}
