/**
 * weft and Debian's nebula 1.6.1 at the two ends of one tunnel: each as initiator and as responder, with both ciphers, with
 * one and with several queues, across restarts and new handshakes of either side.
 *
 * The pair nebula with nebula runs first, as a control: when it fails, the machine or this harness is at fault, not weft.
 */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { expectDatagrams } from '../support/expectDatagrams.ts';
import type { NodeKind, NodeOptions, TestNode } from '../support/nodes.ts';
import { LEFT, Pair, RIGHT } from '../support/pair.ts';
import { ping, stream, untilReachable } from '../support/traffic.ts';

type Cipher = 'aes' | 'chachapoly';

const STREAM_BYTES = 32 << 20;

const ciphers: readonly Cipher[] = ['aes', 'chachapoly'];
const kinds: readonly { readonly left: NodeKind; readonly right: NodeKind; readonly title: string }[] = [
  { left: 'nebula', right: 'nebula', title: 'nebula with nebula (control)' },
  { left: 'weft', right: 'nebula', title: 'weft initiates, nebula responds' },
  { left: 'nebula', right: 'weft', title: 'nebula initiates, weft responds' },
];

describe('interop with nebula 1.6.1', function () {
  this.timeout(90_000);
  let pair: Pair | null = null;

  before(function () {
    requireLab(this, 'nebula', 'nebula-cert', 'iperf3', 'ping');
  });
  afterEach(() => {
    pair?.close();
    pair = null;
  });

  async function startPair(left: Partial<NodeOptions>, right: Partial<NodeOptions>): Promise<Pair> {
    const started = new Pair({ left, right });
    pair = started;
    await started.start();
    return started;
  }

  for (const { left, right, title } of kinds) {
    for (const cipher of ciphers) {
      it(`${title}, ${cipher}: ping, full-size packets, TCP both ways, UDP`, async () => {
        const { lab, ...nodes } = await startPair({ kind: left, cipher }, { kind: right, cipher });
        const first = await ping(lab, nodes.left.namespace, RIGHT, { count: 1, patienceSeconds: 5 });
        expect(first.received, 'the packet that started the handshake').to.equal(1);
        expectRoles(nodes.left, nodes.right);
        const marks = [nodes.left.lines.length, nodes.right.lines.length];
        expect((await ping(lab, nodes.right.namespace, LEFT)).received).to.equal(3);
        expect((await ping(lab, nodes.left.namespace, RIGHT, fullSize(1300))).received).to.equal(3);
        await expectStreams(nodes.left, nodes.right, { lab });
        const again = nodes.left.handshakes(marks[0]) + nodes.right.handshakes(marks[1]);
        expect(again, 'handshakes after the first').to.equal(0);
      });
    }
  }

  for (const routines of [2, 3]) {
    it(`weft with ${routines} routines and nebula with 1`, async () => {
      const { lab, left, right } = await startPair({ kind: 'weft', routines }, { kind: 'nebula' });
      await untilReachable(lab, left.namespace, RIGHT);
      await expectStreams(left, right, { lab, streams: 4 });
    });

    it(`weft with ${routines} routines and nebula with ${routines}`, async () => {
      const { lab, left, right } = await startPair({ kind: 'nebula', routines }, { kind: 'weft', routines });
      await untilReachable(lab, left.namespace, RIGHT);
      await expectStreams(left, right, { lab, streams: 4 });
    });
  }

  for (const restarted of ['weft', 'nebula'] as const) {
    for (const end of ['SIGTERM', 'SIGKILL'] as const) {
      it(`${restarted} ends by ${end} and comes back: the other side finds it again`, async () => {
        const { lab, left, right } = await startPair({ kind: 'weft' }, { kind: 'nebula' });
        await untilReachable(lab, left.namespace, RIGHT);
        const [victim, survivor] = restarted === 'weft' ? [left, right] : [right, left];
        victim.program.signal(end);
        await victim.program.exited;
        await victim.start();
        await untilReachable(lab, survivor.namespace, victim === left ? LEFT : RIGHT, 40_000);
        expect((await ping(lab, victim.namespace, survivor === left ? LEFT : RIGHT)).received).to.equal(3);
      });
    }
  }

  it('nebula shakes hands again while weft still holds the old tunnel', async () => {
    const { lab, left, right } = await startPair({ kind: 'weft' }, { kind: 'nebula' });
    await untilReachable(lab, left.namespace, RIGHT);
    right.program.signal('SIGKILL');
    await right.program.exited;
    const mark = left.lines.length;
    await right.start();
    await untilReachable(lab, right.namespace, LEFT);
    // Its log line may come after the answer to the ping.
    await until('weft to tell of the handshake', () => left.handshakes(mark) > 0);
    expect(left.handshakes(mark)).to.equal(1);
    expect((await ping(lab, left.namespace, RIGHT)).received).to.equal(3);
  });

  it('weft shakes hands again after it has reloaded a new certificate', async () => {
    const { lab, pki, left, right } = await startPair({ kind: 'weft' }, { kind: 'nebula' });
    await untilReachable(lab, left.namespace, RIGHT);
    const mark = right.lines.length;
    left.writeConfig({ pki: pki.sign('left-renewed', `${LEFT}/24`, { groups: ['renewed'] }) });
    left.program.signal('SIGHUP');
    const pinging = ping(lab, left.namespace, RIGHT, { count: 100, intervalMs: 100 });
    await until('nebula to tell of a second handshake', () => right.handshakes(mark) === 1, 20_000);
    expect(right.lines.slice(mark).join('\n')).to.include('left-renewed');
    // nebula 1.6.1 keeps one tunnel per host: what is on its way in the old one at that moment is lost.
    const { sent, received } = await pinging;
    expect(received).to.be.at.least(sent - 1);
  });
});

/** Who sent the first message is plain from the logs: only a responder receives stage 1. */
function expectRoles(initiator: TestNode, responder: TestNode): void {
  const received = (node: TestNode): string =>
    node.lines.filter((line) => line.includes('Handshake message received')).join('\n');
  expect(received(initiator), initiator.name).to.match(/stage"?[:=]\s*"?2/);
  expect(received(responder), responder.name).to.match(/stage"?[:=]\s*"?1/);
}

async function expectStreams(
  left: TestNode,
  right: TestNode,
  { lab, streams = 1 }: { readonly lab: Pair['lab']; readonly streams?: number },
): Promise<void> {
  for (const reverse of [false, true]) {
    const tcp = await stream(lab, left.namespace, right.namespace, RIGHT, { amount: STREAM_BYTES, streams, reverse });
    expect(tcp.bitsPerSecond, `TCP, reverse: ${reverse}`).to.be.greaterThan(20_000_000);
  }
  await expectDatagrams(lab, { from: left, to: right, address: RIGHT, bitsPerSecond: 20_000_000 });
}

/** A packet of exactly `mtu` bytes: 20 bytes of IPv4 and 8 of ICMP stand before the payload. */
function fullSize(mtu: number): { readonly payloadBytes: number; readonly noFragment: boolean } {
  return { payloadBytes: mtu - 28, noFragment: true };
}
