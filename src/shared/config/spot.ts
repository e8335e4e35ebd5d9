/** A value of the merged tree with its path: what a shape is given to read, and where it reports what is wrong. */
import {
  errorAt,
  formatPath,
  mismatchAt,
  type PathStep,
  type Place,
  type Problem,
  showText,
  warningAt,
} from './problems.ts';
import type { ConfigNode, MapNode } from './yamlTree.ts';

export class Spot {
  readonly node: ConfigNode;
  readonly #path: readonly PathStep[];
  readonly #problems: Problem[];

  constructor(node: ConfigNode, path: readonly PathStep[], problems: Problem[]) {
    this.node = node;
    this.#path = path;
    this.#problems = problems;
  }

  child(step: PathStep, node: ConfigNode): Spot {
    return new Spot(node, [...this.#path, step], this.#problems);
  }

  /** Another node in the same place. */
  with(node: ConfigNode): Spot {
    return new Spot(node, this.#path, this.#problems);
  }

  /** The value is no such thing, which is not worth a word when its key is none. A secret is not shown. */
  mismatch(expected: string, isSecret: boolean = false): void {
    const path = formatPath(this.#path);
    if (this.#problems[this.#problems.length - 1]?.path !== path) {
      this.#problems.push(mismatchAt(this.node.place, path, expected, describe(this.node, isSecret)));
    }
  }

  /** The key under which the value stands is no such thing. */
  keyMismatch(expected: string): void {
    const key = String(this.#path[this.#path.length - 1]);
    const { place } = this.node;
    this.#problems.push(mismatchAt(place, formatPath(this.#path), `${expected} as key`, showText(key)));
  }

  /** An error of the value, or of what lies at the end of `steps` below it. */
  error(message: string, ...steps: readonly PathStep[]): void {
    const { place } = nodeAt(this.node, steps).node;
    this.#problems.push(errorAt(place, formatPath([...this.#path, ...steps]), message));
  }

  /** The same as a warning. */
  warn(message: string, ...steps: readonly PathStep[]): void {
    const { place } = nodeAt(this.node, steps).node;
    this.#problems.push(warningAt(place, formatPath([...this.#path, ...steps]), message));
  }
}

/** The node that a path leads to, or the deepest one on the way, with what is left of the path. */
export function nodeAt(
  root: ConfigNode,
  steps: readonly PathStep[],
): { readonly node: ConfigNode; readonly rest: readonly PathStep[] } {
  let node = root;
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

function describe(node: ConfigNode, isSecret: boolean): string {
  if (node.kind !== 'scalar') {
    return node.kind === 'list' ? 'a list' : 'a map';
  }
  if (node.value === null) {
    return 'nothing';
  }
  return isSecret ? 'a value that is not shown' : showText(node.text);
}
