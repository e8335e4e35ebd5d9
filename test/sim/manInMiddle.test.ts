import { expect } from 'chai';
import { describe, it } from 'mocha';
import { UNCONFIRMED_PER_HOST_MAX } from '../../src/primary/control/tunnels/unconfirmedTunnels.ts';
import type { Endpoint } from '../../src/shared/ip/address.ts';
import { MessageType } from '../../src/shared/wire/header.ts';
import { ep, ip } from '../support/addresses.ts';
import { forgeRequest, isHandshake, isRequest } from '../support/forgedHandshakes.ts';
import { Random } from '../support/random.ts';
import { TestAuthority } from '../support/testAuthority.ts';
import { DiscoveryWorld } from './discoveryWorld.ts';
import { headerBytes } from './packets.ts';
import { connected, lastText, type Pair, pair, reasons, tunnelCount } from './pairs.ts';
import type { SimNode } from './simNode.ts';
import type { World } from './world.ts';

const STRANGER = ep('198.51.100.66:666');

/** The first messages that a node has sent so far. */
function requestsOf(world: World, node: SimNode): Uint8Array[] {
  return world.network.sent
    .filter(({ from, bytes }) => from.text === node.endpoint.text && isRequest(bytes))
    .map(({ bytes }) => bytes);
}

/** A ping each way every `pingMs`, each with a text of its own, while `attack` does its work at every `intervalMs`. */
function talkUnder(
  { world, a, b }: Pair,
  durationMs: number,
  intervalMs: number,
  attack: () => void,
  pingMs: number = 100,
): number {
  let lostCount = 0;
  const sent = { a: [] as string[], b: [] as string[] };
  let nextAttackMs = world.nowMs;
  world.runWith(durationMs, pingMs, () => {
    if (world.nowMs >= nextAttackMs) {
      nextAttackMs += intervalMs;
      attack();
    }
    const text = `at ${world.nowMs}`;
    sent.a.push(text);
    sent.b.push(text);
    world.ping(a, b, text);
    world.ping(b, a, text);
  });
  world.run(1000);
  for (const [texts, node] of [
    [sent.a, b],
    [sent.b, a],
  ] as const) {
    const got = new Set(node.delivered.map((delivery) => delivery.text));
    lostCount += texts.filter((text) => !got.has(text)).length;
  }
  return lostCount;
}

describe('simulation: somebody who forges first messages', () => {
  for (const [where, sourceOf] of [
    ['on the path', (node: SimNode): Endpoint => node.endpoint],
    ['somewhere else', (): Endpoint => STRANGER],
  ] as const) {
    for (const victim of ['the initiator', 'the responder', 'both'] as const) {
      it(`${where}, 30 in 50 s in the name of ${victim}: not a ping is lost, nothing is learned`, () => {
        const all = connected(600);
        const { world, a, b } = all;
        // A handshake of the other direction has been seen as well.
        b.control.closeHost(world.now, a.vpnAddress, true);
        b.settle(world.now);
        world.ping(b, a, 'seen');
        world.run(100);
        const random = new Random(1);
        const primaries = [a, b].map((node, n) => node.control.primary([b, a][n].vpnAddress));
        const lostCount = talkUnder(all, 50_000, 1667, () => {
          if (victim !== 'the responder') {
            b.onDatagram(world.now, forgeRequest(requestsOf(world, a)[0], random), sourceOf(a));
          }
          if (victim !== 'the initiator') {
            a.onDatagram(world.now, forgeRequest(requestsOf(world, b)[0], random), sourceOf(b));
          }
        });
        expect(lostCount).to.equal(0);
        expect([a, b].map((node, n) => node.control.primary([b, a][n].vpnAddress))).to.deep.equal(primaries);
        expect([a, b].map((node, n) => node.remotes.list([b, a][n].vpnAddress).map(({ text }) => text))).to.deep.equal([
          [b.endpoint.text],
          [a.endpoint.text],
        ]);
        expect(reasons(a).concat(reasons(b))).not.to.include('too many tunnels to one host');
      });
    }
  }

  it('so many that every honest first message is crowded out, and makes hosts call by recv_errors: nothing is lost', () => {
    const all = connected(605);
    const { world, a, b } = all;
    const [request] = requestsOf(world, a);
    const random = new Random(6);
    const attack = (): void => {
      const { remoteIndex } = a.control.primary(b.vpnAddress)!;
      a.reportRecvError(world.now, remoteIndex, b.endpoint);
      for (let n = 0; n < 2 + UNCONFIRMED_PER_HOST_MAX; n++) {
        b.reportHandshake(world.now, forgeRequest(request, random), a.endpoint);
      }
    };
    // As many in each round trip.
    const lostCount = talkUnder(all, 5000, 10, attack, 10);
    expect(lostCount).to.equal(0);
    expect(a.counted('handshake_manager.initiated')).to.be.at.least(3);
    expect(b.counted('handshakes.unconfirmed_evicted')).to.be.above(1000);
  });

  it('does not keep two hosts apart that have no tunnel yet: what waits leaves within a quarter of a second', () => {
    const { world, a, b } = connected(601);
    const [request] = requestsOf(world, a);
    const random = new Random(2);
    for (const node of [a, b]) {
      node.restart();
    }
    world.runWith(3000, 50, () => {
      b.reportHandshake(world.now, forgeRequest(request, random), STRANGER);
      if (world.nowMs % 1000 < 50) {
        world.ping(b, a, `at ${world.nowMs}`);
      }
    });
    expect(a.delivered.slice(-3).map(({ text }) => text)).to.have.length(3);
    expect(a.delivered.slice(-3).every(({ atMs, text }) => atMs - Number(text.slice(3)) < 250)).to.equal(true);
    expect(tunnelCount(b)).to.equal(1);
  });

  it('cannot say that later handshakes are too old', () => {
    const { world, a, b } = connected(602);
    const inAYear = BigInt(world.now.unixMs + 365 * 86_400_000) * 1_000_000n;
    b.onDatagram(world.now, forgeRequest(requestsOf(world, a)[0], new Random(3), inAYear), a.endpoint);
    world.run(10);
    a.restart();
    world.ping(a, b, 'honest');
    world.run(50);
    expect(lastText(b)).to.equal('honest');
    expect(b.counted('handshakes.rejected.too_old')).to.equal(0);
  });

  it('leaves nothing behind twelve seconds later, however many he sends', () => {
    const { world, a, b } = connected(603);
    const [request] = requestsOf(world, a);
    const random = new Random(4);
    world.runWith(5000, 10, () => b.reportHandshake(world.now, forgeRequest(request, random), STRANGER));
    expect(b.store.count).to.be.at.most(5);
    world.run(12_000);
    expect(b.store.count).to.equal(1);
    expect(b.store.announcedCount).to.equal(0);
    expect(b.logs('Handshake message received'), 'a line for each real one').to.have.length(1);
  });

  it('does not move a host at its lighthouse', () => {
    const all = new DiscoveryWorld({ seed: 604, hostCount: 2 });
    const { world, lighthouses, hosts } = all;
    world.run(12_000);
    const [lighthouse] = lighthouses;
    const learnedOf = (host: SimNode): readonly string[] =>
      lighthouse.hosts?.find(host.vpnAddress)?.learned.map(({ text }) => text) ?? [];
    const before = hosts.map(learnedOf);
    const request = world.network.sent.find(
      ({ to, bytes }) => to.text === lighthouse.endpoint.text && isRequest(bytes),
    );
    lighthouse.onDatagram(world.now, forgeRequest(request!.bytes, new Random(5)), STRANGER);
    lighthouse.onDatagram(world.now, request!.bytes, STRANGER);
    world.run(100);
    expect(before.flat()).to.have.length(2);
    expect(hosts.map(learnedOf)).to.deep.equal(before);
  });
});

describe('simulation: somebody who answers first messages before the host does', () => {
  /** What comes to `victim` from `source` in answer to a first message of its own, made by a node that he has. */
  function answerBy(pretender: SimNode, victim: SimNode, source: Endpoint, world: World): void {
    const start = world.network.sent.length;
    pretender.onDatagram(world.now, requestsOf(world, victim).at(-1)!, victim.endpoint);
    const answers = world.network.sent.slice(start).filter(({ bytes }) => isHandshake(bytes));
    for (const { bytes } of answers) {
      victim.onDatagram(world.now, bytes, source);
    }
  }

  for (const [who, pretenderIn] of [
    [
      'with a certificate of his own making',
      (world: World): SimNode => {
        const identity = new TestAuthority(99).identity('beta', ['10.42.0.2/24']);
        const caPool = new TestAuthority(99).pool([], [world.authority]);
        return world.addNode('pretender', { identity: { ...identity, caPool }, endpoint: STRANGER });
      },
    ],
    ['by sending them to another host', (world: World): SimNode => world.addNode('gamma', { endpoint: STRANGER })],
  ] as const) {
    it(`${who}: what waits leaves with the first answer of the right one, in one round trip`, () => {
      const { world, a, b } = pair(613);
      const pretender = pretenderIn(world);
      world.ping(a, b, 'first');
      answerBy(pretender, a, b.endpoint, world);
      expect(tunnelCount(a)).to.equal(0);
      expect(world.runUntil(1000, () => lastText(b) === 'first')).to.be.at.most(20);
      expect(a.droppedCount).to.equal(0);
      expect(requestsOf(world, a)).to.have.length(1);
      expect(a.store.announcedCount).to.equal(0);
      world.run(1000);
      world.ping(b, a, 'back');
      world.run(100);
      expect(lastText(a)).to.equal('back');
      expect(a.remotes.list(b.vpnAddress).map(({ text }) => text)).to.deep.equal([b.endpoint.text]);
    });
  }
});

describe('simulation: somebody who replays handshakes', () => {
  it('gets nothing from a responder that restarted', () => {
    const all = connected(610);
    const { world, a, b } = all;
    const [request] = requestsOf(world, a);
    b.restart();
    b.onDatagram(world.now, request, STRANGER);
    world.run(50);
    expect(tunnelCount(b)).to.equal(0);
    world.ping(b, a, 'from the restarted one');
    world.run(300);
    expect(lastText(a)).to.equal('from the restarted one');
    const lostCount = talkUnder(all, 10_000, 500, () => b.onDatagram(world.now, request, STRANGER));
    expect(lostCount).to.equal(0);
    expect(b.remotes.list(a.vpnAddress).map(({ text }) => text)).to.deep.equal([a.endpoint.text]);
  });

  it('forwards a first message before it comes itself: the tunnel goes where the keys are used', () => {
    const { world, a, b } = pair(611, {}, {}, { loss: 0, duplication: 0, delayMsMin: 20, delayMsMax: 20 });
    world.ping(a, b, 'first');
    b.onDatagram(world.now, requestsOf(world, a)[0], STRANGER);
    world.run(200);
    expect(lastText(b)).to.equal('first');
    expect(b.control.primary(a.vpnAddress)?.endpoint?.text).to.equal(a.endpoint.text);
    expect(b.remotes.list(a.vpnAddress).map(({ text }) => text)).to.deep.equal([a.endpoint.text]);
  });
});

describe('simulation: somebody who delays, repeats and reorders handshakes', () => {
  for (let seed = 620; seed < 630; seed++) {
    it(`while both sides replace their tunnels: not a ping is lost (seed ${seed})`, () => {
      const all = connected(seed);
      const { world, a, b } = all;
      const random = new Random(seed);
      const held: { readonly bytes: Uint8Array; readonly to: SimNode; readonly from: Endpoint; atMs: number }[] = [];
      world.network.holds = ({ bytes, to, from }) => {
        if (!isHandshake(bytes)) {
          return false;
        }
        const node = to.text === a.endpoint.text ? a : b;
        for (let copy = 0; copy < 1 + random.below(3); copy++) {
          held.push({ bytes, to: node, from: copy === 0 ? from : STRANGER, atMs: world.nowMs + random.below(3000) });
        }
        return true;
      };
      let round = 0;
      const lostCount = talkUnder(all, 40_000, 50, () => {
        if (++round % 120 === 0) {
          const node = round % 240 === 0 ? a : b;
          const [network] = node.identity.networks;
          node.reloadIdentity(world.now, world.identity(node.name, [network.text], { groups: [`round ${round}`] }));
        }
        for (const datagram of held.filter(({ atMs }) => atMs <= world.nowMs)) {
          held.splice(held.indexOf(datagram), 1);
          datagram.to.onDatagram(world.now, datagram.bytes, datagram.from);
        }
      });
      expect(lostCount).to.equal(0);
      expect(a.counted('handshakes.completed') + b.counted('handshakes.completed')).to.be.at.least(6);
    });
  }
});

describe('simulation: clocks that are wrong', () => {
  it('a host whose clock was far ahead is let in again when it goes right', () => {
    const { world, a, b } = pair(640);
    const honestMs = world.unixOffsetMs;
    // Only the certificate's time matters to b, so the year is within it.
    world.unixOffsetMs += 3 * 86_400_000;
    const aheadRequest = (): void => world.ping(a, b, 'from the future');
    aheadRequest();
    const [request] = requestsOf(world, a);
    world.unixOffsetMs = honestMs;
    world.run(1);
    b.onDatagram(world.now, request, a.endpoint);
    world.run(100);
    expect(lastText(b)).to.equal('from the future');
    world.run(15_000);
    a.restart();
    world.ping(a, b, 'right again');
    world.run(50);
    expect(lastText(b)).to.equal('right again');
    expect(b.counted('handshakes.rejected.too_old')).to.equal(0);
  });
});

describe('simulation: somebody who sends recv_errors in the name of a peer', () => {
  for (const isNew of [true, false]) {
    it(`costs ${isNew ? 'a new' : 'an old'} release no tunnel and no packet`, () => {
      const all = connected(650);
      const { world, a, b } = all;
      const release: { sendsCertificateVersion: boolean } = a.control.primary(b.vpnAddress)!.peer;
      release.sendsCertificateVersion = isNew;
      const lostCount = talkUnder(all, 20_000, 100, () => {
        const { remoteIndex } = a.control.primary(b.vpnAddress)!;
        a.onDatagram(world.now, headerBytes(MessageType.RecvError, 0, remoteIndex, 0), b.endpoint);
      });
      expect(lostCount).to.equal(0);
      expect(reasons(a)).not.to.include('recv_error');
      expect(a.counted('handshake_manager.initiated'), 'not a handshake for each').to.be.at.most(12);
    });
  }

  it('does not keep a restarted peer away: it is back after one round trip', () => {
    const { world, a, b } = connected(651);
    world.run(10_000);
    b.restart();
    world.ping(a, b, 'into the void');
    const roundTripMs = 10;
    const tookMs = world.runUntil(
      1000,
      () => a.control.primary(b.vpnAddress)?.isInitiator === true && tunnelCount(b) === 1,
    );
    // One for the packet and the recv_error, one for the handshake.
    expect(tookMs).to.be.at.most(2.5 * roundTripMs);
    world.ping(a, b, 'there');
    world.run(10);
    expect(lastText(b)).to.equal('there');
    expect(ip('10.42.0.2').text).to.equal(b.vpnAddress.text);
  });

  for (const [isNew, intervalMs, maxMs] of [
    [true, 5, 25],
    [true, 500, 505],
    [false, 5, 530],
    [false, 500, 1005],
    [false, 1500, 1505],
  ] as const) {
    it(`a restarted ${isNew ? 'new' : 'old'} release gets packets after ${maxMs} ms, with one every ${intervalMs}`, () => {
      const { world, a, b } = connected(653);
      const release: { sendsCertificateVersion: boolean } = a.control.primary(b.vpnAddress)!.peer;
      release.sendsCertificateVersion = isNew;
      world.run(10_000);
      b.restart();
      const startMs = world.nowMs;
      const before = b.delivered.length;
      world.runWith(3000, intervalMs, () => world.ping(a, b));
      expect(b.delivered[before].atMs - startMs).to.be.at.most(maxMs);
    });
  }

  it('closes the tunnel of a peer that answers neither, after two seconds of them', () => {
    const { world, a, b } = connected(652);
    world.run(6000);
    b.isUp = false;
    const { remoteIndex } = a.control.primary(b.vpnAddress)!;
    const closedMs = world.runUntil(10_000, () => {
      if (world.nowMs % 50 === 0) {
        a.onDatagram(world.now, headerBytes(MessageType.RecvError, 0, remoteIndex, 0), b.endpoint);
      }
      return tunnelCount(a) === 0;
    });
    expect(closedMs).to.be.within(2000, 2100);
    expect(reasons(a)).to.deep.equal(['recv_error']);
  });
});
