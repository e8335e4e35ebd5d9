/**
 * Checks that need more than one value of the configuration. Each names the keys it reads; it is left out while one of
 * them is broken, so that one mistake is reported once. Certificates are not read here: what depends on the node's own
 * networks is checked by the owners of routes, lighthouses and rules.
 */
import type { Built } from './build.ts';
import { statsProblems } from './keysOfStats.ts';
import { adviceAt, errorAt, formatPath, type Problem, warningAt } from './problems.ts';
import type { Values } from './readTree.ts';
import { isCacheTimeoutLong } from './routines.ts';
import { nodeAt, placeOf } from './spot.ts';
import type { MapNode } from './yamlTree.ts';

interface Check {
  readonly keys: readonly string[];
  readonly run: (built: Built, root: MapNode) => readonly Problem[];
}

export function checkTogether(built: Built, root: MapNode, values: Values): readonly Problem[] {
  return CHECKS.filter((check) => !check.keys.some((key) => values.isBroken(key))).flatMap((check) =>
    check.run(built, root),
  );
}

const CHECKS: readonly Check[] = [
  { keys: ['routines', 'tun.routines', 'listen.routines'], run: checkRoutines },
  { keys: ['listen.batch'], run: checkBatch },
  {
    keys: ['routines', 'tun.routines', 'listen.routines', 'firewall.conntrack'],
    run: checkRoutineCache,
  },
  { keys: ['pki.key'], run: checkKeyKind },
  { keys: ['lighthouse.am_lighthouse', 'lighthouse.hosts', 'lighthouse.serve_dns', 'listen.port'], run: checkRole },
  { keys: ['lighthouse.hosts', 'static_host_map'], run: checkLighthouseEntries },
  { keys: ['firewall.inbound', 'firewall.outbound'], run: checkRules },
  { keys: ['listen.host'], run: checkListenHost },
  { keys: ['stats'], run: ({ config }, root) => statsProblems(config.stats, root) },
];

function checkRoutines({ routines }: Built, root: MapNode): readonly Problem[] {
  return routines.warnings.map(({ path, message, fields }) => adviceAt(placeOf(root, path), path, message, fields));
}

function checkBatch({ config, batchAsWritten }: Built, root: MapNode): readonly Problem[] {
  if (config.listen.batch === batchAsWritten) {
    return [];
  }
  const message = `${batchAsWritten} is outside 1 to 1024; ${config.listen.batch} is used`;
  return [warningAt(placeOf(root, 'listen.batch'), 'listen.batch', message)];
}

function checkRoutineCache({ config }: Built, root: MapNode): readonly Problem[] {
  const { conntrack } = config.firewall;
  const shortestMs = Math.min(conntrack.tcpTimeoutMs, conntrack.udpTimeoutMs, conntrack.defaultTimeoutMs);
  const path = 'firewall.conntrack.routine_cache_timeout';
  if (!isCacheTimeoutLong(conntrack.routineCacheTimeoutMs, shortestMs)) {
    return [];
  }
  const message =
    `${conntrack.routineCacheTimeoutMs} ms is not well below the shortest conntrack timeout (${shortestMs} ms); ` +
    'idle flows will be forgotten early. Use a tenth of it or less';
  return [adviceAt(placeOf(root, path), path, message)];
}

function checkKeyKind({ config }: Built, root: MapNode): readonly Problem[] {
  return config.pki.key.startsWith('pkcs11:')
    ? [errorAt(placeOf(root, 'pki.key'), 'pki.key', 'keys in a PKCS#11 token are not supported; use a key file')]
    : [];
}

function checkRole({ config }: Built, root: MapNode): readonly Problem[] {
  const { lighthouse, listen } = config;
  const problems: Problem[] = [];
  if (lighthouse.amLighthouse && listen.port === 0) {
    const message = 'a lighthouse needs a fixed port, or nobody finds it; set listen.port';
    problems.push(errorAt(placeOf(root, 'lighthouse.am_lighthouse'), 'lighthouse.am_lighthouse', message));
  }
  if (lighthouse.amLighthouse && lighthouse.hosts.length > 0) {
    const message = 'this node is a lighthouse itself and reports to no other';
    problems.push(warningAt(placeOf(root, 'lighthouse.hosts'), 'lighthouse.hosts', message));
  }
  if (!lighthouse.amLighthouse && lighthouse.hosts.length === 0) {
    const message = 'no lighthouse is configured; only hosts in static_host_map can be found';
    problems.push(adviceAt(placeOf(root, 'lighthouse.hosts'), 'lighthouse.hosts', message));
  }
  if (lighthouse.serveDns && !lighthouse.amLighthouse) {
    const message = 'only a lighthouse serves DNS; this node will not';
    problems.push(warningAt(placeOf(root, 'lighthouse.serve_dns'), 'lighthouse.serve_dns', message));
  }
  return problems;
}

function checkRules({ config }: Built, root: MapNode): readonly Problem[] {
  const { inbound, outbound } = config.firewall;
  if (inbound.length > 0 || outbound.length > 0) {
    return [];
  }
  const what = root.entries.has('firewall') ? 'it has no rule' : 'there is no such section';
  return [warningAt(placeOf(root, 'firewall'), 'firewall', `${what}, so every packet is dropped in both directions`)];
}

/** The address that the empty text stands for, as with Nebula. */
function checkListenHost({ config }: Built, root: MapNode): readonly Problem[] {
  const { node, rest } = nodeAt(root, ['listen', 'host']);
  return rest.length === 0 && node.kind === 'scalar' && node.value === ''
    ? [warningAt(node.place, 'listen.host', `is empty; "${config.listen.host}" is in force`)]
    : [];
}

function checkLighthouseEntries({ config }: Built, root: MapNode): readonly Problem[] {
  const known = new Set(config.staticHostMap.map((host) => host.vpnAddress.text));
  return config.lighthouse.hosts.flatMap((host, index) => {
    const steps = ['lighthouse', 'hosts', index];
    const message = `lighthouse ${host.text} does not have a static_host_map entry, so it cannot be reached`;
    return known.has(host.text) ? [] : [errorAt(nodeAt(root, steps).node.place, formatPath(steps), message)];
  });
}
