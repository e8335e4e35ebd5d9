/**
 * What many tunnels cost: memory for each of them on a node and on a lighthouse, and a lighthouse's start that all its
 * hosts come back to.
 *
 *   node build/test/bench/tunnels.js [--quick] [--hosts N] [--rounds N] [--json PATH]
 *
 * The tunnels are real: a program shakes hands in the name of each host, with a certificate of its own, and sends one
 * packet (an update for the lighthouse), so that every tunnel is confirmed. `--hosts 10000` is the long form. Memory is
 * Pss over all processes of the node, against the same node before the first host. The program and the node have the same
 * processors, so beside the time until all are back stands the processor time of the node for each.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { labObstacle, sweepLabs } from '../../src/primary/cli/demo/lab.ts';
import { memoryOf, runSeconds } from '../support/procfs.ts';
import { type Bench, withManyHosts } from './lighthouse/manyHosts.ts';
import { cost, gain, type Measure, type Values } from './measure.ts';
import { describeRun, renderJson, renderTable } from './report.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    hosts: { type: 'string' },
    rounds: { type: 'string' },
    json: { type: 'string' },
  },
});
const hosts = Number(options.hosts ?? (options.quick ? 300 : 1000));
const rounds = Number(options.rounds ?? (options.quick ? 1 : 3));

const MEASURES: readonly Measure[] = [
  cost('memory before the first tunnel, Pss', 'MB', 1),
  cost(`memory for each of ${hosts} tunnels`, 'KiB', 1),
  cost('of it in the primary', 'KiB', 1),
  cost(`time until ${hosts} hosts are back after a start`, 's', 2),
  gain('hosts back', '1/s', 0),
  cost('processor time of the node for each', 'ms', 2),
];

const obstacle = labObstacle();
if (obstacle === null) {
  sweepLabs();
  const tracks = ['a node', 'a lighthouse'].map((candidate) => ({ candidate, rounds: [] as Values[] }));
  for (let round = 1; round <= rounds; round++) {
    for (const { candidate, rounds: values } of tracks) {
      console.error(`round ${round} of ${rounds}: ${candidate}`);
      values.push(await withManyHosts({ workers: 1, amLighthouse: candidate === 'a lighthouse' }, measure));
    }
  }
  const results = { header: describeRun(rounds, 0), measures: MEASURES, tracks, baseline: 'a node' };
  console.log(renderTable(results));
  if (options.json !== undefined) {
    writeFileSync(options.json, renderJson(results));
  }
} else {
  console.error(`bench: ${obstacle}`);
  process.exitCode = 1;
}

async function measure({ node, startLoad }: Bench): Promise<Values> {
  const pss = (pids: readonly number[]): number => memoryOf(pids).pssBytes;
  const primary = [node.program.pid];
  const [emptyBytes, emptyPrimaryBytes] = [pss(node.allPids()), pss(primary)];
  await allConnect(startLoad);
  const [fullBytes, fullPrimaryBytes] = [pss(node.allPids()), pss(primary)];
  await node.restart();
  const before = runSeconds(node.allPids());
  const seconds = await allConnect(startLoad);
  const used = runSeconds(node.allPids()) - before;
  return {
    'memory before the first tunnel, Pss': emptyBytes / 1e6,
    [`memory for each of ${hosts} tunnels`]: (fullBytes - emptyBytes) / hosts / 1024,
    'of it in the primary': (fullPrimaryBytes - emptyPrimaryBytes) / hosts / 1024,
    [`time until ${hosts} hosts are back after a start`]: seconds,
    'hosts back': hosts / seconds,
    'processor time of the node for each': (used / hosts) * 1000,
  };
}

/** Seconds from the first message to the last tunnel. */
async function allConnect(startLoad: Bench['startLoad']): Promise<number> {
  const load = startLoad(hosts, 0);
  const limitMs = 30_000 + hosts * 20;
  await load.waitForLine(/^connecting/, limitMs);
  const startMs = performance.now();
  await load.waitForLine(/^ready/, limitMs);
  const seconds = (performance.now() - startMs) / 1000;
  await load.exited;
  return seconds;
}
