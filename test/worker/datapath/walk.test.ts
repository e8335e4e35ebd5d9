import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { METRIC, type MetricName } from '../../../src/shared/memory/metrics.ts';
import { ipv4, udp } from '../../shared/firewall/packets.ts';
import { makeCa, makeHost, prefixes } from '../../support/certificates.ts';
import { connect, connectSide, MemoryWorker, textOf } from '../../support/memoryWorker.ts';
import { Random } from '../../support/random.ts';

const LEFT = '10.1.0.1';
const RIGHT = '10.1.0.2';

function planes(options: { routineCacheMs?: number } = {}): [MemoryWorker, MemoryWorker] {
  const random = new Random(11);
  const ca = makeCa(random);
  const left = makeHost(random, ca, { networks: prefixes(`${LEFT}/16`) });
  const right = makeHost(random, ca, { networks: prefixes(`${RIGHT}/16`) });
  return [
    new MemoryWorker({ host: left, underlay: '192.0.2.1', peerUnderlay: '192.0.2.2', ...options }),
    new MemoryWorker({ host: right, underlay: '192.0.2.2', peerUnderlay: '192.0.2.1', ...options }),
  ];
}

function datagram(source: string, destination: string, port = 7, payload = 20): Uint8Array {
  return ipv4({ source, destination, protocol: 17, payload: udp(4000, port, payload) });
}

function count(plane: MemoryWorker, name: MetricName): number {
  return plane.metrics[METRIC[name]];
}

describe('data path, tun to tun', () => {
  let left: MemoryWorker;
  let right: MemoryWorker;

  beforeEach(() => {
    [left, right] = planes();
  });

  /** Left sends, right receives. */
  function exchange(): void {
    left.turn();
    left.udp.transfer(right.udp);
    right.turn();
  }

  it('carries a packet unchanged, and its answer back', () => {
    connect(left, right, 0);
    const there = datagram(LEFT, RIGHT);
    const back = datagram(RIGHT, LEFT, 9);
    left.tun.send(there);
    exchange();
    expect(right.tun.written).to.deep.equal([there]);
    right.tun.send(back);
    right.turn();
    right.udp.transfer(left.udp);
    left.turn();
    expect(left.tun.written).to.deep.equal([back]);
    expect(left.reported).to.deep.equal([]);
    expect([left.tables.tunnels.takeTraffic(0), right.tables.tunnels.takeTraffic(0)]).to.deep.equal([3, 3]);
  });

  it('seals the first data packet with counter 3, as the protocol wants it', () => {
    connect(left, right, 0);
    left.tun.send(datagram(LEFT, RIGHT));
    left.turn();
    const [packet] = left.udp.take();
    expect([...packet.subarray(0, 16)]).to.deep.equal([0x11, 0, 0, 0, 0, 0, 0x07, 0xd0, 0, 0, 0, 0, 0, 0, 0, 3]);
    expect(packet.length).to.equal(20 + 8 + 20 + 32);
  });

  it('lets packets wait for a tunnel and sends them in order once it is there', () => {
    const packets = Array.from({ length: 5 }, (_, index) => datagram(LEFT, RIGHT, 100 + index));
    for (const packet of packets.slice(0, 3)) {
      left.tun.send(packet);
    }
    left.turn();
    expect(left.udp.sentCount).to.equal(0);
    expect(left.reported.map((punt) => punt.kind)).to.deep.equal(['miss']);
    const miss = left.reported[0];
    expect(miss.kind === 'miss' && textOf(miss.address)).to.equal(RIGHT);
    // The tunnel is published, but the news of it comes after two more packets: they must not overtake.
    connect(left, right, 0);
    for (const packet of packets.slice(3)) {
      left.tun.send(packet);
    }
    exchange();
    expect(right.tun.written).to.deep.equal(packets);
    left.tell({ type: 'hostUp', addresses: [miss.kind === 'miss' ? miss.address : new Uint8Array(16)] });
    expect(left.udp.sentCount).to.equal(0);
    expect(count(left, 'hostinfo.cached_packets.sent')).to.equal(3);
  });

  it('keeps at most 100 packets for a host and drops them when the handshake is given up', () => {
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 50; index++) {
        left.tun.send(datagram(LEFT, RIGHT, index));
      }
      left.turn();
    }
    expect(count(left, 'drop.tx.waiting_full')).to.equal(50);
    expect(left.reported.length).to.equal(1);
    const miss = left.reported[0];
    left.tell({ type: 'hostFailed', address: miss.kind === 'miss' ? miss.address : new Uint8Array(16) });
    expect(count(left, 'drop.tx.handshake_timeout')).to.equal(100);
    left.tun.send(datagram(LEFT, RIGHT));
    left.turn();
    expect(left.reported.length, 'asks again').to.equal(2);
  });

  it('sends to one host while packets wait for others', () => {
    connect(left, right, 0);
    const others = ['10.1.7.2', '10.1.7.3'];
    for (const destination of [...others, RIGHT, others[0], RIGHT]) {
      left.tun.send(datagram(LEFT, destination));
    }
    exchange();
    expect(right.tun.written.length).to.equal(2);
    const misses = left.reported.flatMap((punt) => (punt.kind === 'miss' ? [punt.address] : []));
    expect(misses.map(textOf)).to.deep.equal(others);
    const dropped = misses.map((address) => {
      left.tell({ type: 'hostFailed', address: address });
      return count(left, 'drop.tx.handshake_timeout');
    });
    expect(dropped).to.deep.equal([2, 3]);
  });

  it('accepts a packet once, and none that was changed or is for nobody', () => {
    connect(left, right, 0);
    left.tun.send(datagram(LEFT, RIGHT));
    left.turn();
    const [packet] = left.udp.take();
    for (let at = 0; at < packet.length; at += 7) {
      const spoiled = packet.slice();
      spoiled[at] ^= 0x40;
      right.udp.deliver(spoiled);
      right.turn();
    }
    right.udp.take();
    expect(right.tun.written).to.deep.equal([]);
    right.udp.deliver(packet);
    right.udp.deliver(packet);
    right.turn();
    expect(right.tun.written.length).to.equal(1);
    expect(count(right, 'drop.rx.replay')).to.equal(1);
    expect(count(right, 'drop.rx.not_authentic')).to.be.greaterThan(5);
  });

  it('answers an unknown index with a recv_error that names it, and punts one that comes in', () => {
    const stray = Uint8Array.from([
      0x11,
      0,
      0,
      0,
      0xde,
      0xad,
      0xbe,
      0xef,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      9,
      ...new Uint8Array(40),
    ]);
    right.udp.deliver(stray);
    right.turn();
    const [answer] = right.udp.take();
    expect([...answer]).to.deep.equal([0x12, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0, 0, 0, 0, 0]);
    right.udp.deliver(answer);
    right.turn();
    const punt = right.reported[0];
    expect(punt.kind === 'recvError' && [punt.index, textOf(punt.address), punt.port]).to.deep.equal([
      0xdeadbeef,
      '192.0.2.1',
      4242,
    ]);
    expect(right.udp.take(), 'no answer to a recv_error').to.deep.equal([]);
  });

  it('keeps packets that are ahead of their tunnel, and receives them first, in order', () => {
    const packets = Array.from({ length: 3 }, (_, index) => datagram(LEFT, RIGHT, 100 + index));
    right.tables.indexes.announce(2000);
    connectSide(left, right, 0, 'left');
    for (const packet of packets) {
      left.tun.send(packet);
    }
    left.turn();
    const [first, second, third] = left.udp.take();
    right.udp.deliver(first);
    right.udp.deliver(second);
    right.turn();
    expect([right.tun.written.length, right.udp.sentCount, right.reported.length]).to.deep.equal([0, 0, 0]);
    connectSide(right, left, 0, 'right');
    right.udp.deliver(third);
    right.turn();
    expect(right.tun.written).to.deep.equal(packets);
    right.tell({ type: 'hostUp', addresses: [] }, 1000);
    expect(right.tun.written.length).to.equal(3);
  });

  it('does not wait for ever for a tunnel', () => {
    right.tables.indexes.announce(2000);
    connectSide(left, right, 0, 'left');
    left.tun.send(datagram(LEFT, RIGHT));
    left.turn();
    right.udp.deliver(left.udp.take()[0]);
    right.turn(1000);
    connectSide(right, left, 0, 'right');
    right.tell({ type: 'hostUp', addresses: [] }, 3500);
    expect(right.tun.written).to.deep.equal([]);
  });

  describe('with two tunnels on their way', () => {
    const packets = [100, 101, 102].map((port) => datagram(LEFT, RIGHT, port));

    /** Datagrams of left: the first through tunnel 0, the others through tunnel 1. Right has announced both. */
    function datagrams(): Uint8Array[] {
      right.tables.indexes.announce(2000);
      right.tables.indexes.announce(2001);
      const sent = packets.map((packet, index) => {
        if (index < 2) {
          connectSide(left, right, index, 'left');
        }
        left.tun.send(packet);
        left.turn();
        return left.udp.take();
      });
      return sent.flat();
    }

    function receive(nowMs: number, ...received: readonly Uint8Array[]): void {
      for (const each of received) {
        right.udp.deliver(each);
      }
      right.turn(nowMs);
    }

    it('receives what waits for the one that is up, and keeps the rest', () => {
      const [first, second, third] = datagrams();
      receive(1000, first, second, third);
      connectSide(right, left, 1, 'right');
      right.tell({ type: 'hostUp', addresses: [] }, 1100);
      expect(right.tun.written).to.deep.equal([packets[1], packets[2]]);
      connectSide(right, left, 0, 'right');
      right.tell({ type: 'hostUp', addresses: [] }, 1200);
      expect(right.tun.written).to.deep.equal([packets[1], packets[2], packets[0]]);
      expect([count(right, 'drop.rx.not_authentic'), count(right, 'udp.rx.packets')]).to.deep.equal([0, 3]);
    });

    it('drops what waits for one that is not expected any more', () => {
      const [first, second, third] = datagrams();
      receive(1000, first, second, third);
      right.tables.indexes.withdraw(2000);
      right.tell({ type: 'hostUp', addresses: [] }, 1100);
      expect([count(right, 'drop.rx.unknown_index'), count(right, 'udp.rx.packets')]).to.deep.equal([1, 3]);
      connectSide(right, left, 1, 'right');
      right.tell({ type: 'hostUp', addresses: [] }, 1200);
      expect(right.tun.written).to.deep.equal([packets[1], packets[2]]);
    });

    it('does not keep a packet longer because others come', () => {
      const [first, second, third] = datagrams();
      receive(1000, first);
      connectSide(right, left, 1, 'right');
      receive(2500, second);
      connectSide(right, left, 0, 'right');
      receive(3500, third);
      right.tell({ type: 'hostUp', addresses: [] }, 3500);
      expect(right.tun.written).to.deep.equal([packets[1], packets[2]]);
    });

    it('drops only the packets that are too old when another has to wait', () => {
      const [first, second, third] = datagrams();
      receive(1000, first);
      receive(2500, second);
      receive(3500, third);
      connectSide(right, left, 0, 'right');
      connectSide(right, left, 1, 'right');
      right.tell({ type: 'hostUp', addresses: [] }, 3600);
      expect(right.tun.written).to.deep.equal([packets[1], packets[2]]);
    });
  });

  it('counts every kind of malformed datagram and drops it', () => {
    connect(left, right, 0);
    const cases: [MetricName, number[]][] = [
      ['messages.rx.punch', []],
      ['messages.rx.punch', [1]],
      ['drop.rx.too_short', [0x11, 0, 0]],
      ['drop.rx.version', [0x21, ...new Array<number>(40).fill(0)]],
      ['drop.rx.type', [0x19, ...new Array<number>(40).fill(0)]],
      ['drop.rx.type', [0x11, 7, ...new Array<number>(40).fill(0)]],
      ['drop.rx.too_short', [0x11, 0, 0, 0, 0, 0, 0x07, 0xd0, 0, 0, 0, 0, 0, 0, 0, 9, 1]],
      [
        'drop.rx.too_old',
        [0x11, 0, 0, 0, 0, 0, 0x07, 0xd0, 0xff, 0, 0, 0, 0, 0, 0, 9, ...new Array<number>(40).fill(0)],
      ],
    ];
    for (const [name, bytes] of cases) {
      const before = count(right, name);
      right.udp.deliver(Uint8Array.from(bytes));
      right.turn();
      expect(count(right, name), name).to.equal(before + 1);
    }
    expect(right.reported).to.deep.equal([]);
    expect(right.udp.take()).to.deep.equal([]);
  });

  it('reports a peer that sends from elsewhere once in a while, and keeps its packets', () => {
    connect(left, right, 0);
    right.udp.setSource('198.51.100.7', 5555);
    for (let index = 0; index < 10; index++) {
      left.tun.send(datagram(LEFT, RIGHT, index));
    }
    exchange();
    expect(right.tun.written.length).to.equal(10);
    const roams = right.reported.filter((punt) => punt.kind === 'roam');
    expect(roams.map((punt) => [textOf(punt.address), punt.port])).to.deep.equal([['198.51.100.7', 5555]]);
  });

  it('refuses underlay sources inside its own overlay network', () => {
    connect(left, right, 0);
    right.udp.setSource('10.1.9.9', 4242);
    left.tun.send(datagram(LEFT, RIGHT));
    exchange();
    expect(right.tun.written).to.deep.equal([]);
    expect(count(right, 'drop.rx.own_network')).to.equal(1);
  });

  it('tells an empty datagram from one that was cut because it is too long', () => {
    right.udp.deliver(new Uint8Array(0));
    right.udp.deliverCut();
    right.turn();
    expect([count(right, 'messages.rx.punch'), count(right, 'drop.rx.too_long')]).to.deep.equal([1, 1]);
    expect(count(right, 'udp.rx.packets')).to.equal(0);
  });

  it("does not let a peer use another host's address", () => {
    connect(left, right, 0);
    left.tun.send(datagram('10.1.0.77', RIGHT));
    exchange();
    expect(right.tun.written).to.deep.equal([]);
  });
});
