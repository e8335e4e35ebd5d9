/**
 * Where the time of a weft node goes under one TCP stream: V8's sampling profiles of the primary and every worker, summed
 * up by kind of work, and the split of processor time between program and kernel.
 *
 * A native function called through the FFI counts as native: the cipher and the system calls. V8 does not see inside.
 */
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WEFT_MAIN } from '../support/nodes.ts';
import { cpuSeconds } from '../support/procfs.ts';
import { stream } from '../support/traffic.ts';
import { type NodeCandidate, startContest } from './contest.ts';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}

interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const TOP_COUNT = 25;

/** Prints the profile of one run of `seconds`; profiles are kept in `directory` for a look with other tools. */
export async function profile(candidate: NodeCandidate, seconds: number, directory: string): Promise<string> {
  // Workers run as a user of their own and write there too; weft leaves their system calls unfiltered under a profiler.
  chmodSync(directory, 0o777);
  const contest = await startContest({ ...candidate, command: profiledCommand(directory) });
  const pids = [...contest.clientPids(), ...contest.serverPids()];
  const before = cpuSeconds(pids);
  const result = await stream(contest.lab, contest.client, contest.server, contest.address, { seconds });
  const after = cpuSeconds(pids);
  await contest.close();
  const gigabytes = result.bytes / 1e9;
  const lines = [
    `${candidate.name}: ${(result.bitsPerSecond / 1e6).toFixed(0)} Mbit/s; both sides together`,
    `  program ${((after.user - before.user) / gigabytes).toFixed(2)} s/GB, kernel ${((after.system - before.system) / gigabytes).toFixed(2)} s/GB`,
  ];
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.cpuprofile'))) {
    lines.push(...summarize(name, JSON.parse(readFileSync(join(directory, name), 'utf8')) as CpuProfile));
  }
  return `${lines.join('\n')}\n`;
}

/** Node passes its own flags on to the workers that the primary forks. */
function profiledCommand(directory: string): string[] {
  return [process.execPath, '--cpu-prof', `--cpu-prof-dir=${directory}`, WEFT_MAIN, 'run'];
}

function summarize(name: string, { nodes, samples, timeDeltas }: CpuProfile): string[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const byKind = new Map<string, number>();
  const byFunction = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const node = byId.get(id);
    if (node !== undefined) {
      const ms = timeDeltas[index] / 1000;
      byKind.set(kindOf(node), (byKind.get(kindOf(node)) ?? 0) + ms);
      byFunction.set(placeOf(node), (byFunction.get(placeOf(node)) ?? 0) + ms);
    }
  }
  const busyMs = [...byKind].reduce((sum, [kind, ms]) => (kind === 'idle' ? sum : sum + ms), 0);
  const share = (ms: number): string => `${((ms / busyMs) * 100).toFixed(1).padStart(5)} %`;
  const rank = (times: Map<string, number>): [string, number][] => [...times].sort((a, b) => b[1] - a[1]);
  return [
    `\n${name}: busy ${(busyMs / 1000).toFixed(2)} s`,
    ...rank(byKind).flatMap(([kind, ms]) => (kind === 'idle' ? [] : [`  ${share(ms)}  ${kind}`])),
    ...rank(byFunction)
      .filter(([place]) => !place.startsWith('(idle)'))
      .slice(0, TOP_COUNT)
      .map(([place, ms]) => `    ${share(ms)}  ${place}`),
  ];
}

function kindOf({ callFrame }: ProfileNode): string {
  switch (callFrame.functionName) {
    case '(idle)':
      return 'idle';
    case '(garbage collector)':
      return 'garbage collector';
    case '(program)':
    case '(root)':
      return 'V8 and libuv';
  }
  if (callFrame.url === '') {
    return 'native (FFI: cipher, system calls)';
  }
  return callFrame.url.startsWith('node:') ? "Node's own JavaScript" : "weft's JavaScript";
}

function placeOf({ callFrame }: ProfileNode): string {
  const file = callFrame.url.replace(/^.*\/(src|node_modules)\//, '$1/');
  return `${callFrame.functionName || '(anonymous)'} ${file}${file === '' ? '' : `:${callFrame.lineNumber + 1}`}`;
}
