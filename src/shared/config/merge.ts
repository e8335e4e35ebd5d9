/**
 * Joins the files of a configuration directory exactly as Nebula does (Nebula protocol: config loading): files in sorted
 * order, a later scalar wins unless it is empty (false, 0, "" or null), maps are joined key by key, lists are
 * concatenated with the later file's entries first. A list against something else is an error. The one surprise of these
 * rules, a later `false` that does not undo an earlier `true`, is reported as a warning.
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
  const message = `${kindName(later)} here, but ${kindName(earlier)} in ${earlier.place.file}:${earlier.place.line}; they cannot be merged`;
  problems.push(errorAt(later.place, formatPath(path), message));
  return later;
}

function mergeScalars(
  earlier: ScalarNode,
  later: ScalarNode,
  path: readonly string[],
  problems: Problem[],
): ConfigNode {
  if (later.value !== '' && later.value !== false && later.value !== 0) {
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

function isNull(node: ConfigNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

function kindName(node: ConfigNode): string {
  return node.kind === 'list' ? 'a list' : node.kind === 'map' ? 'a map' : 'a single value';
}
