/**
 * Flow labels between two running weft nodes: one tunnel uses every worker at both ends and no flow is reordered by it;
 * without labels the tunnel stays with one worker of the receiver.
 */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { requireLab } from '../support/environment.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { untilReachable } from '../support/traffic.ts';
import { transferDatagrams, transferStream } from '../support/transfers.ts';
import { growth, WorkerMetrics } from '../support/workerMetrics.ts';

/** Each flow meets a worker at random: that all meet the same one happens once in 30,000 runs. */
const FLOWS = 16;
const COUNT = 800;
const STREAM_BYTES = 8 << 20;
const PLAN = { flows: FLOWS, count: COUNT, payloadBytesMax: 1272 };

describe('one tunnel on several workers', function () {
  this.timeout(60_000);
  let pair: Pair | null = null;
  let metrics: WorkerMetrics[] = [];

  before(function () {
    requireLab(this, 'ip', 'ping', 'nebula-cert');
  });
  afterEach(() => {
    for (const node of metrics) {
      node.close();
    }
    metrics = [];
    pair?.close();
    pair = null;
  });

  async function start(labels: boolean): Promise<Pair> {
    const config = { listen: { flow_labels: labels } };
    const started = new Pair({ left: { routines: 2, config }, right: { routines: 2, config } });
    pair = started;
    await started.start();
    await untilReachable(started.lab, started.left.namespace, RIGHT);
    metrics = [started.left, started.right].map((node) => new WorkerMetrics(node.program.pid));
    return started;
  }

  it('spreads the flows over both workers of both ends, and keeps each in order', async () => {
    const { lab, left, right } = await start(true);
    const names = ['tun.rx.packets', 'messages.tx.message', 'messages.rx.message', 'tun.tx.packets'] as const;
    const read = (): number[][] => metrics.flatMap((node) => names.map((name) => node.read(name)));
    const before = read();
    const there = { lab, from: left.namespace, to: right.namespace, address: RIGHT };
    const back = { lab, from: right.namespace, to: left.namespace, address: LEFT };
    const reports = await Promise.all([there, back].map((route) => transferDatagrams(route, PLAN)));
    for (const report of reports) {
      expect(report).to.deep.include({ corrupt: 0, reordered: 0, strange: 0, ended: FLOWS });
      expect(report.received).to.be.greaterThan(report.sent / 2);
    }
    for (const [index, after] of read().entries()) {
      const counted = growth(before[index], after);
      expect(Math.min(...counted), `${names[index % names.length]}: ${counted.join(' and ')}`).to.be.greaterThan(COUNT);
    }
  });

  it('leaves the tunnel with one worker of the receiver when labels are off', async () => {
    const { lab, left, right } = await start(false);
    const before = metrics[1].read('messages.rx.message');
    const route = { lab, from: left.namespace, to: right.namespace, address: RIGHT };
    const report = await transferDatagrams(route, PLAN);
    expect(report).to.deep.include({ corrupt: 0, reordered: 0, strange: 0, ended: FLOWS });
    const { sent, received } = await transferStream(route, STREAM_BYTES, 'unlabelled');
    expect(received).to.deep.equal(sent);
    const counted = growth(before, metrics[1].read('messages.rx.message')).sort((a, b) => a - b);
    expect(counted[0], 'messages that the other worker received').to.equal(0);
    expect(counted[1]).to.be.greaterThan((FLOWS * COUNT) / 2);
  });
});
