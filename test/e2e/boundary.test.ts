/** Nodes with a defect: a fault costs what caused it, and only a broken core ends the node, in order. */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { ApiClient } from '../../src/primary/cli/apiClient.ts';
import { isRunning, markProcess } from '../../src/primary/cli/demo/processTable.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import type { MetricList } from '../../src/primary/inspection/metrics.ts';
import { requireLab } from '../support/environment.ts';
import { LEFT, Pair } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { faultyCore } from './faultyCore.ts';

describe('a fault in the primary', function () {
  this.timeout(120_000);
  let pair: Pair;

  before(function () {
    requireLab(this, 'nebula-cert', 'ping');
  });
  afterEach(() => pair?.close());

  async function start(defect: Parameters<typeof faultyCore>[0]): Promise<void> {
    pair = new Pair({ left: { env: faultyCore(defect) } });
    await pair.start();
    await untilReachable(pair.lab, pair.right.namespace, LEFT);
    pair.left.program.signal('SIGUSR2');
  }

  async function count(name: string): Promise<number> {
    const { counters } = (await new ApiClient(pair.left.socketPath).get('/v1/metrics')) as MetricList;
    return counters.find((counter) => counter.name === name)?.total ?? 0;
  }

  /** The right node starts anew, and has something to say at once. */
  async function shakeHandsAgain(): Promise<void> {
    await pair.right.restart();
    pair.lab.start(pair.right.namespace, ['ping', '-i', '0.2', LEFT]);
  }

  async function expectFlow(): Promise<void> {
    const { sent, received } = await ping(pair.lab, pair.right.namespace, LEFT, { count: 5 });
    expect(received, 'answered pings').to.equal(sent);
  }

  it('that nobody catches is counted and told, and the node goes on', async () => {
    await start('uncaught');
    await until('both faults', async () => (await count('boundary.process')) === 2);
    const told = pair.left.lines.filter((line) => line.includes('A fault was caught, the node goes on'));
    expect(told.join('\n'))
      .to.match(/of nobody/)
      .and.match(/entry=process/);
    expect(told).to.have.length(2);
    await expectFlow();
  });

  it('in one kind of event leaves the others as they are, and ends when its cause does', async () => {
    await start('handshake');
    await shakeHandsAgain();
    await until('refused handshakes', async () => (await count('boundary.worker')) > 0);
    pair.left.program.signal('SIGUSR2');
    await untilReachable(pair.lab, pair.right.namespace, LEFT);
    await expectFlow();
    expect(pair.left.program.status).to.equal(null);
  });

  it('that breaks an invariant of the core ends the node in order, with one line and exit code 1', async () => {
    await start('broken');
    const workers = pair.left.workerPids().map(markProcess);
    expect(workers).to.have.length(1);
    await shakeHandsAgain();
    const { code, signal } = await pair.left.program.exited;
    expect({ code, signal }).to.deep.equal({ code: 1, signal: null });
    expect(pair.left.lines.filter((line) => line.startsWith('weft '))).to.deep.equal([
      'weft cannot go on: two owners of a slot',
    ]);
    expect(workers.filter((mark) => mark === null || isRunning(mark))).to.deep.equal([]);
    expect(await pair.left.hasDevice()).to.equal(false);
  });
});
