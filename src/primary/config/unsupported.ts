/** Warns about the keys of `keysUnsupported.ts` that a file asks something of. */
import { UNSUPPORTED_FEATURES } from './keysUnsupported.ts';
import { lookup, type PlainMap } from './plain.ts';
import { adviceAt, type Problem, warningAt } from './problems.ts';
import { placeOf } from './spot.ts';
import type { MapNode } from './yamlTree.ts';

export function unsupportedWarnings(root: MapNode, plain: PlainMap): readonly Problem[] {
  return UNSUPPORTED_FEATURES.flatMap(({ path, consequence, isAsked, isForeign }) => {
    const value = lookup(plain, path);
    return value !== undefined && isAsked(value, plain)
      ? [(isForeign ? adviceAt : warningAt)(placeOf(root, path), path, consequence)]
      : [];
  });
}
