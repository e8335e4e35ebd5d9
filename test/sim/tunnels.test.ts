import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parsePrefix } from '../../src/shared/ip/address.ts';
import { headerSubtype, headerType, MessageType } from '../../src/shared/wire/header.ts';
import { at, ip } from '../support/controlSettings.ts';
import { Nat, type NetworkQuality } from './network.ts';
import type { SimNode } from './simNode.ts';
import { type NodeWishes, World } from './world.ts';

interface Pair {
  readonly world: World;
  readonly a: SimNode;
  readonly b: SimNode;
}

function pair(seed: number, wishesA: NodeWishes = {}, wishesB: NodeWishes = {}, quality?: NetworkQuality): Pair {
  const world = new World(seed, quality);
  const a = world.addNode('alpha', wishesA);
  const b = world.addNode('beta', wishesB);
  world.introduceAll();
  return { world, a, b };
}

function connected(seed: number, wishesA: NodeWishes = {}, wishesB: NodeWishes = {}): Pair {
  const all = pair(seed, wishesA, wishesB);
  all.world.ping(all.a, all.b, 'first');
  all.world.run(100);
  all.world.ping(all.b, all.a, 'back');
  all.world.run(100);
  return all;
}

function lastText(node: SimNode): string {
  return node.delivered.at(-1)?.text ?? '';
}

function reasons(node: SimNode): string[] {
  return node.effects.flatMap((effect) => (effect.kind === 'tunnelClosed' ? [effect.reason] : []));
}

function tunnelCount(node: SimNode): number {
  return node.control.hosts().length;
}

/** Both sides talk, at every `intervalMs`. */
function talk({ world, a, b }: Pair, durationMs: number, intervalMs: number = 500): void {
  world.runWith(durationMs, intervalMs, () => {
    world.ping(a, b, `from a at ${world.nowMs}`);
    world.ping(b, a, `from b at ${world.nowMs}`);
  });
}

/** The same tunnel, seen from both sides. */
function expectOnePrimary({ a, b }: Pair): void {
  const seenByA = a.control.primary(b.vpnAddress);
  const seenByB = b.control.primary(a.vpnAddress);
  expect(seenByA?.localIndex).to.equal(seenByB?.remoteIndex);
  expect(seenByA?.remoteIndex).to.equal(seenByB?.localIndex);
}

describe('simulation: the life of tunnels', () => {
  it('two nodes that start at the same time converge to one tunnel, without losing a packet', () => {
    for (let seed = 0; seed < 20; seed++) {
      const quality = { loss: 0, duplication: 0, delayMsMin: 25, delayMsMax: 25 };
      const all = pair(200 + seed, {}, {}, quality);
      const { world, a, b } = all;
      world.ping(a, b, 'from a');
      world.run(seed);
      world.ping(b, a, 'from b');
      world.run(200);
      expect([lastText(a), lastText(b)]).to.deep.equal(['from b', 'from a']);
      expect([tunnelCount(a), tunnelCount(b)]).to.deep.equal([2, 2]);
      talk(all, 40_000);
      expectOnePrimary(all);
      expect([tunnelCount(a), tunnelCount(b)], `seed ${200 + seed}`).to.deep.equal([1, 1]);
      expect(a.delivered.length + b.delivered.length).to.be.at.least(2 * 80);
    }
  });

  it('simultaneous initiation converges under loss as well', () => {
    const all = pair(230, {}, {}, { loss: 0.3, duplication: 0.1, delayMsMin: 2, delayMsMax: 80 });
    all.world.ping(all.a, all.b);
    all.world.ping(all.b, all.a);
    talk(all, 60_000);
    expectOnePrimary(all);
    expect([tunnelCount(all.a), tunnelCount(all.b)]).to.deep.equal([1, 1]);
  });

  for (const restarted of ['initiator', 'responder'] as const) {
    it(`notices in a moment that the ${restarted} restarted`, () => {
      const { world, a, b } = connected(240);
      const [node, other] = restarted === 'initiator' ? [a, b] : [b, a];
      world.run(10_000);
      node.restart();
      world.ping(other, node, 'into the void');
      world.run(50);
      expect(other.counted('recv_errors.accepted')).to.equal(1);
      world.ping(other, node, 'after');
      expect(world.runUntil(500, () => lastText(node) === 'after')).to.be.below(100);
      expect(tunnelCount(other)).to.equal(1);
    });

    it(`takes the new handshake when the restarted ${restarted} speaks first`, () => {
      const { world, a, b } = connected(241);
      const [node, other] = restarted === 'initiator' ? [a, b] : [b, a];
      world.run(3000);
      node.restart();
      world.ping(node, other, 'hello again');
      world.run(100);
      expect(lastText(other)).to.equal('hello again');
      world.ping(other, node, 'welcome');
      world.run(100);
      expect(lastText(node)).to.equal('welcome');
      expect(other.logs('Taking new handshake')).to.have.length(1);
    });
  }

  it('detects a dead peer about 15 seconds after its last packet, and not before', () => {
    const { world, a, b } = connected(250);
    talk({ world, a, b }, 20_000);
    b.isUp = false;
    const diedMs = world.nowMs;
    let detectedMs = 0;
    world.runWith(30_000, 100, () => {
      if (detectedMs === 0) {
        world.ping(a, b);
      }
      if (detectedMs === 0 && tunnelCount(a) === 0) {
        detectedMs = world.nowMs;
      }
    });
    expect(detectedMs - diedMs).to.be.within(10_000, 20_100);
    expect(reasons(a)).to.deep.equal(['dead']);
  });

  it('leaves an idle tunnel alone for an hour, and it still works', () => {
    const { world, a, b } = connected(251);
    world.run(30_000);
    const sentCount = world.network.sent.length;
    world.run(3_600_000);
    expect(world.network.sent.length).to.equal(sentCount);
    world.ping(a, b, 'still here');
    world.run(100);
    expect(lastText(b)).to.equal('still here');
    expect(tunnelCount(a)).to.equal(1);
  });

  it('a peer that only receives is tested and kept', () => {
    const { world, a, b } = connected(252);
    world.runWith(60_000, 1000, () => world.ping(a, b));
    expect(reasons(a).concat(reasons(b))).to.deep.equal([]);
    const tests = world.network.sent.filter(({ bytes }) => headerType(bytes, 0) === MessageType.Test);
    expect(tests.filter(({ bytes }) => headerSubtype(bytes, 0) === 0).length).to.be.within(3, 12);
  });

  it('drops an inactive tunnel with a message to the peer, if configured', () => {
    const settings = { dropInactive: true, inactivityTimeoutMs: 60_000 };
    const { world, a, b } = connected(253, { settings });
    world.run(90_000);
    expect(reasons(a)).to.deep.equal(['inactive']);
    expect(reasons(b)).to.deep.equal(['closed by peer']);
  });

  it('sends keepalive punches while idle, if configured, but none to lighthouses', () => {
    const { world } = connected(254, { settings: { punch: true } }, { settings: { punch: true } });
    world.run(61_000);
    const punches = world.network.sent.filter(({ bytes }) => bytes.length === 1);
    expect(punches.length).to.be.within(20, 26);
    expect(new Set(punches.map(({ bytes }) => bytes[0]))).to.deep.equal(new Set([1]));
    const other = new World(255);
    const a = other.addNode('alpha', { settings: { punch: true, lighthouses: [ip('10.42.0.2')] } });
    const b = other.addNode('beta');
    other.introduceAll();
    other.ping(a, b);
    other.run(61_000);
    expect(other.network.sent.filter(({ bytes }) => bytes.length === 1)).to.deep.equal([]);
  });

  it('keeps at most five tunnels to one address: the oldest goes', () => {
    const { world, a, b } = pair(256);
    for (let round = 0; round < 8; round++) {
      a.restart();
      world.ping(a, b, `round ${round}`);
      world.run(50);
    }
    expect(tunnelCount(b)).to.equal(5);
    expect(lastText(b)).to.equal('round 7');
    expect(reasons(b)).to.deep.equal(new Array(3).fill('too many tunnels to one host'));
    world.ping(b, a, 'answer');
    world.run(50);
    expect(lastText(a)).to.equal('answer');
  });

  it('closes all tunnels with a message when it stops', () => {
    const { world, a, b } = connected(257);
    const c = world.addNode('gamma');
    a.addStaticHost(c.vpnAddress, c.endpoint);
    world.ping(a, c);
    world.run(100);
    a.control.closeAll(world.now);
    a.settle(world.now);
    world.run(100);
    expect([tunnelCount(a), tunnelCount(b), tunnelCount(c)]).to.deep.equal([0, 0, 0]);
    expect(a.control.nextMs).to.equal(null);
    expect(a.store.rows.size + b.store.rows.size + c.store.rows.size).to.equal(0);
  });

  it('forgets what it learned about a peer with its last tunnel, but not a static host', () => {
    const world = new World(258);
    const a = world.addNode('alpha');
    const b = world.addNode('beta');
    a.addStaticHost(b.vpnAddress, b.endpoint);
    world.ping(a, b);
    world.run(100);
    expect(b.remotes.list(a.vpnAddress).map((endpoint) => endpoint.text)).to.deep.equal([a.endpoint.text]);
    a.control.closeHost(b.vpnAddress, false);
    a.settle(world.now);
    world.run(100);
    expect(b.remotes.list(a.vpnAddress)).to.deep.equal([]);
    expect(a.remotes.list(b.vpnAddress).map((endpoint) => endpoint.text)).to.deep.equal([b.endpoint.text]);
  });
});

describe('simulation: certificates change while tunnels live', () => {
  it('closes a tunnel whose certificate expires, and tells the peer; not with disconnect_invalid off', () => {
    for (const disconnectInvalid of [true, false]) {
      const issue = { notAfter: 1_750_000_060 };
      const all = connected(300, { settings: { disconnectInvalid } }, { issue });
      talk(all, 50_000);
      expect(tunnelCount(all.a)).to.equal(1);
      talk(all, 20_000);
      expect(reasons(all.a).includes('certificate is expired')).to.equal(disconnectInvalid);
      expect(reasons(all.b).includes('closed by peer')).to.equal(disconnectInvalid);
    }
  });

  it('closes a blocklisted peer at the next check, whatever disconnect_invalid says, and refuses it from then on', () => {
    const { world, a, b } = connected(301, { settings: { disconnectInvalid: false } });
    const fingerprint = b.identity.certificates[0].fingerprint;
    a.reloadIdentity(world.now, { ...a.identity, caPool: world.authority.pool([fingerprint]) });
    world.run(5200);
    expect(reasons(a)).to.deep.equal(['certificate is in the block list']);
    expect(tunnelCount(b)).to.equal(0);
    world.ping(b, a, 'let me in');
    world.run(7000);
    expect(tunnelCount(a) + tunnelCount(b)).to.equal(0);
    expect(lastText(a)).to.equal('back');
  });

  it('replaces its tunnels when it gets a new certificate, without losing a packet', () => {
    const all = connected(302);
    const { world, a, b } = all;
    const before = a.control.primary(b.vpnAddress);
    const renewed = world.identity('alpha', ['10.42.0.1/24'], { groups: ['renewed'] });
    a.reloadIdentity(world.now, renewed);
    const deliveredBefore = a.delivered.length + b.delivered.length;
    talk(all, 30_000);
    const after = b.control.primary(a.vpnAddress);
    expect(after?.peer.certificate.groups).to.deep.equal(['renewed']);
    expect(a.control.primary(b.vpnAddress)).not.to.equal(before);
    expectOnePrimary(all);
    expect(tunnelCount(a)).to.equal(1);
    expect(a.delivered.length + b.delivered.length - deliveredBefore).to.be.at.least(2 * 60 - 2);
    expect(a.logs('Re-handshaking with remote')).to.have.length(1);
  });

  it('replaces a tunnel that has sent very many messages, and ends one that can send no more', () => {
    const all = connected(303);
    const { world, a, b } = all;
    const first = a.control.primary(b.vpnAddress)!;
    const renew = a.store.row(first.slot);
    renew.sendCount = 2 ** 34;
    talk(all, 12_000);
    expect(a.control.primary(b.vpnAddress)).not.to.equal(first);
    const second = a.control.primary(b.vpnAddress)!;
    a.store.row(second.slot).sendCount = 2 ** 64 - 2 ** 40;
    world.run(5100);
    expect(reasons(a)).to.include('message counter exhausted');
  });
});

describe('simulation: peers that move', () => {
  it('follows a peer to its new endpoint with the first packet from there', () => {
    const { world, a, b } = connected(400);
    a.endpoint = at('203.0.113.77:9999');
    world.ping(a, b, 'moved');
    world.run(50);
    world.ping(b, a, 'found you');
    world.run(50);
    expect(lastText(a)).to.equal('found you');
    expect(b.control.primary(a.vpnAddress)?.endpoint?.text).to.equal('203.0.113.77:9999');
    expect(b.logs('Host roamed to new udp ip/port.')).to.have.length(1);
    expect(b.remotes.list(a.vpnAddress).map((endpoint) => endpoint.text)).to.include('203.0.113.77:9999');
  });

  it('does not flap back within two seconds, and does afterwards', () => {
    const { world, a, b } = connected(401);
    const home = a.endpoint;
    const away = at('203.0.113.77:9999');
    const from = (endpoint: typeof home): string | undefined => {
      a.endpoint = endpoint;
      world.ping(a, b);
      world.run(10);
      return b.control.primary(a.vpnAddress)?.endpoint?.text;
    };
    expect(from(away)).to.equal(away.text);
    expect(from(home)).to.equal(away.text);
    expect(from(away)).to.equal(away.text);
    world.run(1900);
    expect(from(home), 'after 1.9 s').to.equal(away.text);
    world.run(100);
    expect(from(home), 'after 2 s').to.equal(home.text);
    expect(b.counted('tunnels.roamed')).to.equal(2);
    expect(b.counted('tunnels.roam_suppressed')).to.equal(2);
  });

  it('stays where it is when the allow list denies the new endpoint', () => {
    const allowsAll = (_vpn: unknown, underlay: { text: string }): boolean => underlay.text !== '203.0.113.77';
    const remoteFilter = { allowsUnknown: () => true, allowsAll };
    const { world, a, b } = connected(402, {}, { remoteFilter });
    const home = a.endpoint.text;
    a.endpoint = at('203.0.113.77:9999');
    world.ping(a, b);
    world.run(50);
    expect(b.control.primary(a.vpnAddress)?.endpoint?.text).to.equal(home);
    expect(b.counted('tunnels.roam_not_allowed')).to.equal(1);
  });

  it('ignores reports about tunnels of the past', () => {
    const { world, a, b } = connected(403);
    const { slot, generation } = b.control.primary(a.vpnAddress)!;
    b.control.onRoam(world.now, slot, generation + 2, at('203.0.113.1:1'));
    b.control.onClose(world.now, slot, generation - 2);
    b.control.onClose(world.now, slot + 1, generation);
    expect(b.control.drain()).to.deep.equal([]);
    expect(b.control.primary(a.vpnAddress)?.endpoint?.text).to.equal(a.endpoint.text);
  });

  it('a node behind a NAT keeps its tunnel when the NAT is rebound', () => {
    const world = new World(404);
    const nat = new Nat(at('203.0.113.1:31000'));
    const a = world.addNode('alpha', { nat, endpoint: at('192.168.1.2:4242') });
    const b = world.addNode('beta');
    a.addStaticHost(b.vpnAddress, b.endpoint);
    world.ping(a, b);
    world.run(100);
    world.ping(b, a, 'one');
    world.run(100);
    nat.rebind(at('203.0.113.1:32000'));
    world.ping(b, a, 'lost at the NAT');
    world.run(100);
    expect(lastText(a)).to.equal('one');
    world.ping(a, b);
    world.run(100);
    world.ping(b, a, 'two');
    world.run(100);
    expect(lastText(a)).to.equal('two');
    expect(tunnelCount(b)).to.equal(1);
  });

  it('tries preferred endpoints after many packets and moves when they answer', () => {
    const lan = parsePrefix('192.168.0.0/16')!;
    const settings = { preferredRanges: [lan], promoteEveryPackets: 50, requeryEveryPackets: 100, requeryWaitMs: 8000 };
    const { world, a, b } = connected(405, { settings });
    const wan = b.endpoint;
    a.remotes.report(b.vpnAddress, b.vpnAddress, [at('192.168.7.7:4242'), wan], []);
    world.runWith(6000, 50, () => world.ping(a, b));
    expect(world.network.sent.some(({ to }) => to.text === '192.168.7.7:4242')).to.equal(true);
    expect(a.control.primary(b.vpnAddress)?.endpoint?.text).to.equal(wan.text);
    b.endpoint = at('192.168.7.7:4242');
    world.ping(b, a);
    world.run(100);
    expect(a.control.primary(b.vpnAddress)?.endpoint?.text).to.equal('192.168.7.7:4242');
    world.runWith(12_000, 50, () => world.ping(a, b));
    expect(a.effects.filter((effect) => effect.kind === 'queryLighthouse').length).to.equal(2);
  });
});

describe('simulation: recv_error', () => {
  it('is not believed from another address, nor for an unknown index', () => {
    const { world, a, b } = connected(500);
    world.run(6000);
    const { remoteIndex } = a.control.primary(b.vpnAddress)!;
    a.control.onRecvError(world.now, remoteIndex, at('198.51.100.1:4242'));
    a.control.onRecvError(world.now, remoteIndex + 1, b.endpoint);
    a.settle(world.now);
    expect(tunnelCount(a)).to.equal(1);
    expect(a.counted('recv_errors.spoofed')).to.equal(1);
    expect(a.logs('Someone spoofing recv_errors?')).to.have.length(1);
    a.control.onRecvError(world.now, remoteIndex, b.endpoint);
    a.settle(world.now);
    expect(tunnelCount(a)).to.equal(0);
  });

  it('is obeyed according to listen.accept_recv_error', () => {
    for (const [acceptRecvError, endpoint, isClosed] of [
      ['never', '192.0.2.2:4242', false],
      ['private', '192.0.2.2:4242', false],
      ['private', '10.1.2.3:4242', true],
      ['private', '[fd00::1]:4242', true],
      ['always', '192.0.2.2:4242', true],
    ] as const) {
      const { world, a, b } = connected(501, { settings: { acceptRecvError } }, { endpoint: at(endpoint) });
      a.control.onRecvError(world.now, a.control.primary(b.vpnAddress)!.remoteIndex, b.endpoint);
      a.settle(world.now);
      expect(tunnelCount(a), `${acceptRecvError} ${endpoint}`).to.equal(isClosed ? 0 : 1);
    }
  });

  it('of an initiator that has not read the answer yet does not close the young tunnel', () => {
    const quality = { loss: 0, duplication: 0, delayMsMin: 10, delayMsMax: 10 };
    const { world, a, b } = pair(502, {}, {}, quality);
    world.ping(a, b);
    world.run(10);
    expect(tunnelCount(b)).to.equal(1);
    world.network.quality = { ...quality, delayMsMin: 1, delayMsMax: 1 };
    world.ping(b, a, 'overtakes message 2');
    world.run(5);
    expect(b.counted('recv_errors.tolerated')).to.equal(1);
    world.run(100);
    expect(tunnelCount(b)).to.equal(1);
    world.ping(b, a, 'later');
    world.run(100);
    expect(lastText(a)).to.equal('later');
  });

  it('of an old release that complains about duplicates does not cost the tunnel; its restart does', () => {
    const all = pair(503, {}, { complainsAboutReplays: true });
    const { world, a, b } = all;
    world.ping(a, b);
    world.run(100);
    const peer: { sendsCertificateVersion: boolean } = a.control.primary(b.vpnAddress)!.peer;
    expect(peer.sendsCertificateVersion).to.equal(true);
    peer.sendsCertificateVersion = false;
    world.network.quality = { loss: 0, duplication: 0.4, delayMsMin: 1, delayMsMax: 5 };
    world.runWith(30_000, 50, () => world.ping(a, b));
    expect(a.counted('recv_errors.tolerated')).to.be.above(200);
    expect(reasons(a)).to.deep.equal([]);
    world.network.quality = { loss: 0, duplication: 0, delayMsMin: 5, delayMsMax: 5 };
    world.run(100);
    b.restart();
    const restartedMs = world.nowMs;
    world.runWith(2000, 100, () => world.ping(a, b, `at ${world.nowMs - restartedMs}`));
    expect(reasons(a)).to.deep.equal(['recv_error']);
    expect(b.delivered.find((delivery) => delivery.atMs > restartedMs)?.atMs).to.be.below(restartedMs + 800);
  });
});

describe('simulation: many nodes', () => {
  it('20 nodes make a full mesh on a bad network, every pair ends with one tunnel, and all of them carry packets', () => {
    const world = new World(600, { loss: 0.1, duplication: 0.05, delayMsMin: 1, delayMsMax: 120 });
    for (let n = 0; n < 20; n++) {
      world.addNode(`node${n}`);
    }
    world.introduceAll();
    const all = world.nodes.flatMap((from) => world.nodes.filter((to) => to !== from).map((to) => [from, to] as const));
    world.runWith(60_000, 2000, () => {
      for (const [from, to] of all) {
        world.ping(from, to);
      }
    });
    world.network.quality = { loss: 0, duplication: 0, delayMsMin: 1, delayMsMax: 20 };
    world.runWith(40_000, 2000, () => {
      for (const [from, to] of all) {
        world.ping(from, to);
      }
    });
    for (const node of world.nodes) {
      node.delivered.length = 0;
      expect(tunnelCount(node), node.name).to.equal(19);
    }
    for (const [from, to] of all) {
      expectOnePrimary({ world, a: from, b: to });
      world.ping(from, to, 'last');
    }
    world.run(100);
    for (const node of world.nodes) {
      expect(node.delivered.map((delivery) => delivery.from)).to.have.length(19);
      expect(new Set(node.delivered.map((delivery) => delivery.from)).size).to.equal(19);
    }
  });

  it('the same seed gives the same run', () => {
    const runOnce = (): string[] => {
      const all = pair(601, {}, {}, { loss: 0.3, duplication: 0.2, delayMsMin: 1, delayMsMax: 90 });
      talk(all, 8000, 300);
      return all.world.network.sent.map(({ bytes }) => Buffer.from(bytes).toString('hex'));
    };
    const first = runOnce();
    expect(first.length).to.be.above(50);
    expect(runOnce()).to.deep.equal(first);
  });
});
