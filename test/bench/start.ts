/**
 * The start of a node, and a ping right after it: before any load, when whatever is compiled was compiled by the start.
 *
 *   node build/test/bench/start.js [--quick] [--rounds N] [--idle SECONDS] [--only NAME,NAME] [--nebula NAME=PATH] [--json PATH]
 *
 * The candidates take turns; the right node of a pair runs, and the left one is started twice: the first time without
 * what an earlier start has left (weft's trial of the encryption libraries), then with it. `--idle` adds pings after so
 * long a rest.
 */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { labObstacle, sweepLabs } from '../../src/primary/cli/demo/lab.ts';
import { Pair, RIGHT } from '../support/pair.ts';
import { runSeconds } from '../support/procfs.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { type NodeCandidate, TUNNEL_MTU } from './contest.ts';
import { cost, type Measure, median, type Values } from './measure.ts';
import { describeRun, type Results, renderJson, renderTable } from './report.ts';

const READY = /weft is up|Nebula interface is active/;
const BASELINE: NodeCandidate = { kind: 'nebula', name: 'nebula', routines: 1 };
const PING_INTERVAL_MS = 20;

const MEASURES: readonly Measure[] = [
  cost('exec to ready, first start', 'ms', 0),
  cost('exec to ready, again', 'ms', 0),
  cost('processor time of a start', 'ms', 0),
  cost('ping right after the start, median', 'ms', 3),
  cost('ping right after the start, least', 'ms', 3),
  cost('ping after a rest, median', 'ms', 3),
];

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    idle: { type: 'string', default: '0' },
    only: { type: 'string' },
    nebula: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
const obstacle = labObstacle();
if (obstacle === null) {
  sweepLabs();
  const results = await contest(candidates(), Number(options.rounds ?? (options.quick ? 2 : 7)));
  console.log(renderTable(results));
  if (options.json !== undefined) {
    writeFileSync(options.json, renderJson(results));
  }
} else {
  console.error(`bench: ${obstacle}`);
  process.exitCode = 1;
}

function candidates(): NodeCandidate[] {
  const others = options.nebula.map((text): NodeCandidate => {
    const [name, path = ''] = text.split('=');
    return { kind: 'nebula', name, routines: 1, command: [resolve(path)] };
  });
  const all: NodeCandidate[] = [
    ...others,
    { kind: 'weft', name: 'weft', routines: 1 },
    { kind: 'weft', name: 'weft 2 routines', routines: 2 },
  ];
  const names = options.only?.split(',');
  return [BASELINE, ...all.filter(({ name }) => names === undefined || names.includes(name))];
}

async function contest(tracks: readonly NodeCandidate[], rounds: number): Promise<Results> {
  const values = tracks.map((): Values[] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [index, candidate] of tracks.entries()) {
      console.error(`round ${round} of ${rounds}: ${candidate.name}`);
      values[index].push(await turn(candidate));
    }
  }
  return {
    header: describeRun(rounds, 0),
    measures: MEASURES,
    tracks: tracks.map(({ name }, index) => ({ candidate: name, rounds: values[index] })),
    baseline: BASELINE.name,
  };
}

async function turn({ kind, routines, command }: NodeCandidate): Promise<Values> {
  const end = { kind, routines, mtu: TUNNEL_MTU, ...(command === undefined ? {} : { command }) };
  const pair = new Pair({ left: end, right: end, labKind: 'bench' });
  try {
    await pair.right.start();
    const first = await startMs(pair);
    await pair.left.stop();
    const again = await startMs(pair);
    const processorMs = runSeconds(pair.left.allPids()) * 1000;
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
    const fresh = await pings(pair);
    return {
      'exec to ready, first start': first,
      'exec to ready, again': again,
      'processor time of a start': processorMs,
      'ping right after the start, median': median(fresh),
      'ping right after the start, least': Math.min(...fresh),
      ...(await afterRest(pair)),
    };
  } finally {
    pair.close();
  }
}

/** From before the program is started to the line that says that it carries packets. */
async function startMs(pair: Pair): Promise<number> {
  const before = performance.now();
  // A place of its own for what a start leaves to the next one.
  await pair.left.launch({ env: { RUNTIME_DIRECTORY: pair.lab.directory } }).waitForLine(READY);
  return performance.now() - before;
}

async function afterRest(pair: Pair): Promise<Values> {
  const seconds = Number(options.idle);
  if (seconds === 0) {
    return {};
  }
  await new Promise((done) => setTimeout(done, seconds * 1000));
  return { 'ping after a rest, median': median(await pings(pair)) };
}

async function pings(pair: Pair): Promise<readonly number[]> {
  const count = options.quick ? 40 : 100;
  return (await ping(pair.lab, pair.left.namespace, RIGHT, { count, intervalMs: PING_INTERVAL_MS })).rttMs;
}
