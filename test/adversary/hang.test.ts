/**
 * Workers and primaries that hang: stopped, in an endless loop, out of memory; and machines that were. Whatever stands
 * still is replaced, whoever only waited is left alone, and the node stays the same process throughout.
 */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { isRunning, markProcess } from '../../src/primary/cli/demo/processTable.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import type { TestNode } from '../support/nodes.ts';
import { Pair, RIGHT } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { misbehaviour } from './misbehaviour.ts';
import { adversaryScale } from './scale.ts';

const ROUTINES = 2;

describe('a worker or a primary that hangs', function () {
  this.timeout(180_000);
  let pair: Pair;

  before(function () {
    requireLab(this, 'nebula-cert', 'ping');
  });
  afterEach(() => {
    pair.close();
  });

  async function startPair(env: NodeJS.ProcessEnv = {}): Promise<void> {
    pair = new Pair({ left: { routines: ROUTINES, env }, right: { routines: ROUTINES } });
    await pair.start();
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
    // The lines that tell of it come later than the packets.
    await until('both to tell of the handshake', () => pair.left.handshakes() > 0 && pair.right.handshakes() > 0);
  }

  /** Every flow between the nodes works again, and through the same tunnel. */
  async function expectFlows(): Promise<void> {
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
    const flows = Array.from({ length: 4 }, () =>
      ping(pair.lab, pair.left.namespace, RIGHT, { count: 20, intervalMs: 50 }),
    );
    for (const { sent, received } of await Promise.all(flows)) {
      expect(received, 'answered pings').to.equal(sent);
    }
  }

  for (const [what, signal, env] of [
    ['is stopped', 'SIGSTOP', {}],
    ['is in an endless loop', 'SIGUSR2', misbehaviour('loop')],
  ] as const) {
    it(`a worker that ${what} is killed and replaced, and its flows return`, async () => {
      await startPair(env);
      const primary = markProcess(pair.left.program.pid);
      const marks = [pair.left.lines.length, pair.right.lines.length];
      const turns = adversaryScale(ROUTINES);
      for (let turn = 0; turn < turns; turn++) {
        await replaced(pair.left, turn % ROUTINES, signal);
        await expectFlows();
      }
      expect(primary !== null && isRunning(primary), 'the primary runs').to.equal(true);
      expect(hangLines(pair.left)).to.have.length(turns);
      expect(pair.left.handshakes(marks[0]) + pair.right.handshakes(marks[1]), 'new handshakes').to.equal(0);
    });
  }

  it('an idle worker is left alone, and so are all after the primary, or the whole node, stood still', async () => {
    await startPair();
    const { left } = pair;
    const workers = left.workerPids();
    await pass(4_000);
    await standStill([left.program.pid], 4_000);
    const from = left.lines.length;
    await standStill(left.allPids(), 8_000);
    await left.program.waitForLine(/This node stood still, testing its tunnels/, 10_000, from);
    await pass(4_000);
    expect(left.workerPids()).to.deep.equal(workers);
    expect(hangLines(left)).to.deep.equal([]);
    await expectFlows();
  });

  it('a node ends in order although a worker is stopped', async () => {
    await startPair();
    const { left } = pair;
    const workers = left.workerPids().flatMap((pid) => markProcess(pid) ?? []);
    process.kill(workers[0].pid, 'SIGSTOP');
    expect(await left.stop()).to.deep.equal({ code: 0, signal: null });
    expect(workers.filter(isRunning)).to.deep.equal([]);
    expect(await left.hasDevice()).to.equal(false);
    await left.start();
    await expectFlows();
  });

  it('a primary that is killed takes a stopped worker with it, and the next one starts', async () => {
    await startPair();
    const { left } = pair;
    const workers = left.workerPids().flatMap((pid) => markProcess(pid) ?? []);
    process.kill(workers[0].pid, 'SIGSTOP');
    left.program.signal('SIGKILL');
    await until('the workers to end', () => !workers.some(isRunning));
    await until('the device to vanish', async () => !(await left.hasDevice()));
    await left.start();
    await expectFlows();
  });

  it('packets flow on while the primary stands still', async () => {
    await startPair();
    process.kill(pair.left.program.pid, 'SIGSTOP');
    try {
      const { sent, received } = await ping(pair.lab, pair.left.namespace, RIGHT, { count: 100, intervalMs: 40 });
      expect(received, 'answered pings').to.equal(sent);
    } finally {
      process.kill(pair.left.program.pid, 'SIGCONT');
    }
    await expectFlows();
  });
});

/** Signals one worker and returns when another process has taken its place. */
async function replaced(node: TestNode, index: number, signal: NodeJS.Signals): Promise<void> {
  const before = node.workerPids();
  expect(before).to.have.length(ROUTINES);
  process.kill(before[index], signal);
  await until('a new worker', () => {
    const now = node.workerPids();
    return now.length === ROUTINES && !now.includes(before[index]);
  });
}

function hangLines(node: TestNode): string[] {
  return node.lines.filter((line) => line.includes('Worker hangs'));
}

async function standStill(pids: readonly number[], ms: number): Promise<void> {
  for (const pid of pids) {
    process.kill(pid, 'SIGSTOP');
  }
  await pass(ms);
  for (const pid of pids) {
    process.kill(pid, 'SIGCONT');
  }
}

/** A span that is itself what is tested: nothing may happen in it. */
async function pass(ms: number): Promise<void> {
  const startMs = performance.now();
  await until('time to pass', () => performance.now() - startMs >= ms, ms + 30_000, 100);
}
