/**
 * weft with every offload on against nebula 1.6.1, which has none: what either sends the other's kernel finds in order,
 * down to the checksums. And a peer that sets no flow labels stays with one worker, also when it roams.
 */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { kernelErrors, newErrors } from '../support/kernelErrors.ts';
import type { NodeOptions } from '../support/nodes.ts';
import { LEFT, Pair, type PairOptions, RIGHT } from '../support/pair.ts';
import { ping, untilReachable } from '../support/traffic.ts';
import { transferDatagrams, transferStream } from '../support/transfers.ts';
import { growth, WorkerMetrics } from '../support/workerMetrics.ts';

const STREAM_BYTES = 24 << 20;
const PLAN = { flows: 4, count: 800, payloadBytesMax: 1272 };
/** Each new address would meet another worker with one chance in two if the address decided. */
const ROAMS = 8;

const cases: readonly {
  readonly underlay: 4 | 6;
  readonly weft: Partial<NodeOptions>;
  readonly cipher: 'aes' | 'chachapoly';
}[] = [
  { underlay: 4, weft: { routines: 1 }, cipher: 'aes' },
  { underlay: 6, weft: { routines: 2 }, cipher: 'chachapoly' },
];

describe('offloads against nebula 1.6.1', function () {
  this.timeout(90_000);
  let pair: Pair | null = null;
  let metrics: WorkerMetrics | null = null;

  before(function () {
    requireLab(this, 'nebula', 'nebula-cert', 'ping', 'ip');
  });
  afterEach(() => {
    metrics?.close();
    metrics = null;
    pair?.close();
    pair = null;
  });

  async function start(options: PairOptions): Promise<Pair> {
    const started = new Pair(options);
    pair = started;
    await started.start();
    await untilReachable(started.lab, started.left.namespace, RIGHT);
    return started;
  }

  for (const { underlay, weft, cipher } of cases) {
    it(`TCP and UDP both ways, ${weft.routines} routines, ${cipher}, IPv${underlay} below: no kernel finds a fault`, async () => {
      const { lab, left, right } = await start({
        underlay,
        left: { kind: 'weft', cipher, ...weft },
        right: { kind: 'nebula', cipher },
      });
      const pids = [left, right].map((node) => node.program.pid);
      const before = pids.map(kernelErrors);
      for (const route of [
        { lab, from: left.namespace, to: right.namespace, address: RIGHT },
        { lab, from: right.namespace, to: left.namespace, address: LEFT },
      ]) {
        const { sent, received } = await transferStream(route, STREAM_BYTES, route.address);
        expect(received, `to ${route.address}`).to.deep.equal(sent);
        const report = await transferDatagrams(route, PLAN);
        expect(report, `to ${route.address}`).to.deep.include({
          corrupt: 0,
          reordered: 0,
          strange: 0,
          ended: PLAN.flows,
        });
        expect(report.received).to.be.greaterThan(report.sent / 2);
        expect(report.emptyReceived).to.be.within(report.emptySent / 2, report.emptySent);
      }
      for (const [index, pid] of pids.entries()) {
        expect(Object.keys(before[index])).to.include.members(['TcpInCsumErrors', 'UdpInErrors', 'Udp6InCsumErrors']);
        expect(newErrors(before[index], kernelErrors(pid)), `of ${index === 0 ? 'weft' : 'nebula'}`).to.deep.equal([]);
      }
    });
  }

  it('keeps the tunnel of a nebula peer with one worker while the peer roams', async () => {
    const { lab, left, right } = await start({ left: { kind: 'nebula' }, right: { kind: 'weft', routines: 2 } });
    metrics = new WorkerMetrics(right.program.pid);
    const before = metrics.read('messages.rx.message');
    for (let roam = 1; roam <= ROAMS; roam++) {
      const address = `192.0.2.${10 + roam}`;
      await lab.run(left.namespace, ['ip', 'address', 'add', `${address}/24`, 'dev', 'cable0']);
      const words = ['ip', 'route', 'replace', '192.0.2.0/24', 'dev', 'cable0', 'proto', 'kernel', 'scope', 'link'];
      const changed = await lab.run(left.namespace, [...words, 'src', address]);
      expect(changed.code, changed.lines.join(' ')).to.equal(0);
      expect((await ping(lab, left.namespace, RIGHT, { count: 5, intervalMs: 10 })).received, address).to.equal(5);
    }
    // weft looks at a peer's address once in a while only, so it may tell of fewer roams than there were.
    const last = `newAddr=192.0.2.${10 + ROAMS}:`;
    await until('weft to tell of the last address', async () => {
      await ping(lab, left.namespace, RIGHT, { count: 1 });
      return right.lines.some((line) => line.includes('roamed') && line.includes(last));
    });
    const counted = growth(before, metrics.read('messages.rx.message')).sort((a, b) => a - b);
    expect(counted[0], 'messages that the other worker received').to.equal(0);
    expect(counted[1]).to.be.at.least(ROAMS * 5);
  });
});
