/**
 * Checks that need more than one value of the configuration. Each names the keys it reads; it is left out while one of
 * them is broken, so that one mistake is reported once. Certificates are not read here: what depends on the node's own
 * networks is checked by the owners of routes, lighthouses and rules.
 */
import type { RuleFinding } from '../firewall/ruleParser.ts';
import { prefixContains } from '../ip/address.ts';
import type { AllowRules } from '../ip/allowRules.ts';
import { missingDefaults } from './allowLists.ts';
import type { Built } from './build.ts';
import { errorAt, formatPath, type PathStep, type Problem, warningAt } from './problems.ts';
import { isCacheTimeoutLong } from './routines.ts';
import { nodeAt, placeOf } from './validate.ts';
import type { MapNode } from './yamlTree.ts';

interface Check {
  readonly keys: readonly string[];
  readonly run: (built: Built, root: MapNode) => readonly Problem[];
}

export function checkTogether(built: Built, root: MapNode, isBroken: (path: string) => boolean): readonly Problem[] {
  return CHECKS.filter((check) => !check.keys.some(isBroken)).flatMap((check) => check.run(built, root));
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
  { keys: ['lighthouse.remote_allow_list'], run: checkRemoteAllowList },
  { keys: ['lighthouse.remote_allow_ranges'], run: checkRemoteAllowRanges },
  { keys: ['lighthouse.local_allow_list'], run: checkLocalAllowList },
  { keys: ['lighthouse.calculated_remotes'], run: checkCalculatedRemotes },
  { keys: ['tun.unsafe_routes'], run: checkUnsafeRoutes },
  { keys: ['firewall.inbound'], run: (built, root) => checkRules(built, root, 'inbound') },
  { keys: ['firewall.outbound'], run: (built, root) => checkRules(built, root, 'outbound') },
];

function checkRoutines({ routines }: Built, root: MapNode): readonly Problem[] {
  if (routines.fault !== null) {
    return [errorAt(placeOf(root, 'tun.routines'), 'tun.routines', routines.fault)];
  }
  return routines.warnings.map(({ path, message, fields }) => warningAt(placeOf(root, path), path, message, fields));
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
  return [warningAt(placeOf(root, path), path, message)];
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
    problems.push(warningAt(placeOf(root, 'lighthouse.hosts'), 'lighthouse.hosts', message));
  }
  if (lighthouse.serveDns && !lighthouse.amLighthouse) {
    const message = 'only a lighthouse serves DNS; this node will not';
    problems.push(warningAt(placeOf(root, 'lighthouse.serve_dns'), 'lighthouse.serve_dns', message));
  }
  return problems;
}

function checkLighthouseEntries({ config }: Built, root: MapNode): readonly Problem[] {
  const known = new Set(config.staticHostMap.map((host) => host.vpnAddress.text));
  return config.lighthouse.hosts.flatMap((host, index) => {
    const steps = ['lighthouse', 'hosts', index];
    const message = `lighthouse ${host.text} does not have a static_host_map entry, so it cannot be reached`;
    return known.has(host.text) ? [] : [problemAt(root, steps, message)];
  });
}

function checkRemoteAllowList({ config }: Built, root: MapNode): readonly Problem[] {
  return checkDefaults(root, ['lighthouse', 'remote_allow_list'], config.lighthouse.remoteAllowList);
}

function checkRemoteAllowRanges({ config }: Built, root: MapNode): readonly Problem[] {
  const steps = ['lighthouse', 'remote_allow_ranges'];
  return config.lighthouse.remoteAllowRanges.flatMap(({ rules }, entry) =>
    checkDefaults(root, [...steps, keyAt(root, steps, entry)], rules),
  );
}

function checkLocalAllowList({ config }: Built, root: MapNode): readonly Problem[] {
  const steps = ['lighthouse', 'local_allow_list'];
  const { addresses, interfaces } = config.lighthouse.localAllowList;
  const message = 'all values must be true or all must be false: interfaces that match none get the inverse';
  const isMixed = interfaces.some(({ isAllowed }) => isAllowed !== interfaces[0].isAllowed);
  return [
    ...(isMixed ? [problemAt(root, [...steps, 'interfaces'], message)] : []),
    ...checkDefaults(root, steps, addresses),
  ];
}

/** Rules of one family that allow and refuse need a rule for everything else (Nebula protocol: allow lists). */
function checkDefaults(root: MapNode, steps: readonly PathStep[], rules: AllowRules): readonly Problem[] {
  return missingDefaults(rules).map(({ text }) =>
    problemAt(root, steps, `contains both true and false rules, but no default set for ${text}`),
  );
}

function checkCalculatedRemotes({ config }: Built, root: MapNode): readonly Problem[] {
  const section = ['lighthouse', 'calculated_remotes'];
  return config.lighthouse.calculatedRemotes.flatMap(({ network, remotes }, entry) =>
    remotes.flatMap(({ mask }, index) => {
      const steps = [...section, keyAt(root, section, entry), index, 'mask'];
      const message = `invalid mask: ${mask.text} for cidr: ${network.text}; both must be IPv4 or both IPv6`;
      return mask.address.family === network.address.family ? [] : [problemAt(root, steps, message)];
    }),
  );
}

function checkUnsafeRoutes({ config }: Built, root: MapNode): readonly Problem[] {
  return config.tun.unsafeRoutes.flatMap((entry, index) => {
    const steps: PathStep[] = ['tun', 'unsafe_routes', index];
    const problems: Problem[] = [];
    if (entry.mtu > 0 && entry.mtu < 500) {
      problems.push(problemAt(root, [...steps, 'mtu'], `expected 0 or at least 500, found ${entry.mtu}`));
    }
    if (entry.via.length === 0) {
      problems.push(problemAt(root, [...steps, 'via'], 'the list of gateways is empty'));
    }
    for (const { gateway } of entry.via) {
      if (prefixContains(entry.route, gateway)) {
        const message = `the gateway ${gateway.text} is inside the route ${entry.route.text} itself`;
        problems.push(problemAt(root, [...steps, 'via'], message));
      }
    }
    return problems;
  });
}

/** The firewall's own reader judged the rules; here its findings get their place. */
function checkRules({ rules }: Built, root: MapNode, direction: 'inbound' | 'outbound'): readonly Problem[] {
  const stepsOf = ({ index }: RuleFinding): readonly PathStep[] =>
    index === null ? ['firewall', direction] : ['firewall', direction, index];
  const { problems, warnings } = rules[direction];
  return [
    ...problems.map((finding) => problemAt(root, stepsOf(finding), finding.message)),
    ...warnings.map((finding) => {
      const steps = stepsOf(finding);
      return warningAt(nodeAt(root, steps).node.place, formatPath(steps), finding.message);
    }),
  ];
}

/** How the operator wrote the key of an entry of a map. */
function keyAt(root: MapNode, steps: readonly PathStep[], entry: number): string {
  const { node } = nodeAt(root, steps);
  return node.kind === 'map' ? ([...node.entries.keys()][entry] ?? '') : '';
}

function problemAt(root: MapNode, steps: readonly PathStep[], message: string): Problem {
  return errorAt(nodeAt(root, steps).node.place, formatPath(steps), message);
}
