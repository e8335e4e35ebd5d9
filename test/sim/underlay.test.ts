import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parsePrefix } from '../../src/shared/ip/address.ts';
import { MessageType } from '../../src/shared/wire/header.ts';
import { ep, ip } from '../support/addresses.ts';
import { Nat } from './network.ts';
import { headerBytes } from './packets.ts';
import { connected, lastText, pair, reasons, tunnelCount } from './pairs.ts';
import { World } from './world.ts';

/** A worker reports a tunnel's sources no more often; the first report of a tunnel is that it is proved. */
const REPORT_MS = 250;

describe('simulation: peers that move', () => {
  it('follows a peer to its new endpoint with the first packet from there', () => {
    const { world, a, b } = connected(400);
    world.run(REPORT_MS);
    a.endpoint = ep('203.0.113.77:9999');
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
    world.run(REPORT_MS);
    const home = a.endpoint;
    const away = ep('203.0.113.77:9999');
    const from = (endpoint: typeof home): string | undefined => {
      a.endpoint = endpoint;
      world.ping(a, b);
      world.run(10);
      return b.control.primary(a.vpnAddress)?.endpoint?.text;
    };
    expect(from(away)).to.equal(away.text);
    expect(from(home), 'so soon that the worker does not report it').to.equal(away.text);
    world.run(REPORT_MS);
    expect(from(home)).to.equal(away.text);
    expect(from(away)).to.equal(away.text);
    world.run(1950 - REPORT_MS);
    expect(from(home), 'after 1.98 s').to.equal(away.text);
    world.run(REPORT_MS);
    expect(from(home), 'after 2 s').to.equal(home.text);
    expect(b.counted('tunnels.roamed')).to.equal(2);
    expect(b.counted('tunnels.roam_suppressed')).to.equal(2);
  });

  it('stays where it is when the allow list denies the new endpoint', () => {
    const allowsAll = (_vpn: unknown, underlay: { text: string }): boolean => underlay.text !== '203.0.113.77';
    const remoteFilter = { allowsUnknown: () => true, allowsAll };
    const { world, a, b } = connected(402, {}, { remoteFilter });
    world.run(REPORT_MS);
    const home = a.endpoint.text;
    a.endpoint = ep('203.0.113.77:9999');
    world.ping(a, b);
    world.run(50);
    expect(b.control.primary(a.vpnAddress)?.endpoint?.text).to.equal(home);
    expect(b.counted('tunnels.roam_not_allowed')).to.equal(1);
  });

  it('ignores reports about tunnels of the past', () => {
    const { world, a, b } = connected(403);
    const { slot, generation } = b.control.primary(a.vpnAddress)!;
    b.control.onRoam(world.now, slot, generation + 2, ep('203.0.113.1:1'));
    b.control.onClose(world.now, slot, generation - 2);
    b.control.onClose(world.now, slot + 1, generation);
    expect(b.control.drain()).to.deep.equal([]);
    expect(b.control.primary(a.vpnAddress)?.endpoint?.text).to.equal(a.endpoint.text);
  });

  it('a node behind a NAT keeps its tunnel when the NAT is rebound', () => {
    const world = new World(404);
    const nat = new Nat(ep('203.0.113.1:31000'));
    const a = world.addNode('alpha', { nat, endpoint: ep('192.168.1.2:4242') });
    const b = world.addNode('beta');
    a.addStaticHost(b.vpnAddress, b.endpoint);
    world.ping(a, b);
    world.run(100);
    world.ping(b, a, 'one');
    world.run(100);
    nat.rebind(ep('203.0.113.1:32000'));
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
    const world = new World(405);
    const a = world.addNode('alpha', { settings, lighthouses: [ip('10.42.0.3')] });
    const b = world.addNode('beta');
    world.addNode('lighthouse');
    world.introduceAll();
    world.ping(a, b);
    world.run(200);
    const wan = b.endpoint;
    a.remotes.report(b.vpnAddress, b.vpnAddress, [ep('192.168.7.7:4242'), wan], []);
    world.runWith(6000, 50, () => world.ping(a, b));
    expect(world.network.sent.some(({ to }) => to.text === '192.168.7.7:4242')).to.equal(true);
    expect(a.control.primary(b.vpnAddress)?.endpoint?.text).to.equal(wan.text);
    b.endpoint = ep('192.168.7.7:4242');
    world.ping(b, a);
    world.run(100);
    expect(a.control.primary(b.vpnAddress)?.endpoint?.text).to.equal('192.168.7.7:4242');
    world.runWith(12_000, 50, () => world.ping(a, b));
    expect(a.counted('lighthouse.tx.HostQuery')).to.equal(2);
  });
});

describe('simulation: recv_error', () => {
  it('is not believed from another address, nor for an unknown index', () => {
    const { world, a, b } = connected(500);
    world.run(6000);
    const { remoteIndex } = a.control.primary(b.vpnAddress)!;
    a.control.onRecvError(world.now, remoteIndex, ep('198.51.100.1:4242'));
    a.control.onRecvError(world.now, remoteIndex + 1, b.endpoint);
    a.settle(world.now);
    expect(tunnelCount(a)).to.equal(1);
    expect(a.counted('recv_errors.spoofed')).to.equal(1);
    expect(a.logs('Someone spoofing recv_errors?')).to.have.length(1);
    a.control.onRecvError(world.now, remoteIndex, b.endpoint);
    a.settle(world.now);
    expect(a.control.pending()).to.have.length(1);
  });

  it('is obeyed according to listen.accept_recv_error', () => {
    for (const [acceptRecvError, endpoint, isHeard] of [
      ['never', '192.0.2.2:4242', false],
      ['private', '192.0.2.2:4242', false],
      ['private', '10.1.2.3:4242', true],
      ['private', '[fd00::1]:4242', true],
      ['always', '192.0.2.2:4242', true],
    ] as const) {
      const { world, a, b } = connected(501, { settings: { acceptRecvError } }, { endpoint: ep(endpoint) });
      a.control.onRecvError(world.now, a.control.primary(b.vpnAddress)!.remoteIndex, b.endpoint);
      a.settle(world.now);
      expect(a.control.pending().length, `${acceptRecvError} ${endpoint}`).to.equal(isHeard ? 1 : 0);
      expect(tunnelCount(a), 'the tunnel stays for now').to.equal(1);
    }
  });

  it('of an initiator that has not read the answer yet does not cost it the tunnel, nor us a packet', () => {
    const quality = { loss: 0, duplication: 0, delayMsMin: 10, delayMsMax: 10 };
    const { world, a, b } = pair(502, { complainsAboutEarlyPackets: true }, {}, quality);
    world.ping(a, b);
    world.run(10);
    const remoteIndex = b.machine.tables.tunnels.remoteIndex(0);
    world.ping(b, a, 'before the answer');
    b.onDatagram(world.now, headerBytes(MessageType.RecvError, 0, remoteIndex, 0), a.endpoint);
    expect(b.counted('recv_errors.ignored')).to.equal(1);
    world.run(100);
    expect([tunnelCount(a), tunnelCount(b)]).to.deep.equal([1, 1]);
    world.ping(b, a, 'later');
    world.run(100);
    expect(a.delivered.map(({ text }) => text)).to.deep.equal(['before the answer', 'later']);
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
    expect(a.counted('recv_errors.reconnected')).to.equal(1);
    expect(b.delivered.find((delivery) => delivery.atMs > restartedMs)?.atMs).to.be.below(restartedMs + 800);
  });
});
