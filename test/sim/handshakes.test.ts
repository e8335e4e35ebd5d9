import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import type { Endpoint, IpAddress } from '../../src/shared/ip/address.ts';
import { addressWords } from '../../src/shared/ip/networkWords.ts';
import { headerType, MessageType, Subtype } from '../../src/shared/wire/header.ts';
import { encodeLighthouse, LIGHTHOUSE_BYTES_MAX } from '../../src/shared/wire/lighthouseEncoder.ts';
import { addEndpoint, LighthouseMessage, LighthouseType } from '../../src/shared/wire/lighthouseMessage.ts';
import { ep, ip } from '../support/addresses.ts';
import { TEST_NOT_BEFORE, TestAuthority } from '../support/testAuthority.ts';
import type { SimNode } from './simNode.ts';
import { World } from './world.ts';

function texts(node: SimNode): string[] {
  return node.delivered.map((delivery) => delivery.text);
}

function pair(seed: number): { world: World; a: SimNode; b: SimNode } {
  const world = new World(seed);
  const a = world.addNode('alpha');
  const b = world.addNode('beta');
  world.introduceAll();
  return { world, a, b };
}

/** Handshake messages that a node sent, as [time order] list of packets. */
function requestsOf(world: World, node: SimNode): Uint8Array[] {
  return world.network.sent
    .filter(({ from, bytes }) => from.text === node.endpoint.text && headerType(bytes, 0) === MessageType.Handshake)
    .map(({ bytes }) => bytes);
}

/** A lighthouse's answer: that host is there. */
function lighthouseReply(host: IpAddress, endpoint: Endpoint): Uint8Array {
  const message = new LighthouseMessage();
  const [a0, a1, a2, a3] = addressWords([host]);
  message.type = LighthouseType.HostQueryReply;
  message.setTarget(1, a0, a1, a2, a3);
  addEndpoint(message, endpoint);
  const bytes = new Uint8Array(LIGHTHOUSE_BYTES_MAX);
  return bytes.slice(0, encodeLighthouse(message, bytes, 0));
}

describe('simulation: handshakes', () => {
  it('carries the first packets, in their order, as soon as the handshake is complete', () => {
    const { world, a, b } = pair(1);
    for (let n = 1; n <= 5; n++) {
      world.ping(a, b, `packet ${n}`);
    }
    world.run(20);
    expect(texts(b)).to.deep.equal(['packet 1', 'packet 2', 'packet 3', 'packet 4', 'packet 5']);
    expect(b.delivered[0].from).to.equal('alpha');
    world.ping(b, a, 'back');
    world.run(10);
    expect(texts(a)).to.deep.equal(['back']);
    expect(requestsOf(world, a)).to.have.length(1);
  });

  for (const cipher of [Cipher.Aes256Gcm, Cipher.ChaCha20Poly1305]) {
    it(`speaks cipher ${cipher}; with different ciphers there is no tunnel`, () => {
      const world = new World(2);
      const a = world.addNode('alpha', { cipher });
      const b = world.addNode('beta', { cipher });
      const c = world.addNode('gamma', { cipher: 1 - cipher === 0 ? Cipher.Aes256Gcm : Cipher.ChaCha20Poly1305 });
      world.introduceAll();
      world.ping(a, b);
      world.ping(a, c);
      world.run(10_000);
      expect(texts(b)).to.deep.equal(['ping']);
      expect(texts(c)).to.deep.equal([]);
      expect(a.droppedCount).to.equal(1);
    });
  }

  it('gives up after ten identical attempts and drops what waited; the next packet starts anew', () => {
    const { world, a, b } = pair(3);
    b.isUp = false;
    world.ping(a, b, 'lost');
    const startMs = world.nowMs;
    expect(world.runUntil(10_000, () => a.droppedCount > 0)).to.equal(5500);
    expect(world.nowMs - startMs).to.equal(5500);
    const requests = requestsOf(world, a);
    expect(requests).to.have.length(10);
    expect(new Set(requests.map((bytes) => Buffer.from(bytes).toString('hex'))).size).to.equal(1);
    expect(a.logs('Handshake timed out')).to.have.length(1);
    expect(a.control.pending()).to.deep.equal([]);
    expect(a.control.nextMs).to.equal(null);
    b.isUp = true;
    world.ping(a, b, 'again');
    world.run(100);
    expect(texts(b)).to.deep.equal(['again']);
  });

  it('asks the lighthouse when no endpoint is known, and tries the ones that arrive at once', () => {
    const world = new World(4);
    const lighthouse = world.addNode('lighthouse');
    const a = world.addNode('alpha', { lighthouses: [lighthouse.vpnAddress] });
    const b = world.addNode('beta');
    a.addStaticHost(lighthouse.vpnAddress, lighthouse.endpoint);
    world.ping(a, lighthouse);
    world.run(100);
    const before = requestsOf(world, a).length;
    world.ping(a, b);
    expect(a.counted('lighthouse.tx.HostQuery')).to.equal(1);
    world.run(250);
    expect(requestsOf(world, a)).to.have.length(before);
    const { slot } = lighthouse.control.primary(a.vpnAddress)!;
    const reply = lighthouseReply(b.vpnAddress, b.endpoint);
    lighthouse.sendSealed(slot, MessageType.Lighthouse, Subtype.None, reply);
    lighthouse.sendSealed(slot, MessageType.Lighthouse, Subtype.None, reply);
    world.run(6);
    expect(a.counted('lighthouse.rx.HostQueryReply')).to.equal(2);
    expect(requestsOf(world, a)).to.have.length(before + 1);
    world.run(20);
    expect(texts(b)).to.deep.equal(['ping']);
  });

  for (const loss of [0, 0.1, 0.2, 0.3, 0.4, 0.5]) {
    it(`completes with ${loss * 100} % loss, duplicates and reordering`, () => {
      let completedCount = 0;
      for (let seed = 0; seed < 30; seed++) {
        const world = new World(100 + seed, { loss, duplication: 0.2, delayMsMin: 1, delayMsMax: 300 });
        const a = world.addNode('alpha');
        const b = world.addNode('beta');
        world.introduceAll();
        world.ping(a, b);
        world.run(6000);
        completedCount += a.control.primary(b.vpnAddress) === null ? 0 : 1;
        expect(b.control.hosts().length, 'no tunnel per retransmission').to.be.at.most(1);
      }
      // Ten attempts, each through with (1 − loss)²: at 50 % one in eighteen gives up, the first round trips apart.
      expect(completedCount).to.be.at.least(loss <= 0.3 ? 30 : loss <= 0.4 ? 29 : 25);
    });
  }

  it('answers a repeated message 1 with the same message 2, and makes no second tunnel', () => {
    const { world, a, b } = pair(5);
    world.ping(a, b);
    world.run(100);
    const [request] = requestsOf(world, a);
    const [answer] = requestsOf(world, b);
    for (let n = 0; n < 3; n++) {
      b.onDatagram(world.now, request, ep('198.51.100.7:9'));
    }
    const answers = world.network.sent.filter(({ to }) => to.text === '198.51.100.7:9');
    expect(answers.map(({ bytes }) => bytes)).to.deep.equal([answer, answer, answer]);
    expect(b.control.hosts()).to.have.length(1);
    expect(b.control.primary(a.vpnAddress)?.endpoint?.text).to.equal(a.endpoint.text);
  });

  it('refuses an older handshake than the primary tunnel has, and tests that tunnel instead', () => {
    const { world, a, b } = pair(6);
    world.ping(a, b);
    world.run(100);
    const [older] = requestsOf(world, a);
    a.restart();
    world.run(1000);
    world.ping(a, b, 'new tunnel');
    world.run(100);
    expect(texts(b)).to.deep.equal(['ping', 'new tunnel']);
    const primary = b.control.primary(a.vpnAddress);
    // The first tunnel is gone from b's memory, so the replay meets only the comparison of times.
    for (const { tunnel } of b.control.hosts()) {
      if (tunnel !== primary) {
        b.control.onClose(world.now, tunnel.slot, tunnel.generation);
      }
    }
    b.settle(world.now);
    b.onDatagram(world.now, older, ep('198.51.100.7:9'));
    expect(b.counted('handshakes.rejected.too_old')).to.equal(1);
    expect(b.control.primary(a.vpnAddress)).to.equal(primary);
    expect(b.control.hosts()).to.have.length(1);
    const sentBefore = world.network.sent.length;
    expect(headerType(world.network.sent[sentBefore - 1].bytes, 0)).to.equal(MessageType.Test);
  });

  it('a clock that goes back on a peer without restart does not make its handshakes too old', () => {
    const { world, a, b } = pair(7);
    world.ping(a, b);
    world.run(100);
    world.unixOffsetMs -= 3_600_000;
    a.control.closeHost(world.now, b.vpnAddress, true);
    a.settle(world.now);
    world.ping(a, b, 'after');
    world.run(100);
    expect(texts(b)).to.deep.equal(['ping', 'after']);
  });

  it('notices that another host answered, says goodbye to it, and goes on without that endpoint', () => {
    const world = new World(8);
    const a = world.addNode('alpha');
    const b = world.addNode('beta');
    const c = world.addNode('gamma');
    a.addStaticHost(b.vpnAddress, c.endpoint, b.endpoint);
    b.isUp = false;
    world.ping(a, b);
    world.run(150);
    expect(a.counted('handshakes.rejected.wrong_host')).to.equal(1);
    expect(c.control.hosts(), 'the wrong host was told').to.deep.equal([]);
    expect(a.store.count).to.equal(0);
    expect(a.control.pending()[0].endpoints.map((endpoint) => endpoint.text)).to.deep.equal([b.endpoint.text]);
    b.isUp = true;
    world.run(500);
    expect(texts(b)).to.deep.equal(['ping']);
    expect(texts(c)).to.deep.equal([]);
  });

  it('refuses itself: a mirror that sends our own message back, or a node with our address', () => {
    const { world, a, b } = pair(9);
    b.isUp = false;
    world.ping(a, b);
    world.run(50);
    const [request] = requestsOf(world, a);
    a.onDatagram(world.now, request, b.endpoint);
    expect(a.counted('handshakes.rejected.own_address')).to.equal(1);
    const twin = world.addNode('twin', { networks: ['10.42.0.1/24'] });
    twin.addStaticHost(ip('10.42.0.2'), a.endpoint);
    twin.sendOverlay(world.now, ip('10.42.0.2'), 'x');
    world.run(200);
    expect(a.counted('handshakes.rejected.own_address')).to.be.at.least(2);
    expect(a.control.hosts()).to.deep.equal([]);
  });

  it('refuses certificates of another authority, expired, not yet valid, blocklisted or a CA, from both sides', () => {
    const cases: Record<string, (world: World) => SimNode> = {
      'another authority': (world) =>
        world.addNode('beta', { identity: new TestAuthority(99).identity('beta', ['10.42.0.2/24']) }),
      expired: (world) => world.addNode('beta', { issue: { notAfter: 1_740_000_000 } }),
      'marked as a CA': (world) => world.addNode('beta', { issue: { isCa: true } }),
      'not yet valid': (world) => world.addNode('beta', { issue: { notBefore: 1_760_000_000 } }),
      blocklisted: (world) => {
        const b = world.addNode('beta');
        const [certificate] = b.identity.certificates;
        world.nodes[0].reloadIdentity(world.now, {
          ...world.nodes[0].identity,
          caPool: world.authority.pool([certificate.fingerprint]),
        });
        return b;
      },
    };
    for (const [name, make] of Object.entries(cases)) {
      const world = new World(10);
      const a = world.addNode('alpha');
      const b = make(world);
      world.introduceAll();
      world.ping(a, b);
      world.run(8000);
      world.ping(b, a);
      world.run(8000);
      expect(a.counted('handshakes.rejected.bad_certificate'), name).to.be.at.least(2);
      expect(a.control.hosts(), name).to.deep.equal([]);
      expect(texts(a).concat(texts(b)), name).to.deep.equal([]);
    }
    expect(TEST_NOT_BEFORE).to.be.below(1_740_000_000);
  });

  it('survives garbage from strangers: nothing is thrown, nothing is kept', () => {
    const { world, a, b } = pair(11);
    world.ping(a, b);
    world.run(3);
    const request = requestsOf(world, a)[0];
    for (let round = 0; round < 2000; round++) {
      const bytes = world.random.bool() ? request.slice() : world.random.bytes(16 + world.random.below(300));
      bytes.set([0x10, 0], 0);
      if (bytes.length > 20) {
        bytes[16 + world.random.below(bytes.length - 16)] ^= 1 << world.random.below(8);
      }
      if (world.random.bool()) {
        bytes.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 4);
      }
      const from = ep(`198.51.100.${world.random.below(256)}:5`);
      b.onDatagram(world.now, bytes, from);
      b.reportHandshake(world.now, bytes, from);
    }
    expect(b.counted('handshakes.rejected.bad_certificate')).to.be.above(100);
    b.restart();
    world.run(5000);
    expect(texts(b)).to.deep.equal(['ping']);
  });

  it('obeys the remote allow list before and after the identity is known', () => {
    const world = new World(12);
    const b = world.addNode('beta', {
      remoteFilter: {
        allowsUnknown: (underlay) => underlay.text !== '192.0.2.2',
        allowsAll: (_vpnAddresses, underlay) => underlay.text !== '192.0.2.3',
      },
    });
    const unknown = world.addNode('gamma');
    const known = world.addNode('delta');
    const welcome = world.addNode('epsilon');
    world.introduceAll();
    for (const node of [unknown, known, welcome]) {
      world.ping(node, b, node.name);
    }
    world.run(7000);
    expect(texts(b)).to.deep.equal(['epsilon']);
    expect(b.counted('handshakes.rejected.remote_not_allowed')).to.equal(20);
  });

  it('refuses when the table is full, and says so to the packets that wait', () => {
    const world = new World(13);
    const a = world.addNode('alpha', { capacity: 1 });
    const b = world.addNode('beta');
    const c = world.addNode('gamma');
    world.introduceAll();
    world.ping(a, b);
    world.run(100);
    world.ping(a, c, 'no room');
    world.run(100);
    expect(a.droppedCount).to.equal(1);
    expect(a.counted('tunnels.table_full')).to.equal(1);
    world.ping(a, b, 'still');
    world.run(100);
    expect(texts(b)).to.deep.equal(['ping', 'still']);
  });
});

describe('simulation: certificate versions', () => {
  const both = { versions: [1, 2] as const };

  function usedVersions(node: SimNode, peer: SimNode): readonly number[] {
    const tunnel = node.control.primary(peer.vpnAddress);
    return tunnel === null ? [] : [tunnel.ownCertificate.version, tunnel.peer.certificate.version];
  }

  it('answers with the version of the peer when it can, and with its own otherwise', () => {
    const world = new World(20);
    const a = world.addNode('alpha', { issue: { versions: [2] } });
    const b = world.addNode('beta', { issue: both });
    const c = world.addNode('gamma', { issue: { versions: [1] } });
    world.introduceAll();
    world.ping(a, b);
    world.ping(a, c);
    world.run(100);
    expect(usedVersions(a, b)).to.deep.equal([2, 2]);
    expect(usedVersions(a, c)).to.deep.equal([2, 1]);
    expect(texts(b).concat(texts(c))).to.deep.equal(['ping', 'ping']);
  });

  it('shows version 2 to reach an IPv6 address', () => {
    const world = new World(21);
    const networks = (n: number): string[] => [`10.42.0.${n}/24`, `fd42::${n}/64`];
    const a = world.addNode('alpha', { issue: both, networks: networks(1) });
    const b = world.addNode('beta', { issue: both, networks: networks(2) });
    a.addStaticHost(ip('fd42::2'), b.endpoint);
    a.sendOverlay(world.now, ip('fd42::2'), 'six');
    world.run(100);
    expect(texts(b)).to.deep.equal(['six']);
    expect(a.control.primary(ip('fd42::2'))?.ownCertificate.version).to.equal(2);
    a.sendOverlay(world.now, ip('10.42.0.2'), 'four');
    world.run(100);
    expect(texts(b)).to.deep.equal(['six', 'four']);
    expect(a.control.hosts()).to.have.length(1);
  });

  it('says why it cannot when it has no certificate for that', () => {
    const world = new World(22);
    const a = world.addNode('alpha');
    a.addStaticHost(ip('fd42::2'), ep('192.0.2.9:1'));
    // Wanted by somebody else than the host, which has no such address to send from.
    a.control.onMiss(world.now, ip('fd42::2'));
    a.settle(world.now);
    world.run(7000);
    expect(a.effects.filter(({ kind }) => kind === 'hostFailed')).to.have.length(1);
    expect(a.logs('Unable to handshake with host because no certificate is available').length).to.be.at.least(1);
    expect(world.network.sent).to.deep.equal([]);
  });

  it('raises a tunnel to the version of the peer', () => {
    const world = new World(23);
    const a = world.addNode('alpha', { issue: { ...both, initiatingVersion: 1 } });
    const b = world.addNode('beta', { issue: { versions: [2] } });
    world.introduceAll();
    world.ping(a, b);
    world.run(100);
    expect(usedVersions(a, b)).to.deep.equal([1, 2]);
    world.runWith(12_000, 1000, () => {
      world.ping(a, b);
      world.ping(b, a);
    });
    expect(usedVersions(a, b)).to.deep.equal([2, 2]);
    expect(usedVersions(b, a)).to.deep.equal([2, 2]);
  });
});
