import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SEND_COUNTER_MAX } from '../../src/shared/memory/sendCounter.ts';
import { headerSubtype, headerType, MessageType } from '../../src/shared/wire/header.ts';
import { ip } from '../support/addresses.ts';
import { connected, expectOnePrimary, lastText, pair, reasons, talk, tunnelCount } from './pairs.ts';
import { World } from './world.ts';

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
      expect(other.counted('recv_errors.reconnected')).to.equal(1);
      world.ping(other, node, 'after');
      expect(world.runUntil(500, () => lastText(node) === 'after')).to.be.below(100);
      expect(other.control.primary(node.vpnAddress)?.remoteIndex).to.equal(
        node.control.primary(other.vpnAddress)?.localIndex,
      );
      world.run(20_000);
      expect(tunnelCount(other), 'the old tunnel went').to.equal(1);
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
    expect(a.store.count + b.store.count + c.store.count).to.equal(0);
  });

  it('forgets what it learned about a peer with its last tunnel, but not a static host', () => {
    const world = new World(258);
    const a = world.addNode('alpha');
    const b = world.addNode('beta');
    a.addStaticHost(b.vpnAddress, b.endpoint);
    world.ping(a, b);
    world.run(100);
    expect(b.remotes.list(a.vpnAddress).map((endpoint) => endpoint.text)).to.deep.equal([a.endpoint.text]);
    a.control.closeHost(world.now, b.vpnAddress, false);
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

  it('closes a peer whose key is blocked, and refuses it with another certificate for that key', () => {
    const { world, a, b } = connected(303, { settings: { disconnectInvalid: false } });
    const key = Buffer.from(b.identity.publicKey).toString('hex');
    a.reloadIdentity(world.now, { ...a.identity, caPool: world.authority.pool([], [], [key]) });
    world.run(5200);
    expect(reasons(a)).to.deep.equal(['certificate is in the block list']);
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
    a.setSendCount(first.slot, 2 ** 34);
    talk(all, 12_000);
    expect(a.control.primary(b.vpnAddress)).not.to.equal(first);
    const second = a.control.primary(b.vpnAddress)!;
    a.setSendCount(second.slot, SEND_COUNTER_MAX);
    world.run(5100);
    expect(reasons(a)).to.include('message counter exhausted');
  });
});
