/**
 * Processes come and go and the tunnels stay: a killed worker loses nothing but its moment, a killed primary leaves no
 * worker behind, an idle node sleeps.
 */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { isRunning, markProcess, type ProcessMark } from '../../src/primary/cli/demo/processTable.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { OVERLAY_DEVICE, type TestNode } from '../support/nodes.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { deviceBytes, runSeconds } from '../support/procfs.ts';
import { ping, stream, untilReachable } from '../support/traffic.ts';
import { StallWatch } from './stalls.ts';

const ROUTINES = 2;
const PING_MS = 20;

describe('supervision', function () {
  this.timeout(120_000);
  let pair: Pair;

  before(function () {
    requireLab(this, 'nebula-cert', 'iperf3', 'ping');
  });
  afterEach(() => {
    pair.close();
  });

  async function startPair(): Promise<void> {
    pair = new Pair({ left: { routines: ROUTINES }, right: { routines: ROUTINES } });
    await pair.start();
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
  }

  for (const side of ['sending', 'receiving'] as const) {
    it(`a killed worker of the ${side} node loses no tunnel and less than a second`, async () => {
      await startPair();
      const victim = side === 'sending' ? pair.right : pair.left;
      const marks = [pair.left.lines.length, pair.right.lines.length];
      const stalls = new StallWatch();
      const pinging = ping(pair.lab, pair.left.namespace, RIGHT, { count: 600, intervalMs: PING_MS });
      // The server, on the right, sends: the client's report then tells what arrived in each tenth of a second.
      const streaming = stream(pair.lab, pair.left.namespace, pair.right.namespace, RIGHT, {
        seconds: 12,
        reverse: true,
        reportIntervalSeconds: 0.1,
      });
      let isStreaming = true;
      const onEnd = (): void => {
        isStreaming = false;
      };
      streaming.then(onEnd, onEnd);
      for (let turn = 0; turn < ROUTINES; turn++) {
        await untilFlowing(pair.left);
        await killWorker(victim, turn);
      }
      await untilFlowing(pair.left);
      expect(isStreaming, 'the stream outlasts the deaths').to.equal(true);
      const { intervalBytes } = await streaming;
      expectUnderSecond(longestRun(intervalBytes, (bytes) => bytes === 0) * 100, stalls, 'without data');
      expect(intervalBytes.at(-2), 'bytes in the last tenths').to.be.greaterThan(0);
      const { sent, received } = await pinging;
      stalls.stop();
      expectUnderSecond((sent - received) * PING_MS, stalls, 'of unanswered pings');
      expect(pair.left.handshakes(marks[0]) + pair.right.handshakes(marks[1]), 'new handshakes').to.equal(0);
    });
  }

  it('a killed worker comes back each time, and the primary stays the same process', async () => {
    await startPair();
    const primary = markProcess(pair.left.program.pid);
    for (let turn = 0; turn < 4; turn++) {
      await killWorker(pair.left, turn % ROUTINES);
      await untilReachable(pair.lab, pair.right.namespace, LEFT);
    }
    expect(primary !== null && isRunning(primary)).to.equal(true);
  });

  it('workers end when their primary is killed, and nothing of the device is left', async () => {
    await startPair();
    const workers = marksOf(pair.left.workerPids());
    expect(workers).to.have.length(ROUTINES);
    pair.left.program.signal('SIGKILL');
    await until('the workers to end', () => !workers.some(isRunning));
    await until('the device to vanish', async () => !(await pair.left.hasDevice()));
  });

  it('an idle node uses less than one hundredth of a core', async () => {
    await startPair();
    const windows = [await idleShares(pair), await idleShares(pair), await idleShares(pair)];
    expect(Math.min(...windows.map(({ left }) => left)), 'share of a core, left').to.be.lessThan(0.01);
    expect(Math.min(...windows.map(({ right }) => right)), 'share of a core, right').to.be.lessThan(0.01);
  });
});

function expectUnderSecond(ms: number, stalls: StallWatch, what: string): void {
  expect(ms - stalls.mostWithin(ms), `milliseconds ${what}`).to.be.lessThan(1000);
}

/**
 * Each node's share of a core in five seconds, in which whatever a node does periodically has its turn. A virtual machine
 * charges a process also for moments in which the machine itself did not run: of several windows the least is the node's.
 */
async function idleShares({ left, right }: Pair): Promise<{ readonly left: number; readonly right: number }> {
  const before = [runSeconds(left.allPids()), runSeconds(right.allPids())];
  const startMs = performance.now();
  await until('five idle seconds to pass', () => performance.now() - startMs >= 5_000, 30_000, 250);
  const seconds = (performance.now() - startMs) / 1000;
  const after = [runSeconds(left.allPids()), runSeconds(right.allPids())];
  return { left: (after[0] - before[0]) / seconds, right: (after[1] - before[1]) / seconds };
}

/** Kills one worker and returns when another process has taken its place. */
async function killWorker(node: TestNode, index: number): Promise<void> {
  const before = node.workerPids();
  expect(before).to.have.length(ROUTINES);
  process.kill(before[index], 'SIGKILL');
  await until('a new worker', () => {
    const now = node.workerPids();
    return now.length === ROUTINES && !now.includes(before[index]);
  });
}

/** Returns when a further 2 MB have come out of the tunnel at `node`. */
async function untilFlowing(node: TestNode): Promise<void> {
  const start = deviceBytes(node.program.pid, OVERLAY_DEVICE).received;
  const isFlowing = (): boolean => deviceBytes(node.program.pid, OVERLAY_DEVICE).received > start + 2_000_000;
  await until('data to flow through the tunnel', isFlowing);
}

function marksOf(pids: readonly number[]): ProcessMark[] {
  return pids.flatMap((pid) => markProcess(pid) ?? []);
}

function longestRun<T>(items: readonly T[], matches: (item: T) => boolean): number {
  let longest = 0;
  let current = 0;
  for (const item of items) {
    current = matches(item) ? current + 1 : 0;
    longest = Math.max(longest, current);
  }
  return longest;
}
