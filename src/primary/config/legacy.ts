/**
 * Spellings of old Nebula releases, rewritten to today's before validation, each with a warning: `punchy: true`,
 * `punch_back`, `local_range`.
 */
import { adviceAt, type Problem } from './problems.ts';
import type { ConfigNode, MapNode } from './yamlTree.ts';

export interface Modernized {
  readonly root: MapNode;
  readonly problems: readonly Problem[];
}

export function modernize(root: MapNode): Modernized {
  const entries = new Map(root.entries);
  const problems: Problem[] = [];
  const punchy = entries.get('punchy');
  if (punchy?.kind === 'scalar' && punchy.value !== null && punchy.value !== '') {
    problems.push(adviceAt(punchy.place, 'punchy', 'a single value is the old form; write punchy.punch'));
    entries.set('punchy', mapOf(punchy, [['punch', punchy]]));
  }
  const punchBack = entries.get('punch_back');
  if (punchBack !== undefined) {
    problems.push(adviceAt(punchBack.place, 'punch_back', 'is the old name of punchy.respond'));
    const section = entries.get('punchy');
    const present: [string, ConfigNode][] = section?.kind === 'map' ? [...section.entries] : [];
    entries.set('punchy', mapOf(section ?? punchBack, [['respond', punchBack], ...present]));
    entries.delete('punch_back');
  }
  const localRange = entries.get('local_range');
  if (localRange?.kind === 'scalar' && localRange.value !== null && localRange.value !== '') {
    const message =
      'is the old name of preferred_ranges, which is a list; its network is used as the last of that list';
    problems.push(adviceAt(localRange.place, 'local_range', message));
  }
  return { root: { ...root, entries }, problems };
}

function mapOf(at: ConfigNode, entries: readonly (readonly [string, ConfigNode])[]): MapNode {
  return { kind: 'map', place: at.place, entries: new Map(entries) };
}
