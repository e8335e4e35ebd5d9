/**
 * Offloads end to end: what goes into a tunnel comes out of it, byte for byte and in order, however packets were joined
 * and cut on the way. By TCP as random bytes hashed at both ends, by UDP as datagrams that the receiver knows in advance;
 * over both families, with one worker and with two, and with offloads on one side only.
 *
 * WEFT_INTEGRITY_MIB sets how much goes through the longest transfer of each case: 256 unless told otherwise.
 */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import type { MetricName } from '../../src/shared/memory/metrics.ts';
import { requireLab } from '../support/environment.ts';
import { kernelErrors, newErrors } from '../support/kernelErrors.ts';
import type { ConfigTree } from '../support/nodes.ts';
import { LEFT, RIGHT } from '../support/pair.ts';
import { untilReachable } from '../support/traffic.ts';
import { type DatagramReport, type Route, transferDatagrams, transferStream } from '../support/transfers.ts';
import { WorkerMetrics } from '../support/workerMetrics.ts';
import { FirewallPair, LEFT6, RIGHT6 } from './firewallPair.ts';

const MIB = 1 << 20;
const LONG_BYTES = Number(process.env.WEFT_INTEGRITY_MIB ?? 256) * MIB;
const SHORT_BYTES = Math.min(LONG_BYTES, 48 * MIB);
const MTU = 1300;
/** The largest payload of one packet, behind the headers of IP and UDP. */
const PAYLOAD_MAX = { 4: MTU - 28, 6: MTU - 48 } as const;
const FLOWS = 8;
const COUNT = 800;
/** Packets of a bulk stream that one read of the tun device gives; far more than that with whole super-packets. */
const PACKETS_PER_READ = 3;
const WITHOUT_OFFLOADS: ConfigTree = { tun: { use_offloads: false }, listen: { udp_offloads: false } };

interface Case {
  readonly title: string;
  readonly routines: number;
  /** Of the left node. */
  readonly left?: ConfigTree;
}

const cases: readonly Case[] = [
  { title: 'one routine', routines: 1 },
  { title: 'two routines', routines: 2 },
  { title: 'one routine, no offloads on the left', routines: 1, left: WITHOUT_OFFLOADS },
  { title: 'two routines, no offloads on the left', routines: 2, left: WITHOUT_OFFLOADS },
];

describe('integrity of what a tunnel carries', function () {
  this.timeout(180_000 + LONG_BYTES / 10_000);
  let pair: FirewallPair | null = null;

  before(function () {
    requireLab(this, 'ip', 'ping');
  });
  afterEach(() => {
    pair?.close();
    pair = null;
  });

  for (const { title, routines, left } of cases) {
    it(`${title}: TCP and UDP over IPv4 and IPv6`, async () => {
      const started = await FirewallPair.open({ routines });
      pair = started;
      if (left !== undefined) {
        await started.left.node.restart({ config: left });
      }
      await untilReachable(started.lab, started.left.namespace, RIGHT);
      await untilReachable(started.lab, started.right.namespace, LEFT6);
      const pids = [started.left, started.right].map(({ node }) => node.program.pid);
      const before = pids.map(kernelErrors);
      const packetsPerRead = await withReads(started, async () => {
        await expectStreams(started, left === undefined ? LONG_BYTES : SHORT_BYTES);
      });
      expect(packetsPerRead[1], 'packets per read on the right').to.be.greaterThan(PACKETS_PER_READ);
      if (left === undefined) {
        expect(packetsPerRead[0], 'packets per read on the left').to.be.greaterThan(PACKETS_PER_READ);
      } else {
        expect(packetsPerRead[0], 'packets per read without offloads').to.be.at.most(1);
      }
      await expectDatagrams(started);
      for (const [index, pid] of pids.entries()) {
        expect(newErrors(before[index], kernelErrors(pid)), 'faults that the kernel found').to.deep.equal([]);
      }
    });
  }
});

/** Packets sent for each read of the tun device while `work` runs, at the left and at the right. */
async function withReads(pair: FirewallPair, work: () => Promise<void>): Promise<number[]> {
  const metrics = [pair.left, pair.right].map(({ node }) => new WorkerMetrics(node.program.pid));
  try {
    const read = (name: MetricName): number[] => metrics.map((node) => sum(node.read(name)));
    const before = { reads: read('tun.rx.packets'), packets: read('messages.tx.message') };
    await work();
    const [reads, packets] = [read('tun.rx.packets'), read('messages.tx.message')];
    return reads.map((count, end) => (packets[end] - before.packets[end]) / (count - before.reads[end]));
  } finally {
    for (const node of metrics) {
      node.close();
    }
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

async function expectStreams(pair: FirewallPair, longBytes: number): Promise<void> {
  const { there, back } = routes(pair);
  for (const [index, { route, bytes }] of [
    { route: there(RIGHT), bytes: longBytes },
    { route: back(LEFT6), bytes: SHORT_BYTES },
    { route: there(RIGHT6), bytes: SHORT_BYTES },
    { route: back(LEFT), bytes: SHORT_BYTES },
  ].entries()) {
    const { sent, received } = await transferStream(route, bytes, `stream ${index}`);
    expect(received, `to ${route.address}`).to.deep.equal(sent);
    expect(received.bytes).to.equal(bytes);
  }
}

/** Each family both ways at once. */
async function expectDatagrams(pair: FirewallPair): Promise<void> {
  const { there, back } = routes(pair);
  for (const { family, directions } of [
    { family: 4, directions: [there(RIGHT), back(LEFT)] },
    { family: 6, directions: [there(RIGHT6), back(LEFT6)] },
  ] as const) {
    const plan = { flows: FLOWS, count: COUNT, payloadBytesMax: PAYLOAD_MAX[family] };
    const reports = await Promise.all(directions.map((route) => transferDatagrams(route, plan)));
    for (const report of reports) {
      expectWhole(report, PAYLOAD_MAX[family]);
    }
  }
}

function expectWhole(report: DatagramReport, payloadBytesMax: number): void {
  const lost = report.sent - report.received;
  console.log(`      ${report.received} datagrams came, ${lost} were lost; ${report.emptyReceived} empty ones came`);
  expect(report).to.deep.include({ corrupt: 0, reordered: 0, strange: 0, ended: FLOWS, maxBytes: payloadBytesMax });
  // The receiver's socket may overflow on a busy machine; the greater part must come for the rest to mean something.
  expect(report.received, 'datagrams that came').to.be.within(report.sent / 2, report.sent);
  expect(report.emptyReceived, 'empty datagrams').to.be.within(report.emptySent / 2, report.emptySent);
}

function routes(pair: FirewallPair): {
  readonly there: (address: string) => Route;
  readonly back: (address: string) => Route;
} {
  const { lab, left, right } = pair;
  return {
    there: (address) => ({ lab, from: left.namespace, to: right.namespace, address }),
    back: (address) => ({ lab, from: right.namespace, to: left.namespace, address }),
  };
}
