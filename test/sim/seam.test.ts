/** Where the primary and its workers meet: shared rows, reports, messages, settings; without processes and without root. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { headerType, MessageType } from '../../src/shared/wire/header.ts';
import { ep } from '../support/addresses.ts';
import { TestAuthority } from '../support/testAuthority.ts';
import { connected, lastText, pair, reasons, tunnelCount } from './pairs.ts';
import type { SimNode } from './simNode.ts';
import { World } from './world.ts';

function handshakeCount(world: World): number {
  return world.network.sent.filter(({ bytes }) => bytes.length > 16 && headerType(bytes, 0) === MessageType.Handshake)
    .length;
}

/** The last datagram with data that a node has sent. */
function lastDataOf(world: World, node: SimNode): Uint8Array {
  const ofNode = world.network.sent.filter(({ from }) => from.text === node.endpoint.text);
  return ofNode.findLast(({ bytes }) => bytes.length > 16 && headerType(bytes, 0) === MessageType.Message)!.bytes;
}

describe('simulation: several workers of one node', () => {
  it('share tunnels: whichever gets a packet opens it, and once', () => {
    const { world, a, b } = connected(900, {}, { workers: 2 });
    world.network.holds = () => true;
    world.ping(a, b, 'once');
    const packet = lastDataOf(world, a);
    for (const worker of [0, 1, 0]) {
      const { udp } = b.machine.workers[worker];
      udp.setSource(a.endpoint.address.text, a.endpoint.port);
      udp.deliver(packet);
      b.machine.workers[worker].turn(world.nowMs);
      b.machine.delivered.push(...b.machine.workers[worker].tun.written.splice(0));
    }
    b.settle(world.now);
    expect(b.delivered.filter(({ text }) => text === 'once')).to.have.length(1);
    expect(b.metric('drop.rx.replay')).to.equal(2);
  });

  it('take turns in sending: no counter goes out twice, and every packet arrives', () => {
    const { world, a, b } = connected(901, { workers: 3 });
    for (let n = 0; n < 30; n++) {
      const [worker] = a.machine.workers.splice(0, 1);
      a.machine.workers.push(worker);
      world.ping(a, b, `packet ${n}`);
    }
    world.run(50);
    expect(b.delivered.slice(-30).map(({ text }) => text)).to.deep.equal(
      Array.from({ length: 30 }, (_, n) => `packet ${n}`),
    );
    expect([b.metric('drop.rx.replay'), b.metric('drop.rx.not_authentic')]).to.deep.equal([0, 0]);
  });

  it('each let packets wait, and each sends its own when the tunnel is up', () => {
    const world = new World(902);
    const a = world.addNode('alpha', { workers: 2 });
    const b = world.addNode('beta');
    world.introduceAll();
    for (let n = 0; n < 4; n++) {
      a.machine.workers.reverse();
      world.ping(a, b, `packet ${n}`);
    }
    expect(a.metric('drop.tx.waiting_full')).to.equal(0);
    world.run(50);
    expect(b.delivered.map(({ text }) => text)).to.have.members(['packet 0', 'packet 1', 'packet 2', 'packet 3']);
    expect(handshakeCount(world)).to.equal(2);
  });
});

describe('simulation: a worker that died', () => {
  it('leaves its tunnels to its successor, which goes on without a handshake', () => {
    const { world, a, b } = connected(910);
    const before = handshakeCount(world);
    for (let round = 0; round < 5; round++) {
      for (const node of [a, b]) {
        node.machine.replaceWorker(0, node.identity);
      }
      world.ping(a, b, `there ${round}`);
      world.run(20);
      world.ping(b, a, `back ${round}`);
      world.run(20);
      expect([lastText(b), lastText(a)]).to.deep.equal([`there ${round}`, `back ${round}`]);
    }
    expect(handshakeCount(world)).to.equal(before);
    expect(reasons(a).concat(reasons(b))).to.deep.equal([]);
    expect(a.metric('drop.rx.replay') + b.metric('drop.rx.replay')).to.equal(0);
  });

  it('takes with it what waited; the next packet is reported again, and leaves', () => {
    const { world, a, b } = pair(911);
    world.ping(a, b, 'lost');
    a.machine.replaceWorker(0, a.identity);
    world.run(3);
    world.ping(a, b, 'next');
    world.run(50);
    expect(b.delivered.map(({ text }) => text)).to.deep.equal(['next']);
  });

  it('in the middle of a turn keeps its slots from being used again until its successor is there', () => {
    const { world, a, b } = connected(912, { capacity: 1, workers: 2 });
    const [, stopped] = a.machine.workers;
    stopped.plane.begin(world.nowMs, 1);
    stopped.tell = () => undefined;
    stopped.turn = () => undefined;
    a.control.closeHost(world.now, b.vpnAddress, false);
    a.settle(world.now);
    world.run(50);
    expect([a.store.count, tunnelCount(b)]).to.deep.equal([0, 0]);
    world.ping(b, a, 'no room');
    world.run(50);
    expect(a.counted('tunnels.table_full')).to.be.at.least(1);
    a.machine.replaceWorker(1, a.identity);
    world.run(1000);
    expect(lastText(a)).to.equal('no room');
  });
});

describe('simulation: settings on their way to the workers', () => {
  it('let first messages of a new authority pass, which were dropped before they reached the primary', () => {
    const world = new World(920);
    const other = new TestAuthority(98, 'other ca');
    const a = world.addNode('alpha');
    const stranger = world.addNode('stranger', { identity: other.identity('stranger', ['10.42.0.2/24']) });
    world.introduceAll();
    stranger.reloadIdentity(world.now, { ...stranger.identity, caPool: other.pool([], [world.authority]) });
    world.ping(stranger, a);
    world.run(50);
    const [{ bytes }] = world.network.sent;
    for (let n = 0; n < 30; n++) {
      a.onDatagram(world.now, bytes, ep(`198.51.100.${n}:1`));
    }
    expect(a.metric('drop.rx.handshake_unknown_ca')).to.be.at.least(15);
    expect(tunnelCount(a)).to.equal(0);
    world.run(10_000);
    const dropped = a.metric('drop.rx.handshake_unknown_ca');
    a.reloadIdentity(world.now, { ...a.identity, caPool: world.authority.pool([], [other]) });
    world.ping(stranger, a, 'let in');
    world.run(100);
    expect(lastText(a)).to.equal('let in');
    expect(a.metric('drop.rx.handshake_unknown_ca')).to.equal(dropped);
  });
});
