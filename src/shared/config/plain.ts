/** A configuration as plain data: what a merged YAML tree holds, without places. */

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

/** What `parse` makes of each value, without those that it refuses. */
export function parseEach<Value>(values: readonly Plain[], parse: (value: Plain) => Value | null): readonly Value[] {
  return values.map(parse).filter((value) => value !== null);
}
