/**
 * Warns about keys that nobody reads and names the key that was probably meant. Warnings, not errors: files written for
 * other versions of Nebula have such keys. Fields of maps inside lists are looked at where they are read (`shapes.ts`).
 */
import { keys, sections } from './keys.ts';
import { hintOf, squeezed } from './nearest.ts';
import { type Problem, warningAt } from './problems.ts';
import type { MapNode } from './yamlTree.ts';

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
    const isName = !name.includes('.');
    if (isName && sections.has(path)) {
      if (child.kind === 'map') {
        visitSection(child, path, warnings);
      }
    } else if (!isName || !keys.has(path)) {
      const removed = REMOVED.get(path);
      warnings.push(warningAt(child.place, path, removed ?? `unknown key${hintFor(section, name)}`));
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
  return hintOf(name, siblings, section === '' ? '' : `${section}.`);
}

function childNames(section: string): readonly string[] {
  const prefix = section === '' ? '' : `${section}.`;
  return [...keys.keys(), ...sections]
    .filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes('.'))
    .map((path) => path.slice(prefix.length));
}

function lastStep(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}
