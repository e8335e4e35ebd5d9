/**
 * Two real nodes, and in one of them a worker that is taken over again and again while packets flow through the other:
 * not one of them is lost, the bad worker is replaced each time, and the node stays the same process.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { isRunning, markProcess } from '../../src/primary/cli/demo/processTable.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { ownDirectory } from '../support/ownDirectory.ts';
import { Pair, RIGHT } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { growth, WorkerMetrics } from '../support/workerMetrics.ts';
import { MESSAGE_ACTS } from './hostileActs.ts';
import { Hostility } from './hostility.ts';
import { adversaryScale } from './scale.ts';

const PING_MS = 10;

describe('a worker that is taken over beside one that is not', function () {
  this.timeout(300_000);
  const [directory, remove] = ownDirectory('weft-hostility-');
  let pair: Pair;

  before(function () {
    requireLab(this, 'nebula-cert', 'ping');
  });
  afterEach(() => {
    pair.close();
    remove();
  });

  it('costs the other’s tunnel no packet, whatever it says', async () => {
    const acts = sample(Object.keys(MESSAGE_ACTS), adversaryScale(5));
    const hostility = new Hostility(directory);
    hostility.prepare(acts[0]);
    // Without labels a tunnel stays with one worker of the receiver.
    const left = { routines: 1, config: { listen: { flow_labels: false } } };
    pair = new Pair({ left, right: { routines: 2, env: hostility.env } });
    await pair.start();
    await untilReachable(pair.lab, pair.left.namespace, RIGHT);
    const primary = markProcess(pair.right.program.pid);
    const carrier = await carrierPid();
    const mark = pair.right.lines.length;
    let isDone = false;
    const pinging = pingWhile(() => !isDone);
    for (const [index, act] of acts.entries()) {
      await takeOver(act, carrier, () => hostility.prepare(acts[index + 1] ?? ''));
    }
    isDone = true;
    const { sent, received } = await pinging;
    expect(received, 'answered pings').to.equal(sent);
    expect(primary !== null && isRunning(primary), 'the primary runs').to.equal(true);
    expect(pair.right.workerPids(), 'the worker that carries').to.include(carrier);
    const deaths = (): string[] => pair.right.lines.slice(mark).filter((line) => line.includes('Worker died'));
    await until('the log', () => deaths().length === acts.length);
    expect(deaths().filter((line) => !line.includes('broke the protocol'))).to.deep.equal([]);
    expect(pair.right.handshakes(mark), 'new handshakes').to.equal(0);
  });

  /** Has the worker that carries nothing do its act, and returns when another, to be prepared before, is in its place. */
  async function takeOver(act: string, carrier: number, prepareNext: () => void): Promise<void> {
    const victim = pair.right.workerPids().find((pid) => pid !== carrier) ?? 0;
    expect(victim, 'another worker').not.to.equal(0);
    await until('the worker to have read its act', () => catchesSignal(victim, SIGUSR2));
    prepareNext();
    process.kill(victim, 'SIGUSR2');
    await until(`another worker after ${act}`, () => {
      const pids = pair.right.workerPids();
      return pids.length === 2 && !pids.includes(victim);
    });
  }

  async function pingWhile(isWanted: () => boolean): Promise<{ sent: number; received: number }> {
    let [sent, received] = [0, 0];
    do {
      const result = await ping(pair.lab, pair.left.namespace, RIGHT, { count: 50, intervalMs: PING_MS });
      sent += result.sent;
      received += result.received;
    } while (isWanted());
    return { sent, received };
  }

  /** Of the worker that receives the pings of the left node and sends their answers. */
  async function carrierPid(): Promise<number> {
    const metrics = new WorkerMetrics(pair.right.program.pid);
    try {
      const names = ['messages.rx.message', 'messages.tx.message'] as const;
      const before = names.map((name) => metrics.read(name));
      await ping(pair.lab, pair.left.namespace, RIGHT, { count: 20, intervalMs: PING_MS });
      const [received, sent] = names.map((name, index) => growth(before[index], metrics.read(name)));
      const worker = received.indexOf(Math.max(...received));
      expect(received[1 - worker] + sent[1 - worker], 'packets of the other worker').to.equal(0);
      return pair.right.workerPids()[worker];
    } finally {
      metrics.close();
    }
  }
});

const SIGUSR2 = constants.signals.SIGUSR2;

/** Whether a process has a handler for a signal; without one it would end. (proc_pid_status(5), SigCgt) */
function catchesSignal(pid: number, signal: number): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

/** `count` of the items, evenly over all, or all. */
function sample<T>(items: readonly T[], count: number): T[] {
  const step = Math.max(1, items.length / count);
  return Array.from({ length: Math.min(count, items.length) }, (_, index) => items[Math.floor(index * step)]);
}
