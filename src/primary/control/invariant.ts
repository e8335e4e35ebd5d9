/**
 * What must always be true inside the control core, whatever comes from outside. A broken one is a defect that going on
 * would make worse, so it ends the node in order (`boundary.ts`). Only for what this process alone decides: a datagram,
 * an answer or a value that somebody else could have written is never checked with it.
 */
export class BrokenInvariant extends Error {}

/** Throws BrokenInvariant when the condition does not hold. */
export function invariant(condition: boolean, broken: string): asserts condition {
  if (!condition) {
    throw new BrokenInvariant(broken);
  }
}
