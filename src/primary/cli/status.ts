/** `weft status` and `weft metrics`: how a running node is, and every number it keeps. */
import type { MetricList } from '../inspection/metrics.ts';
import type { CertificateSummary, NodeStatus } from '../inspection/status.ts';
import { boolFlag } from './flags.ts';
import { INSPECT_FLAGS, inspect, noWords } from './inspect.ts';
import { formatAge, formatFields, formatTable } from './table.ts';
import type { Io } from './usage.ts';

export async function statusCommand(argv: readonly string[], io: Io): Promise<number> {
  return await inspect(
    {
      call: 'weft status [-json] [-socket PATH]',
      about: 'Shows version, device, workers and certificates of the running node. Exit code 1 when it is degraded.',
      flags: INSPECT_FLAGS,
      run: async ({ words, client }) => {
        noWords(words);
        const status = (await client().get('/v1/status')) as NodeStatus;
        return { json: status, text: statusText(status), exitCode: status.state === 'ok' ? 0 : 1 };
      },
    },
    argv,
    io,
  );
}

const METRICS_FLAGS = {
  ...INSPECT_FLAGS,
  workers: boolFlag('Also show the share of each process'),
  zero: boolFlag('Also show counters that are 0'),
};

export async function metricsCommand(argv: readonly string[], io: Io): Promise<number> {
  return await inspect(
    {
      call: 'weft metrics [-workers] [-zero] [-json] [-socket PATH] [PREFIX]',
      about: 'Shows counters and gauges; with PREFIX only those whose names begin with it.',
      flags: METRICS_FLAGS,
      run: async ({ values, words, client }) => {
        noWords(words.slice(1));
        const prefix = words[0] ?? '';
        const all = (await client().get('/v1/metrics')) as MetricList;
        const json: MetricList = {
          counters: all.counters.filter(({ name }) => name.startsWith(prefix)),
          gauges: all.gauges.filter(({ name }) => name.startsWith(prefix)),
        };
        return { json, text: metricsText(json, values.workers, values.zero) };
      },
    },
    argv,
    io,
  );
}

function statusText(status: NodeStatus): string {
  const fields = formatFields([
    ['state', status.state],
    ['version', status.version],
    ['up', formatAge(status.uptimeSeconds)],
    ['process', status.pid],
    ['device', status.interface],
    ['networks', status.networks.join(', ')],
    ['UDP port', status.port],
    ['cipher', status.cipher],
    ['lighthouse', status.lighthouse ? 'yes' : 'no'],
    ['rules version', status.rulesVersion],
    ['tunnels', status.tunnels],
    ['handshakes', `${status.pendingHandshakes} under way`],
    ...status.certificates.map(
      (certificate) => [`certificate v${certificate.version}`, certificateText(certificate)] as const,
    ),
  ]);
  const workers = formatTable(
    [
      { title: 'worker', isNumber: true },
      { title: 'process', isNumber: true },
      { title: 'restarts', isNumber: true },
    ],
    status.workers.map(({ worker, pid, restarts }) => [worker, pid === 0 ? 'starting' : pid, restarts]),
  );
  const reasons = status.health.map(({ kind, text }) => `  ${kind}: ${text}\n`);
  return `${fields}\n${workers}${reasons.length === 0 ? '' : `\ndegraded:\n${reasons.join('')}`}`;
}

function certificateText(certificate: CertificateSummary): string {
  const left = certificate.secondsLeft < 0 ? 'EXPIRED' : `${formatAge(certificate.secondsLeft)} left`;
  return `${certificate.name}, ${left}, fingerprint ${certificate.fingerprint}`;
}

function metricsText(list: MetricList, withWorkers: boolean, withZero: boolean): string {
  const counters = list.counters.filter(({ total }) => withZero || total !== 0);
  const workerCount = Math.max(0, ...counters.map(({ workers }) => workers.length));
  const workers = withWorkers ? Array.from({ length: workerCount }, (_, worker) => worker) : [];
  const columns = [
    { title: 'counter' },
    { title: 'total', isNumber: true },
    ...(withWorkers ? [{ title: 'primary', isNumber: true }] : []),
    ...workers.map((worker) => ({ title: `worker ${worker}`, isNumber: true })),
  ];
  const rows = counters.map((counter) => [
    counter.name,
    counter.total,
    ...(withWorkers ? [counter.primary] : []),
    ...workers.map((worker) => counter.workers[worker] ?? 0),
  ]);
  const gauges = formatTable(
    [{ title: 'gauge' }, { title: 'value', isNumber: true }],
    list.gauges.map(({ name, value }) => [name, value]),
  );
  const tables = [formatTable(columns, rows), gauges].filter((text) => text !== '');
  return tables.length === 0 ? 'nothing counted yet under this name\n' : tables.join('\n');
}
