/**
 * `npm run bench`: the candidates in turns (A B A B …), so that a busy minute of the machine hits all of them alike, and one
 * table at the end.
 *
 *   --quick               short streams, one round: a look, not a result
 *   --rounds N            rounds (5)
 *   --seconds N           length of every stream (5)
 *   --only NAME,NAME      only these candidates; the baseline always runs
 *   --nebula NAME=PATH    another nebula beside Debian's; may be repeated
 *   --json PATH, --svg PATH, --markdown PATH   where results go besides the screen
 *   --prof DIRECTORY      no contest: profiles of weft under one TCP stream
 *   --list                names of the candidates
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { labObstacle, sweepLabs } from '../../src/primary/cli/demo/lab.ts';
import { errorText } from '../../src/shared/log/errorText.ts';
import { type Candidate, startContest } from './contest.ts';
import type { Plan, Values } from './measure.ts';
import { measure, measuresOf } from './measures.ts';
import { renderPlot } from './plot.ts';
import { profile } from './profile.ts';
import { describeRun, type Results, renderJson, renderTable } from './report.ts';

const BASELINE = 'nebula';
const OFFLOADS_OFF = { tun: { use_offloads: false }, listen: { udp_offloads: false } };

process.exitCode = await bench().catch((error: unknown) => {
  if (!(error instanceof TypeError && 'code' in error && `${error.code}`.startsWith('ERR_PARSE_ARGS'))) {
    throw error;
  }
  console.error(`bench: ${error.message}; the head of test/bench/run.ts lists the options`);
  return 2;
});

async function bench(): Promise<number> {
  const { values: options } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      only: { type: 'string' },
      nebula: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      svg: { type: 'string' },
      markdown: { type: 'string' },
      prof: { type: 'string' },
      list: { type: 'boolean', default: false },
    },
  });
  const candidates = chosen(allCandidates(options.nebula), options.only);
  if (options.list) {
    console.log(candidates.map((candidate) => candidate.name).join('\n'));
    return 0;
  }
  const obstacle = labObstacle();
  if (obstacle !== null) {
    console.error(`bench: ${obstacle}`);
    return 1;
  }
  sweepLabs();
  const seconds = Number(options.seconds ?? (options.quick ? 2 : 5));
  if (options.prof !== undefined) {
    return await profileWeft(candidates, seconds, resolve(options.prof));
  }
  const plan: Plan = {
    seconds,
    datagramBytes: options.quick ? [100, 1200] : [100, 300, 600, 1200],
    searchSeconds: options.quick ? 1 : 2,
    searchPrecision: options.quick ? 0.1 : 0.03,
    pingCount: options.quick ? 100 : 300,
    handshakeCount: options.quick ? 150 : 400,
  };
  const results = await contest(candidates, plan, Number(options.rounds ?? (options.quick ? 1 : 5)));
  const table = renderTable(results);
  console.log(`\n${table}`);
  writeOptional(options.markdown, table);
  writeOptional(options.json, renderJson(results));
  writeOptional(options.svg, renderPlot(results));
  return results.tracks.every((track) => track.rounds.length > 0) ? 0 : 1;
}

/** A candidate that fails in a round has an empty entry there; the others go on. */
async function contest(candidates: readonly Candidate[], plan: Plan, rounds: number): Promise<Results> {
  const tracks = candidates.map((candidate) => ({ candidate, rounds: [] as Values[] }));
  for (let round = 1; round <= rounds; round++) {
    for (const track of tracks) {
      console.error(`round ${round} of ${rounds}: ${track.candidate.name}`);
      track.rounds.push(await turn(track.candidate, plan));
    }
  }
  return {
    header: describeRun(rounds, plan.seconds),
    measures: measuresOf(plan),
    tracks: tracks.map(({ candidate, rounds: values }) => ({ candidate: candidate.name, rounds: values })),
    baseline: BASELINE,
  };
}

async function turn(candidate: Candidate, plan: Plan): Promise<Values> {
  try {
    const running = await startContest(candidate);
    try {
      return await measure(running, plan);
    } finally {
      await running.close();
    }
  } catch (error) {
    console.error(`${candidate.name}: ${errorText(error)}`);
    process.exitCode = 1;
    return {};
  }
}

async function profileWeft(candidates: readonly Candidate[], seconds: number, directory: string): Promise<number> {
  for (const candidate of candidates) {
    if (candidate.kind !== 'weft') {
      continue;
    }
    const folder = resolve(directory, candidate.name.replaceAll(/\W+/g, '-'));
    mkdirSync(folder, { recursive: true });
    console.log(await profile(candidate, seconds, folder));
  }
  return 0;
}

function allCandidates(others: readonly string[]): Candidate[] {
  const wireguard: Candidate[] = isInstalled('wireguard-go') ? [{ kind: 'wireguard-go', name: 'wireguard-go' }] : [];
  return [
    { kind: 'nebula', name: BASELINE, routines: 1 },
    { kind: 'nebula', name: `${BASELINE} 2 routines`, routines: 2 },
    ...others.map(otherNebula),
    ...wireguard,
    { kind: 'weft', name: 'weft', routines: 1 },
    { kind: 'weft', name: 'weft 2 routines', routines: 2 },
    { kind: 'weft', name: 'weft no offloads', routines: 1, config: OFFLOADS_OFF },
    { kind: 'weft', name: 'weft 2 routines no offloads', routines: 2, config: OFFLOADS_OFF },
    { kind: 'cable', name: 'bare cable' },
  ];
}

function otherNebula(text: string): Candidate {
  const [name, path] = text.split('=');
  if (path === undefined) {
    throw new Error(`--nebula wants NAME=PATH, not ${text}`);
  }
  return { kind: 'nebula', name, routines: 1, command: [resolve(path)] };
}

function chosen(candidates: readonly Candidate[], only: string | undefined): readonly Candidate[] {
  const names = only?.split(',');
  const unknown = names?.filter((name) => !candidates.some((candidate) => candidate.name === name)) ?? [];
  if (unknown.length > 0) {
    throw new Error(`no such candidate: ${unknown.join(', ')}; --list shows them`);
  }
  return names === undefined ? candidates : candidates.filter(({ name }) => name === BASELINE || names.includes(name));
}

function writeOptional(path: string | undefined, text: string): void {
  if (path !== undefined) {
    writeFileSync(path, text);
    console.error(`wrote ${path}`);
  }
}

function isInstalled(tool: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' }).status === 0;
}
