/**
 * One conntrack table for all workers: a reply passes whichever worker it meets. And the cache in front of the table: on
 * with several queues, told of at the start, emptied by the ticks.
 */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { buildFirewallPacket, readFirewallPacket } from '../support/firewallPackets.ts';
import { lively, outcomes, serve } from '../support/firewallProbe.ts';
import { PacketTap } from '../support/firewallTap.ts';
import { OVERLAY_DEVICE } from '../support/nodes.ts';
import { LEFT, RIGHT } from '../support/pair.ts';
import { quietKernel } from '../support/quietKernel.ts';
import { FirewallPair, type FirewallPairOptions, type FirewallSide } from './firewallPair.ts';

const ROUTINES = 3;
const FLOWS = 48;
const TCP_CLIENTS = 40;
const PORT = 8001;
const CACHE_LINE = /Using routine-local conntrack cache/;
const EMPTYING_LINE = /resetting conntrack cache/;

describe('firewall of several workers', function () {
  this.timeout(60_000);
  let pair: FirewallPair | null = null;
  let taps: PacketTap[] = [];

  before(function () {
    requireLab(this, 'nft');
  });
  afterEach(() => {
    for (const tap of taps) {
      tap.close();
    }
    taps = [];
    pair?.close();
    pair = null;
  });

  async function open(options: FirewallPairOptions): Promise<FirewallPair> {
    pair = await FirewallPair.open(options);
    return pair;
  }

  it('replies pass through another worker than the one that opened the flow', async () => {
    // Only conntrack lets anything into the left node, and anything out of the right one.
    const { lab, left, right } = await open({ routines: ROUTINES });
    await Promise.all([pair?.apply(left, { inbound: [] }), pair?.apply(right, { outbound: [] })]);
    await serve(lab, right.namespace, { tcp: [PORT] });
    const clients = Array.from({ length: TCP_CLIENTS }, () => lively('tcp', RIGHT, PORT));
    expect(new Set(await outcomes(lab, left.namespace, clients))).to.deep.equal(new Set(['answered']));
    for (const { namespace } of [left, right]) {
      taps.push(new PacketTap(namespace, OVERLAY_DEVICE));
      // From here on the kernels have nothing to say.
      await quietKernel(lab, namespace, OVERLAY_DEVICE);
    }
    const others = new Set<number>();
    let crossings = 0;
    for (let flow = 0; flow < FLOWS; flow++) {
      const [opener, replier] = await exchange(left, taps, flow);
      crossings += opener === replier ? 0 : 1;
      others.add(replier);
    }
    expect(crossings, 'flows whose reply met another worker').to.be.greaterThan(FLOWS / 8);
    expect(others.size, 'workers that replies met').to.equal(ROUTINES);
  });

  it('cache flows for a second by default, say so, and tell of every emptying at debug level', async () => {
    const { lab, left, right } = await open({ routines: 2, config: { logging: { level: 'debug' } } });
    expect(left.node.lines.filter((line) => CACHE_LINE.test(line))).to.have.length(1);
    expect(left.node.lines.find((line) => CACHE_LINE.test(line))).to.match(/level=INFO.*durationMs=1000/);
    const ping = lab.start(left.namespace, ['ping', '-n', '-i', '0.05', RIGHT]);
    for (const { node, counters } of [left, right]) {
      const mark = node.lines.length;
      const line = await node.program.waitForLine(EMPTYING_LINE, 10_000, mark);
      expect(line).to.match(/level=DEBUG.*len=\d/);
      const [hits, emptyings] = [counters.total('CacheHits'), counters.total('CacheEmptyings')];
      await until('more hits and emptyings', () => {
        return counters.total('CacheHits') > hits && counters.total('CacheEmptyings') > emptyings;
      });
    }
    await ping.stop();
  });

  it('do not cache when they are told so', async () => {
    const config = { firewall: { conntrack: { routine_cache_timeout: '0s' } }, logging: { level: 'debug' } };
    const { lab, left, right } = await open({ routines: 2, config });
    await serve(lab, right.namespace, { tcp: [PORT] });
    expect(await outcomes(lab, left.namespace, [lively('tcp', RIGHT, PORT)])).to.deep.equal(['answered']);
    expect(left.counters.total('ConntrackHits')).to.be.greaterThan(0);
    expect(left.counters.total('CacheHits')).to.equal(0);
    expect(left.node.lines.filter((line) => CACHE_LINE.test(line) || EMPTYING_LINE.test(line))).to.deep.equal([]);
  });
});

/** One datagram from left to right and its reply; the workers of the left node that they met. */
async function exchange(left: FirewallSide, taps: readonly PacketTap[], flow: number): Promise<[number, number]> {
  const there = { source: LEFT, destination: RIGHT, protocol: 17, sourcePort: 30_000 + flow, destinationPort: PORT };
  const back = { source: RIGHT, destination: LEFT, protocol: 17, sourcePort: PORT, destinationPort: 30_000 + flow };
  const mark = 1 + flow;
  const added = left.counters.read('FlowsAdded');
  const hits = left.counters.read('ConntrackHits');
  taps[0].send(buildFirewallPacket({ ...there, mark }));
  await untilMark(taps[1], mark);
  taps[1].send(buildFirewallPacket({ ...back, mark }));
  await untilMark(taps[0], mark);
  return [grown(added, left.counters.read('FlowsAdded')), grown(hits, left.counters.read('ConntrackHits'))];
}

async function untilMark(tap: PacketTap, mark: number): Promise<void> {
  const isThere = (): boolean => tap.take().some((packet) => readFirewallPacket(packet).mark === mark);
  await until(`packet ${mark} to come out`, isThere, 20_000, 1);
}

/** The one worker whose counter went up. */
function grown(before: readonly number[], after: readonly number[]): number {
  const workers = after.flatMap((count, worker) => (count > before[worker] ? [worker] : []));
  expect(workers, 'workers that counted the packet').to.have.length(1);
  return workers[0];
}
