/**
 * Warns about keys that nobody reads and names the key that was probably meant. Warnings, not errors: files written for
 * other versions of Nebula have such keys.
 */
import { keys, sections } from './keys.ts';
import { formatPath, type PathStep, type Problem, warningAt } from './problems.ts';
import type { Shape } from './shapes.ts';
import type { ConfigNode, MapNode } from './yamlTree.ts';

export function unknownKeyWarnings(root: MapNode): readonly Problem[] {
  const warnings: Problem[] = [];
  visitSection(root, '', warnings);
  return warnings;
}

/** Keys that Nebula had once, with what became of them. */
const REMOVED: ReadonlyMap<string, string> = new Map([
  ['pki.blacklist', 'is no longer read, so nothing in it is blocked; move its entries to pki.blocklist'],
  ['handshakes.wait_rotation', 'has no effect since Nebula 1.4; remove it'],
]);

function visitSection(node: MapNode, section: string, warnings: Problem[]): void {
  for (const [name, child] of node.entries) {
    const path = section === '' ? name : `${section}.${name}`;
    // A dot inside a name makes it a literal name that nobody reads, whatever the whole looks like.
    const key = name.includes('.') ? undefined : keys.get(path);
    if (key !== undefined) {
      visitShape(child, key.shape, path.split('.'), warnings);
    } else if (sections.has(path) && !name.includes('.')) {
      if (child.kind === 'map') {
        visitSection(child, path, warnings);
      }
    } else {
      const removed = REMOVED.get(path);
      warnings.push(warningAt(child.place, path, removed ?? `unknown key${hintFor(section, name)}`));
    }
  }
}

/** Objects inside lists have fixed fields too (`tun.unsafe_routes[0].metric`). */
function visitShape(node: ConfigNode, shape: Shape, path: readonly PathStep[], warnings: Problem[]): void {
  const entryShape = shape.is === 'list' ? shape.of : shape.is === 'oneOrObjects' ? shape.objects : null;
  if (node.kind === 'list' && entryShape !== null) {
    for (const [index, item] of node.items.entries()) {
      visitShape(item, entryShape, [...path, index], warnings);
    }
  } else if (node.kind === 'map' && shape.is === 'map') {
    for (const [name, child] of node.entries) {
      visitShape(child, shape.special[name] ?? shape.values, [...path, name], warnings);
    }
  } else if (node.kind === 'map' && shape.is === 'object') {
    for (const [name, child] of node.entries) {
      const field = Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined;
      if (field !== undefined) {
        visitShape(child, field, [...path, name], warnings);
      } else {
        const nearest = nearestOf(name, Object.keys(shape.fields));
        const hint = nearest === null ? '' : `; did you mean ${nearest}?`;
        warnings.push(warningAt(child.place, formatPath([...path, name]), `unknown key${hint}`));
      }
    }
  }
}

function hintFor(section: string, name: string): string {
  if (name.includes('.')) {
    const path = section === '' ? name : `${section}.${name}`;
    return keys.has(path) ? '; write nested maps instead of dots' : '';
  }
  const siblings = childNames(section);
  const elsewhere = [...keys.keys(), ...sections].find((path) => squeezed(lastStep(path)) === squeezed(name));
  const isSibling = siblings.some((sibling) => squeezed(sibling) === squeezed(name));
  if (elsewhere !== undefined && !isSibling) {
    return `; did you mean ${elsewhere}?`;
  }
  const nearest = nearestOf(name, siblings);
  return nearest === null ? '' : `; did you mean ${section === '' ? nearest : `${section}.${nearest}`}?`;
}

function childNames(section: string): readonly string[] {
  const prefix = section === '' ? '' : `${section}.`;
  return [...keys.keys(), ...sections]
    .filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes('.'))
    .map((path) => path.slice(prefix.length));
}

/** The candidate with the fewest edits, if they are few for a word of this length. */
function nearestOf(name: string, candidates: readonly string[]): string | null {
  const word = squeezed(name);
  let nearest: string | null = null;
  let fewest = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const edits = editDistance(word, squeezed(candidate));
    if (edits < fewest) {
      fewest = edits;
      nearest = candidate;
    }
  }
  return nearest;
}

function lastStep(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

function squeezed(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[-_\s]/g, '')
    .slice(0, 64);
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replace = last[column - 1] + Number(a[row - 1] !== b[column - 1]);
      let edits = Math.min(replace, last[column] + 1, current[column - 1] + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        edits = Math.min(edits, beforeLast[column - 2] + 1);
      }
      current.push(edits);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length];
}
