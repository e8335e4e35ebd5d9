/**
 * The keys of statistics. Rows of `keys.ts`. Which of them are needed follows from `stats.type` (`checks.ts` asks
 * `statsProblems`); the words of those complaints are Nebula's.
 */
import type { StatsConfig } from './config.ts';
import { parseDuration } from './duration.ts';
import { live } from './keyRows.ts';
import { plainOf } from './plain.ts';
import { errorAt, type Problem } from './problems.ts';
import { flag, integer, parseText, positiveDuration, text } from './scalars.ts';
import type { Shape } from './shapes.ts';
import { nodeAt, placeOf } from './spot.ts';
import type { MapNode } from './yamlTree.ts';

/** 0 for what is no duration: whether that is an error depends on `stats.type`. */
const interval: Shape<number> = {
  ...positiveDuration,
  read: ({ node }) => Math.max(0, parseDuration(parseText(plainOf(node)) ?? '') ?? 0),
};

export const statsKeys = {
  'stats.type': live(
    text,
    '',
    'Where statistics go: `graphite`, `prometheus`; `none` or empty: nowhere. Told in docs/metrics.md.',
  ),
  'stats.interval': live(interval, undefined, 'How often values are taken, and sent to Graphite. Needed with a type.'),
  'stats.protocol': live(text, 'tcp', 'How Graphite is reached: `tcp`, `tcp4` or `tcp6`.'),
  'stats.host': live(text, undefined, 'Where Graphite is, as host:port. Needed for `graphite`.'),
  'stats.prefix': live(text, 'nebula', 'What the names that Graphite is told begin with.'),
  'stats.listen': live(
    text,
    undefined,
    'The address and port that Prometheus asks, such as `127.0.0.1:8080`. Needed for `prometheus`. It has neither password nor encryption.',
  ),
  'stats.path': live(
    text,
    undefined,
    'The path that Prometheus asks for, such as `/metrics`. Needed for `prometheus`.',
  ),
  'stats.namespace': live(text, '', "Put before the names of Nebula's metrics for Prometheus."),
  'stats.subsystem': live(text, '', 'Put between `stats.namespace` and the name.'),
  'stats.message_metrics': live(flag, false, 'Count messages by type too. Nebula needs a restart for a change.'),
  'stats.lighthouse_metrics': live(
    flag,
    false,
    'Count messages of lighthouses by type too. Nebula needs a restart for a change.',
  ),
  'stats.peer_metrics': live(
    flag,
    false,
    'weft only. Serve bytes, packets and latency of each peer to Prometheus, by its name and address.',
  ),
  'stats.peer_metrics_max': live(
    integer(1, 100_000),
    1000,
    'weft only. Peers that have metrics of their own; the busiest are taken.',
  ),
} as const;

/** What is missing for the chosen type. */
export function statsProblems(stats: StatsConfig, root: MapNode): readonly Problem[] {
  const problem = (key: string, message: string): Problem =>
    errorAt(placeOf(root, `stats.${key}`), `stats.${key}`, message);
  if (stats.type === '' || stats.type === 'none') {
    return [];
  }
  if (stats.type !== 'graphite' && stats.type !== 'prometheus') {
    return [problem('type', `was not understood: ${stats.type}`)];
  }
  const problems: Problem[] = [];
  if (stats.intervalMs === 0) {
    problems.push(problem('interval', `was an invalid duration: ${asWritten(root, 'interval')}`));
  }
  if (stats.type === 'graphite') {
    if (stats.host === '') {
      problems.push(problem('host', 'can not be empty'));
    } else if (statsEndpoint(stats.host) === null) {
      problems.push(problem('host', 'expected host:port, such as graphite.example.com:2003'));
    }
    if (!['tcp', 'tcp4', 'tcp6'].includes(stats.protocol)) {
      problems.push(problem('protocol', `expected tcp, tcp4 or tcp6, found ${stats.protocol}`));
    }
    return problems;
  }
  if (stats.listen === '') {
    problems.push(problem('listen', 'should not be empty'));
  } else if (statsEndpoint(stats.listen) === null) {
    problems.push(problem('listen', 'expected address:port, such as 127.0.0.1:8080'));
  }
  if (stats.path === '') {
    problems.push(problem('path', 'should not be empty'));
  } else if (!stats.path.startsWith('/')) {
    problems.push(problem('path', 'has to begin with /'));
  }
  return problems;
}

/** `host:port`, where an empty host means every address of this machine (or, to connect to, the machine itself). */
export function statsEndpoint(text: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:\[([^\]\s]*)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text);
  return match === null || Number(match[3]) > 65_535 ? null : { host: match[1] ?? match[2], port: Number(match[3]) };
}

function asWritten(root: MapNode, key: string): string {
  const { node, rest } = nodeAt(root, ['stats', key]);
  return rest.length > 0 ? '' : (parseText(plainOf(node)) ?? '');
}
