/** Clocks that are wrong, set, or passed over by sleep: the control plane finds its way back by itself. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { headerSubtype, headerType, MessageType, Subtype } from '../../src/shared/wire/header.ts';
import { DiscoveryWorld } from './discoveryWorld.ts';
import { connected, expectOnePrimary, lastText, pair, reasons, talk, tunnelCount } from './pairs.ts';
import type { SimNode } from './simNode.ts';
import { World } from './world.ts';

const DAY = 86_400_000;

/** The node sleeps: the world goes on without it. */
function sleep(world: World, node: SimNode, ms: number, meanwhile: () => void = () => undefined): void {
  node.isUp = false;
  world.runWith(ms, 1000, meanwhile);
  node.isUp = true;
}

/** Loses a tunnel on both sides, so that the next packet makes a new one. */
function lose(world: World, from: SimNode, to: SimNode): void {
  from.control.closeHost(world.now, to.vpnAddress, true);
  to.control.closeHost(world.now, from.vpnAddress, true);
}

describe('simulation: a wall clock that is set', () => {
  for (const who of ['initiator', 'responder'] as const) {
    for (const stepMs of [DAY, -DAY]) {
      it(`by ${stepMs / DAY} day on the ${who}: traffic goes on, and new tunnels are made`, () => {
        const { world, a, b } = connected(700);
        (who === 'initiator' ? a : b).clockErrorMs = stepMs;
        talk({ world, a, b }, 60_000);
        expect(reasons(a).concat(reasons(b))).to.deep.equal([]);
        for (let round = 0; round < 5; round++) {
          lose(world, a, b);
          world.ping(a, b, `round ${round}`);
          world.run(100);
          expect(lastText(b)).to.equal(`round ${round}`);
        }
        expect(b.counted('handshakes.rejected.too_old')).to.equal(0);
      });
    }
  }

  it('ahead by a day and right again: later handshakes of the same node are never too old', () => {
    const { world, a, b } = connected(701);
    a.clockErrorMs = DAY;
    lose(world, a, b);
    world.ping(a, b, 'ahead');
    world.run(100);
    a.clockErrorMs = 0;
    for (let round = 0; round < 5; round++) {
      // Only the initiator loses it: the responder still has the tunnel with the time of the clock that ran ahead.
      a.control.closeHost(world.now, b.vpnAddress, true);
      world.ping(a, b, `right ${round}`);
      world.run(100);
      expect(lastText(b)).to.equal(`right ${round}`);
    }
    expect(b.counted('handshakes.rejected.too_old')).to.equal(0);
  });

  it('ahead by a day, then right and the node restarted: it is let in again within a second', () => {
    const { world, a, b } = pair(702);
    a.clockErrorMs = DAY;
    world.ping(a, b, 'ahead');
    world.run(1000);
    a.clockErrorMs = 0;
    a.restart();
    world.ping(a, b, 'right');
    world.run(1000);
    expect(lastText(b)).to.equal('right');
    world.ping(b, a, 'back');
    world.run(1000);
    expect(lastText(a)).to.equal('back');
  });

  it('past the end of a certificate ends its tunnels, and set right they come again', () => {
    const end = Math.floor(new World(703).now.unixMs / 1000) + 3600;
    const { world, a, b } = connected(703, { settings: { disconnectInvalid: true } }, { issue: { notAfter: end } });
    a.clockErrorMs = DAY;
    world.runWith(10_000, 500, () => world.ping(a, b));
    expect(reasons(a)).to.include('certificate is expired');
    a.clockErrorMs = 0;
    world.runWith(5_000, 500, () => world.ping(a, b, 'valid again'));
    expect(lastText(b)).to.equal('valid again');
  });
});

describe('simulation: a node that slept', () => {
  it('replaces what its peers gave up at once, without a packet of its own', () => {
    const { world, a, b } = connected(710);
    sleep(world, a, 30_000, () => world.ping(b, a));
    sleep(world, a, 60_000);
    expect([tunnelCount(b), b.control.pending().length]).to.deep.equal([0, 0]);
    a.onStandstill(world.now);
    world.run(1000);
    expectOnePrimary({ world, a, b });
    expect(tunnelCount(b)).to.equal(1);
    world.ping(a, b, 'awake');
    world.run(100);
    expect(lastText(b)).to.equal('awake');
    world.run(20_000);
    expect(tunnelCount(a)).to.equal(1);
  });

  it('keeps what its peers have kept', () => {
    const { world, a, b } = connected(711);
    sleep(world, a, 8 * 3_600_000);
    a.onStandstill(world.now);
    world.run(60_000);
    expect(reasons(a).concat(reasons(b))).to.deep.equal([]);
    world.ping(a, b, 'still here');
    world.run(100);
    expect(lastText(b)).to.equal('still here');
  });

  it('gives up a peer that is gone after one deletion interval', () => {
    const { world, a, b } = connected(712);
    sleep(world, a, 60_000);
    b.isUp = false;
    a.onStandstill(world.now);
    world.run(10_100);
    expect(reasons(a)).to.deep.equal(['dead']);
  });

  it('asks each of many peers once, and not all in one moment', () => {
    const world = new World(713);
    const hub = world.addNode('hub');
    const peers = Array.from({ length: 60 }, (_, index) => world.addNode(`peer${index}`));
    world.introduceAll();
    for (const peer of peers) {
      world.ping(hub, peer);
    }
    world.run(1000);
    sleep(world, hub, 30_000);
    const from = world.network.sent.length;
    hub.onStandstill(world.now);
    const tests = (): number =>
      world.network.sent
        .slice(from)
        .filter(
          ({ from: sender, bytes }) =>
            sender.text === hub.endpoint.text &&
            headerType(bytes, 0) === MessageType.Test &&
            headerSubtype(bytes, 0) === Subtype.TestRequest,
        ).length;
    world.run(9);
    expect(tests()).to.be.within(1, 12);
    world.run(5_000);
    expect(tests()).to.equal(peers.length);
    expect(tunnelCount(hub)).to.equal(peers.length);
  });

  it('is known to its lighthouses again at once, though they had forgotten it', () => {
    const lab = new DiscoveryWorld({ seed: 714, hostCount: 4, discovery: { intervalMs: 3_600_000 } });
    const { world, lighthouses, hosts } = lab;
    world.run(5_000);
    const [host] = hosts;
    const isKnown = (): boolean =>
      lighthouses.every((lighthouse) => host.control.primary(lighthouse.vpnAddress) !== null) &&
      lighthouses.every((lighthouse) => lighthouse.control.primary(host.vpnAddress) !== null);
    expect(isKnown()).to.equal(true);
    sleep(world, host, 30_000);
    for (const lighthouse of lighthouses) {
      lighthouse.restart();
    }
    host.onStandstill(world.now);
    expect(lab.timeUntil(10_000, isKnown)).to.be.below(5_000);
    expect(lighthouses.map((lighthouse) => lab.knownHosts(lighthouse) > 0)).to.deep.equal([true, true]);
  });
});
