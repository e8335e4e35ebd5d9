/** Allow lists written short, as they stand in a configuration: the rules of one, and lists compiled from such. */

import { allowList, allowRanges, localAllowList as localShape } from '../../src/primary/config/allowLists.ts';
import { nodeOf, type PlainMap } from '../../src/primary/config/plain.ts';
import { formatProblem, type Problem } from '../../src/primary/config/problems.ts';
import type { Shape } from '../../src/primary/config/shapes.ts';
import { Spot } from '../../src/primary/config/spot.ts';
import { LocalAllowList, RemoteAllowList } from '../../src/primary/control/discovery/allowList.ts';
import type { RemoteAllowRules } from '../../src/shared/ip/allowRules.ts';

export function remoteAllowRules(list: PlainMap, ranges: PlainMap = {}): RemoteAllowRules {
  return { remoteAllowList: readAs(allowList, list), remoteAllowRanges: readAs(allowRanges, ranges) };
}

export function remoteAllowList(list: PlainMap, ranges: PlainMap = {}): RemoteAllowList {
  return new RemoteAllowList(remoteAllowRules(list, ranges));
}

export function localAllowList(list: PlainMap): LocalAllowList {
  return new LocalAllowList(readAs(localShape, list));
}

function readAs<Value>(shape: Shape<Value>, list: PlainMap): Value {
  const problems: Problem[] = [];
  const value = shape.read(new Spot(nodeOf(list), [], { problems, faults: new Set() }, null));
  if (value === undefined) {
    throw new Error(problems.map(formatProblem).join('\n'));
  }
  return value;
}
