import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { METRIC } from '../../src/shared/memory/metrics.ts';
import { TrafficCell, TunnelTrafficColumn } from '../../src/shared/memory/tunnelTraffic.ts';
import { MONOTONIC_OFFSET_MS } from '../../src/shared/sys/clock.ts';
import { SEAL_OVERHEAD_BYTES } from '../../src/shared/tunnel/seal.ts';
import { MessageType, Subtype } from '../../src/shared/wire/header.ts';
import { ipv4, udp } from '../shared/firewall/packets.ts';
import { makeCa, makeHost, prefixes } from '../support/certificates.ts';
import { connect, MemoryWorker, type MemoryWorkerOptions } from '../support/memoryWorker.ts';
import { Random } from '../support/random.ts';
import { firewallSettings, workerSettings } from '../support/workerSettings.ts';

const LEFT = '10.1.0.1';
const RIGHT = '10.1.0.2';
const PACKET = ipv4({ source: LEFT, destination: RIGHT, protocol: 17, payload: udp(4000, 7) });

function workers(options: Partial<MemoryWorkerOptions> = {}): [MemoryWorker, MemoryWorker] {
  const random = new Random(13);
  const ca = makeCa(random);
  const [left, right] = [LEFT, RIGHT].map((address) =>
    makeHost(random, ca, { networks: prefixes(`${address}/16`), groups: ['clients'] }),
  );
  return [
    new MemoryWorker({ host: left, underlay: '192.0.2.1', peerUnderlay: '192.0.2.2' }),
    new MemoryWorker({ host: right, underlay: '192.0.2.2', peerUnderlay: '192.0.2.1', ...options }),
  ];
}

describe('data plane', () => {
  let left: MemoryWorker;
  let right: MemoryWorker;

  beforeEach(() => {
    [left, right] = workers();
    connect(left, right, 0);
  });

  /** Left sends a packet, right receives it; how many have arrived. */
  function exchange(packet = PACKET): number {
    left.tun.send(packet);
    left.turn();
    left.udp.transfer(right.udp);
    right.turn();
    return right.tun.written.length;
  }

  it('goes by new settings as soon as the primary sends them, with the flows that it knows', () => {
    expect(exchange()).to.equal(1);
    const inbound = [{ port: 8, proto: 'udp', host: 'any' }];
    const firewall = { ...firewallSettings({ inbound }), rulesVersion: 2 };
    right.tell({ type: 'settings', settings: workerSettings(right.host, { firewall }) });
    expect(exchange(), 'a flow that the new rules refuse').to.equal(1);
    expect(exchange(ipv4({ source: LEFT, destination: RIGHT, protocol: 17, payload: udp(1, 8) }))).to.equal(2);
  });

  it('counts by tunnel what it sends and what is authentic, and notes when a test was answered', () => {
    const [mine, peers] = [left, right].map(({ tables }) => new TunnelTrafficColumn(tables.traffic[0], 0));
    exchange();
    const bytes = PACKET.length + SEAL_OVERHEAD_BYTES;
    expect([mine.at(0, TrafficCell.SentPackets), mine.at(0, TrafficCell.SentBytes)]).to.deep.equal([1, bytes]);
    expect([peers.at(0, TrafficCell.ReceivedPackets), peers.at(0, TrafficCell.ReceivedBytes)]).to.deep.equal([
      1,
      bytes,
    ]);
    expect(peers.at(0, TrafficCell.AnswerMs)).to.equal(0);
    const { sender, contexts } = left.parts;
    sender.send(contexts.at(0)!, MessageType.Test, Subtype.TestReply, 0, 0, 0);
    left.turn();
    left.udp.transfer(right.udp);
    right.turn(77_000);
    expect(peers.at(0, TrafficCell.AnswerMs)).to.equal(77_000 + MONOTONIC_OFFSET_MS);
    expect(peers.at(0, TrafficCell.ReceivedPackets)).to.equal(2);
  });

  it('takes names of authorities from new settings, as from the first', () => {
    const { issuer } = right.host.certificate;
    const inbound = [{ port: 'any', proto: 'any', ca_name: 'testers' }];
    const named = (name: string): void => {
      const settings = workerSettings(right.host, {
        firewall: { ...firewallSettings({ inbound }), rulesVersion: 3 },
        caNames: new Map([[issuer, name]]),
      });
      right.tell({ type: 'settings', settings });
    };
    named('others');
    expect(exchange()).to.equal(0);
    named('testers');
    expect(exchange()).to.equal(1);
  });

  it('wipes what it has derived from a tunnel when the primary says that it is closed', () => {
    exchange();
    const context = right.parts.contexts.at(0);
    right.tell({ type: 'tunnelsClosed', slots: [0] });
    const renewed = right.parts.contexts.at(0);
    expect(renewed).to.not.equal(context);
    expect(() => context?.sendKey.seal(0, 16, 16, 0, 16, 0, 9)).to.throw('destroyed');
    expect(exchange()).to.equal(2);
  });

  it('marks its turns in the memory that it shares', () => {
    const { turns } = right.tables;
    const before = turns.turn(0);
    right.plane.begin(1000, 1);
    expect(turns.turn(0) & 1).to.equal(1);
    right.plane.end();
    expect([turns.turn(0) & 1, turns.turn(0) > before]).to.deep.equal([0, true]);
    const idle = turns.turn(0);
    right.plane.beat();
    expect(turns.turn(0)).to.equal(idle + 2);
  });

  it('hands out the errno of a broken port, and ends its turn', () => {
    right.udp.receive = () => -9;
    right.tun.receive = () => -77;
    right.udp.flush = () => -9;
    right.plane.begin(1000, 1);
    expect([right.plane.receive(), right.plane.send(), right.plane.end()]).to.deep.equal([-9, -77, -9]);
    expect(right.tables.turns.turn(0) & 1).to.equal(0);
  });

  it('answers pings to a node without a device, and delivers nothing', () => {
    [left, right] = workers({ hasDevice: false });
    connect(left, right, 0);
    const ping = ipv4({
      source: LEFT,
      destination: RIGHT,
      protocol: 1,
      payload: Uint8Array.of(8, 0, 0, 0, 0, 1, 0, 2),
    });
    expect(exchange(ping)).to.equal(0);
    right.udp.transfer(left.udp);
    left.turn();
    const [answer] = left.tun.written;
    expect([...answer.subarray(12, 21)]).to.deep.equal([10, 1, 0, 2, 10, 1, 0, 1, 0]);
    expect(right.metrics[METRIC['tun.tx.packets']]).to.equal(0);
  });
});
