/**
 * Keys that Nebula knows and weft does not act on: one clear warning per feature that a file asks for, saying what
 * happens instead. A key that only says what weft does anyway (`sshd.enabled: false`) is passed over in silence.
 * Whoever builds a feature removes its row here.
 */
import { type Problem, warningAt } from './problems.ts';
import { isList, isMap, lookup } from './reader.ts';
import { type Plain, parseFlag, parseText } from './scalars.ts';
import { type PlainMap, placeOf } from './validate.ts';
import type { MapNode } from './yamlTree.ts';

interface UnsupportedFeature {
  readonly path: string;
  /** What happens instead, as the end of the warning. */
  readonly consequence: string;
  readonly isAsked: (value: Plain, all: PlainMap) => boolean;
}

/** The features that are asked for, in the order of the key table. */
export function unsupportedWarnings(root: MapNode, plain: PlainMap): readonly Problem[] {
  const warnings: Problem[] = [];
  for (const feature of FEATURES) {
    const value = lookup(plain, feature.path);
    if (value !== undefined && feature.isAsked(value, plain)) {
      warnings.push(warningAt(placeOf(root, feature.path), feature.path, feature.consequence));
    }
  }
  return warnings;
}

const NOT_YET = 'weft does not support this yet';
const isTrue = (value: Plain): boolean => parseFlag(value) === true;
const isGiven = (): boolean => true;

const FEATURES: readonly UnsupportedFeature[] = [
  {
    path: 'logging.timestamp_format',
    consequence: 'is ignored, as by Nebula since 1.11: times are printed as RFC 3339',
    isAsked: isGiven,
  },
  {
    path: 'stats',
    consequence: `${NOT_YET}: no statistics are sent or served`,
    isAsked: (value) => isMap(value) && !['', 'none'].includes(parseText(value.type)?.toLowerCase() ?? ''),
  },
  {
    path: 'sshd',
    consequence: `${NOT_YET}: there is no ssh console; use the local control socket`,
    isAsked: (value) => isMap(value) && isTrue(value.enabled ?? false),
  },
  {
    path: 'relay.am_relay',
    consequence: `${NOT_YET}: this node relays for nobody`,
    isAsked: isTrue,
  },
  {
    path: 'relay.use_relays',
    consequence: `${NOT_YET}: peers are reached directly or not at all`,
    isAsked: isTrue,
  },
  {
    path: 'relay.relays',
    consequence: `${NOT_YET}: no relay is told to peers or used`,
    isAsked: (value) => isList(value) && value.length > 0,
  },
  {
    path: 'tun.use_system_route_table',
    consequence: `${NOT_YET}: routes of the kernel are not followed; list them in tun.unsafe_routes`,
    isAsked: isTrue,
  },
  {
    path: 'tun.use_system_route_table_buffer_size',
    consequence: `${NOT_YET}: the value has no effect`,
    isAsked: (_value, all) => !isTrue(lookup(all, 'tun.use_system_route_table') ?? false),
  },
  {
    path: 'tun.pin_threads',
    consequence: `${NOT_YET}: workers run on the CPU that the kernel chooses`,
    isAsked: isTrue,
  },
  {
    path: 'tun.pin_threads_key',
    consequence: `${NOT_YET}: the value has no effect`,
    isAsked: (value) => value !== '',
  },
  {
    path: 'tun.cpu_affinity',
    consequence: `${NOT_YET}: workers run on the CPU that the kernel chooses`,
    isAsked: (value) => isList(value) && value.length > 0,
  },
  { path: 'tun.network_category', consequence: 'only matters on Windows and is ignored', isAsked: isGiven },
  { path: 'tun.windows_bypass_wdf', consequence: 'only matters on Windows and is ignored', isAsked: isGiven },
  { path: 'listen.windows_bypass_wdf', consequence: 'only matters on Windows and is ignored', isAsked: isGiven },
  { path: 'listen.rebind_on_network_change', consequence: 'only matters on macOS and is ignored', isAsked: isGiven },
];

/** The sections and keys of this file, for the test that compares it with the documentation. */
export const unsupportedPaths: readonly string[] = FEATURES.map((feature) => feature.path);
