/** The word that was probably meant: what hints about unknown keys, commands and flags compare. */

/** The candidate with the fewest edits, if they are few for a word of this length. */
export function nearestOf(name: string, candidates: readonly string[]): string | null {
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

/** The same as the end of a complaint; empty when none is near. `before` stands before the word. */
export function hintOf(name: string, candidates: readonly string[], before: string = ''): string {
  const nearest = nearestOf(name, candidates);
  return nearest === null ? '' : `; did you mean ${before}${nearest}?`;
}

/** Without what people write differently. */
export function squeezed(name: string): string {
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
