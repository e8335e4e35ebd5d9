/**
 * A value of the merged tree with its path: what a shape is given to read, and where it reports what is wrong.
 *
 * A place is firm or lenient. In a firm one a value that is no such thing is an error. In a lenient one it is a warning
 * that says what is in force instead: there Nebula starts with the default, or leaves the value out, without a word.
 */
import { pointerOf } from './jsonSchema.ts';
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
import { type ConfigNode, isGluedEntry, type ListNode, type MapNode, type ScalarNode } from './yamlTree.ts';

/** The consequence of a value that nothing takes the place of; an empty text asks for nothing and needs no word. */
export const IGNORED = 'it is ignored';

/** What the values of one tree are read with. */
export interface Reading {
  readonly problems: Problem[];
  /** Pointers of the values whose structure is wrong (`configSchema.ts`). */
  readonly faults: ReadonlySet<string>;
}

export class Spot {
  readonly node: ConfigNode;
  readonly #path: readonly PathStep[];
  readonly #reading: Reading;
  /** What is in force in the place of a value that is refused; null in a firm place. */
  readonly #consequence: string | null;

  constructor(node: ConfigNode, path: readonly PathStep[], reading: Reading, consequence: string | null) {
    this.node = node;
    this.#path = path;
    this.#reading = reading;
    this.#consequence = consequence;
  }

  get isLenient(): boolean {
    return this.#consequence !== null;
  }

  child(step: PathStep, node: ConfigNode): Spot {
    return new Spot(node, [...this.#path, step], this.#reading, this.#consequence);
  }

  /** Another node in the same place. */
  with(node: ConfigNode): Spot {
    return new Spot(node, this.#path, this.#reading, this.#consequence);
  }

  /** The same place, where nothing is taken instead. */
  firm(): Spot {
    return new Spot(this.node, this.#path, this.#reading, null);
  }

  /** The same place, where `consequence` follows from a value that is no such thing. */
  lenient(consequence: string): Spot {
    return new Spot(this.node, this.#path, this.#reading, consequence);
  }

  /** The node when it is a single value, else null and a mismatch. A secret is not shown. */
  scalar(expected: string, isSecret: boolean = false): ScalarNode | null {
    return this.node.kind === 'scalar' && this.#isSound() ? this.node : this.#refuse(expected, isSecret);
  }

  /** The node when it is a list, else null and a mismatch. */
  list(expected: string): ListNode | null {
    return this.node.kind === 'list' && this.#isSound() ? this.node : this.#refuse(expected);
  }

  /** The node when it is a map, else null and a mismatch. */
  map(expected: string): MapNode | null {
    if (this.node.kind === 'map' && this.#isSound()) {
      return this.node;
    }
    return this.#refuse(isGluedEntry(this.node) ? `${expected}, with a blank after each colon` : expected);
  }

  /** The value is no such thing, which is not worth a word when its key is none. A secret is not shown. */
  mismatch(expected: string, isSecret: boolean = false): void {
    const isEmpty = this.node.kind === 'scalar' && this.node.value === '';
    if (!this.#isReported() && !(isEmpty && this.#consequence === IGNORED)) {
      this.#pushMismatch(expected, describe(this.node, isSecret), this.#consequence);
    }
  }

  /** A value that another one is taken for. Only for lenient places. */
  takenAs(expected: string, consequence: string): void {
    this.#pushMismatch(expected, describe(this.node, false), consequence);
  }

  /** The key under which the value stands is no such thing. */
  keyMismatch(expected: string): void {
    const key = String(this.#path[this.#path.length - 1]);
    this.#pushMismatch(`${expected} as key`, showText(key), null);
  }

  /** An error of the value, or of what lies at the end of `steps` below it. */
  error(message: string, ...steps: readonly PathStep[]): void {
    const { place } = nodeAt(this.node, steps).node;
    this.#reading.problems.push(errorAt(place, formatPath([...this.#path, ...steps]), message));
  }

  /** The same as a warning. */
  warn(message: string, ...steps: readonly PathStep[]): void {
    const { place } = nodeAt(this.node, steps).node;
    this.#reading.problems.push(warningAt(place, formatPath([...this.#path, ...steps]), message));
  }

  #refuse(expected: string, isSecret: boolean = false): null {
    this.mismatch(expected, isSecret);
    return null;
  }

  #isSound(): boolean {
    return !this.#reading.faults.has(pointerOf(this.#path));
  }

  #isReported(): boolean {
    const { problems } = this.#reading;
    return problems[problems.length - 1]?.path === formatPath(this.#path);
  }

  #pushMismatch(expected: string, found: string, consequence: string | null): void {
    this.#reading.problems.push(mismatchAt(this.node.place, formatPath(this.#path), expected, found, consequence));
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
