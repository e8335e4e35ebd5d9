/** Two weft nodes carry real traffic: with one, two and three queues, over IPv4 and IPv6, on fixed and dynamic ports. */
import { expect } from 'chai';
import { afterEach, before, describe, it } from 'mocha';
import { until } from '../../src/primary/cli/demo/until.ts';
import { requireLab } from '../support/environment.ts';
import { expectDatagrams } from '../support/expectDatagrams.ts';
import { LEFT, Pair, type PairOptions, RIGHT } from '../support/pair.ts';
import { Pki } from '../support/pki.ts';
import { childPids, udpPorts } from '../support/procfs.ts';
import { ping, stream, untilReachable } from '../support/traffic.ts';

const MTU = 1300;
const IP_AND_ICMP_HEADERS = 28;
const STREAM_BYTES = 32 << 20;

describe('tunnel between two weft nodes', function () {
  this.timeout(60_000);
  let pair: Pair | null = null;

  before(function () {
    requireLab(this, 'nebula-cert', 'iperf3', 'ping');
  });
  afterEach(() => {
    pair?.close();
    pair = null;
  });

  async function startPair(options: PairOptions): Promise<Pair> {
    const started = new Pair(options);
    pair = started;
    await started.start();
    return started;
  }

  for (const routines of [1, 2, 3]) {
    for (const underlay of [4, 6] as const) {
      it(`carries everything with ${routines} routines over IPv${underlay}`, async () => {
        const started = await startPair({ underlay, left: { routines }, right: { routines } });
        const first = await ping(started.lab, started.left.namespace, RIGHT, { count: 1, patienceSeconds: 5 });
        expect(first.received, 'the packet that started the handshake').to.equal(1);
        // Each node tells of the one handshake; the lines may come a moment after the answer to the ping.
        const told = (): number => started.left.handshakes() + started.right.handshakes();
        await until('both nodes to tell of the handshake', () => told() >= 2);
        expect((await ping(started.lab, started.right.namespace, LEFT)).received).to.equal(3);
        await expectStreams(started, routines);
        expect(told(), 'lines of handshakes, one of each node').to.equal(2);
      });
    }
  }

  it('carries packets up to the MTU of the device and no larger ones', async () => {
    const { lab, left } = await startPair({ left: { mtu: MTU }, right: { mtu: MTU } });
    await untilReachable(lab, left.namespace, RIGHT);
    const largest = { payloadBytes: MTU - IP_AND_ICMP_HEADERS, noFragment: true };
    expect((await ping(lab, left.namespace, RIGHT, largest)).received).to.equal(3);
    const tooLarge = { ...largest, payloadBytes: largest.payloadBytes + 1, patienceSeconds: 1 };
    expect((await ping(lab, left.namespace, RIGHT, tooLarge)).received).to.equal(0);
  });

  it('carries fragments: a ping larger than the MTU that may be cut', async () => {
    const { lab, left } = await startPair({});
    await untilReachable(lab, left.namespace, RIGHT);
    expect((await ping(lab, left.namespace, RIGHT, { payloadBytes: 8000 })).received).to.equal(3);
  });

  it('binds one dynamic port for three routines', async () => {
    const { lab, left, right } = await startPair({ left: { routines: 3, port: 0 }, right: { routines: 3 } });
    await untilReachable(lab, left.namespace, RIGHT);
    const ports = udpPorts(left.program.pid);
    expect(ports).to.have.length(3);
    expect(new Set(ports).size, `ports ${ports}`).to.equal(1);
    expect(ports[0]).to.be.greaterThan(1023);
    expect((await ping(lab, right.namespace, LEFT)).received).to.equal(3);
  });

  it('forks exactly one worker per routine', async () => {
    const { left, right } = await startPair({ left: { routines: 3 }, right: { routines: 1 } });
    expect(childPids(left.program.pid)).to.have.length(3);
    expect(childPids(right.program.pid)).to.have.length(1);
  });

  it('delivers the first packets of a flow in order, none lost, while the handshake runs', async () => {
    // Packets wait until the last attempt of a handshake has been given up: for a minute here.
    const { lab, left } = await startPair({ left: { config: { handshakes: { try_interval: '1s' } } } });
    const result = await ping(lab, left.namespace, RIGHT, { count: 50, intervalMs: 2, patienceSeconds: 10 });
    expect(result).to.deep.include({ sent: 50, received: 50, duplicates: 0 });
  });

  it('speaks chachapoly when both ends are told to', async () => {
    const started = await startPair({ left: { cipher: 'chachapoly' }, right: { cipher: 'chachapoly' } });
    await untilReachable(started.lab, started.left.namespace, RIGHT);
    await expectStreams(started, 1);
  });

  it('carries nothing between nodes with different ciphers', async () => {
    const { lab, left } = await startPair({ left: { cipher: 'chachapoly' }, right: { cipher: 'aes' } });
    const result = await ping(lab, left.namespace, RIGHT, { count: 5, patienceSeconds: 1 });
    expect(result.received).to.equal(0);
  });

  it('carries nothing to a node whose certificate another CA has signed', async () => {
    const started = new Pair();
    pair = started;

    const stranger = new Pki(started.lab.directory, 'other-ca').sign('stranger', `${RIGHT}/24`);
    await Promise.all([started.left.start(), started.right.start({ files: stranger })]);
    const result = await ping(started.lab, started.left.namespace, RIGHT, { count: 5, patienceSeconds: 1 });
    expect(result.received).to.equal(0);
    expect(started.left.handshakes() + started.right.handshakes()).to.equal(0);
  });
});

async function expectStreams(pair: Pair, routines: number): Promise<void> {
  const { lab, left, right } = pair;
  for (const reverse of [false, true]) {
    const tcp = await stream(lab, left.namespace, right.namespace, RIGHT, {
      amount: STREAM_BYTES,
      streams: routines,
      reverse,
    });
    expect(tcp.bitsPerSecond, `TCP, reverse: ${reverse}`).to.be.greaterThan(20_000_000);
  }
  await expectDatagrams(lab, { from: left, to: right, address: RIGHT, bitsPerSecond: 20_000_000 });
}
