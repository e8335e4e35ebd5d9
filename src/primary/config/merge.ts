/**
 * Joins the files of a configuration directory exactly as Nebula does (Nebula protocol: config loading): files in sorted
 * order, a later scalar wins unless it is empty (false, 0, "" or null), maps are joined key by key, lists are
 * concatenated with the later file's entries first. Of different kinds the later one wins by the same rule, but what comes
 * after a list must be one. The surprises of these rules, a later `false` that does not undo an earlier `true` or a map
 * that replaces a value, are reported as warnings.
 */
import { errorAt, formatPath, type Place, type Problem, warningAt } from './problems.ts';
import type { ConfigNode, MapNode, ScalarNode } from './yamlTree.ts';

export interface MergedMaps {
  readonly root: MapNode;
  readonly problems: readonly Problem[];
}

/** Joins maps in file order; `place` stands for the whole. */
export function mergeMaps(maps: readonly MapNode[], place: Place): MergedMaps {
  const problems: Problem[] = [];
  let root: MapNode = { kind: 'map', place, entries: new Map() };
  for (const map of maps) {
    root = { ...mergeTwo(root, map, [], problems), place };
  }
  return { root: maps.length === 1 ? maps[0] : root, problems };
}

function mergeTwo(earlier: MapNode, later: MapNode, path: readonly string[], problems: Problem[]): MapNode {
  const entries = new Map<string, ConfigNode>(later.entries);
  for (const [key, before] of earlier.entries) {
    const after = later.entries.get(key);
    entries.set(key, after === undefined ? before : mergeValues(before, after, [...path, key], problems));
  }
  return { kind: 'map', place: later.place, entries };
}

function mergeValues(earlier: ConfigNode, later: ConfigNode, path: readonly string[], problems: Problem[]): ConfigNode {
  if (isNull(later)) {
    return earlier;
  }
  if (isNull(earlier)) {
    return later;
  }
  if (earlier.kind === 'map' && later.kind === 'map') {
    return mergeTwo(earlier, later, path, problems);
  }
  if (earlier.kind === 'list' && later.kind === 'list') {
    return { kind: 'list', place: later.place, items: [...later.items, ...earlier.items] };
  }
  if (earlier.kind === 'scalar' && later.kind === 'scalar') {
    return mergeScalars(earlier, later, path, problems);
  }
  return mergeKinds(earlier, later, path, problems);
}

/** Different kinds: the later one takes the other's place, but nothing takes that of a list. */
function mergeKinds(earlier: ConfigNode, later: ConfigNode, path: readonly string[], problems: Problem[]): ConfigNode {
  const there = `${kindName(earlier)} in ${earlier.place.file}:${earlier.place.line}`;
  if (earlier.kind === 'list') {
    const message = `${kindName(later)} here, but ${there}; they cannot be merged`;
    problems.push(errorAt(later.place, formatPath(path), message));
    return later;
  }
  const [result, message] = isEmpty(later)
    ? [earlier, `${kindName(later)} here that is empty, so ${there} stays in force; remove one of them`]
    : [later, `${kindName(later)} here takes the place of ${there}; remove one of them`];
  problems.push(warningAt(later.place, formatPath(path), message));
  return result;
}

function mergeScalars(
  earlier: ScalarNode,
  later: ScalarNode,
  path: readonly string[],
  problems: Problem[],
): ConfigNode {
  if (!isEmpty(later)) {
    return later;
  }
  if (earlier.value !== later.value) {
    const message =
      `the value here is empty (false, 0 or ""), so the one in ${earlier.place.file}:${earlier.place.line} ` +
      'stays in force; remove it there';
    problems.push(warningAt(later.place, formatPath(path), message));
  }
  return earlier;
}

function isEmpty(node: ConfigNode): boolean {
  switch (node.kind) {
    case 'scalar':
      return node.value === '' || node.value === false || node.value === 0;
    case 'list':
      return node.items.length === 0;
    case 'map':
      return node.entries.size === 0;
  }
}

function isNull(node: ConfigNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

function kindName(node: ConfigNode): string {
  return node.kind === 'list' ? 'a list' : node.kind === 'map' ? 'a map' : 'a single value';
}
