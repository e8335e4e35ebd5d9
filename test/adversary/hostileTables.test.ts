/**
 * A taken-over worker writes garbage into every table that it can write, while traffic passes through another worker. The
 * primary and the other worker live on, and once the hostile one is replaced everything works again.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { isRunning, markProcess } from '../../src/primary/cli/demo/processTable.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { WorkerFd } from '../../src/shared/ipc/messages.ts';
import { requireLab } from '../support/environment.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { adversaryScale } from './scale.ts';

const PROGRAM = fileURLToPath(new URL('./hostileTablesProgram.js', import.meta.url));
const ROUNDS = 6;

describe('a worker that writes garbage into shared memory', function () {
  this.timeout(240_000);
  let pair: Pair;

  before(function () {
    requireLab(this, 'nebula-cert', 'ping');
  });
  afterEach(() => {
    pair.close();
  });

  it('leaves the primary, the tables of tunnels and the other worker alone', async () => {
    pair = new Pair({ left: { routines: 2 }, right: { routines: 2 } });
    await pair.start();
    const { lab, left, right } = pair;
    await untilReachable(lab, left.namespace, RIGHT);
    const primary = markProcess(left.program.pid);
    const [hostile, other] = left.workerPids();

    const traffic = ping(lab, left.namespace, RIGHT, { count: adversaryScale(60), intervalMs: 50 });
    expect(await attack(hostile, adversaryScale(ROUNDS))).to.deep.equal(['facts: refused', 'done']);
    await traffic;
    expect(primary !== null && isRunning(primary), 'the primary runs').to.equal(true);
    expect(left.workerPids(), 'nobody else died').to.include(other);

    process.kill(hostile, 'SIGKILL');
    await until('a successor', () => left.workerPids().length === 2 && !left.workerPids().includes(hostile));
    await untilReachable(lab, left.namespace, RIGHT, 60_000);
    await untilReachable(lab, right.namespace, LEFT, 60_000);
    // Tunnels whose counters are garbage are noticed by their silence and replaced.
    await until('every ping of four flows to be answered', async () => (await lostPings(pair)) === 0, 60_000);
    expect(left.workerPids()).to.include(other);
    expect(left.program.pid).to.equal(primary?.pid);
    expect(left.lines.filter((line) => /TypeError|RangeError|SIGSEGV/.test(line))).to.deep.equal([]);
  });
});

async function lostPings({ lab, left }: Pair): Promise<number> {
  const flows = Array.from({ length: 4 }, () =>
    ping(lab, left.namespace, RIGHT, { count: 20, intervalMs: 50, patienceSeconds: 1 }),
  );
  const lost = (await Promise.all(flows)).map(({ sent, received }) => sent - received);
  return lost.reduce((sum, count) => sum + count, 0);
}

/** What the program said that wrote to the memories of this worker. */
async function attack(worker: number, rounds: number): Promise<string[]> {
  const fds = [WorkerFd.Facts, WorkerFd.Common, WorkerFd.Own].map((fd) => openSync(`/proc/${worker}/fd/${fd}`, 'r+'));
  const child = spawn(process.execPath, [PROGRAM, '1', String(rounds)], {
    stdio: ['ignore', 'pipe', 'inherit', ...fds],
  });
  let output = '';
  (child.stdio as unknown as NodeJS.ReadableStream[])[1].on('data', (chunk) => {
    output += String(chunk);
  });
  await once(child, 'close');
  for (const fd of fds) {
    closeSync(fd);
  }
  return output.trim().split('\n');
}
