import { expect } from 'chai';
import { describe, it } from 'mocha';
import { METRIC } from '../../../src/shared/memory/metrics.ts';
import { Proof } from '../../../src/shared/memory/tunnelTable.ts';
import { MessageType, Subtype } from '../../../src/shared/wire/header.ts';
import { ipv4, udp } from '../../shared/firewall/packets.ts';
import { makeCa, makeHost, prefixes } from '../../support/certificates.ts';
import { connect, MemoryWorker, type MemoryWorkerOptions } from '../../support/memoryWorker.ts';
import { Random } from '../../support/random.ts';

const LEFT = '10.1.0.1';
const RIGHT = '10.1.0.2';

function planes(options: Partial<MemoryWorkerOptions> = {}): [MemoryWorker, MemoryWorker] {
  const random = new Random(12);
  const ca = makeCa(random);
  const left = makeHost(random, ca, { networks: prefixes(`${LEFT}/16`) });
  const right = makeHost(random, ca, { networks: prefixes(`${RIGHT}/16`) });
  return [
    new MemoryWorker({ host: left, underlay: '192.0.2.1', peerUnderlay: '192.0.2.2', ...options }),
    new MemoryWorker({ host: right, underlay: '192.0.2.2', peerUnderlay: '192.0.2.1', ...options }),
  ];
}

describe('data path, a tunnel that is not confirmed', () => {
  it('has its packets reported, also those from its endpoint, until it is; none has to wait', () => {
    const [left, right] = planes();
    connect(left, right, 0);
    right.tables.tunnels.wantProof(0, Proof.Packet);
    const payload = udp(4000, 7, 20);
    const packet = ipv4({ source: LEFT, destination: RIGHT, protocol: 17, payload });
    const turn = (nowMs: number): number => {
      left.tun.send(packet);
      left.turn(nowMs);
      left.udp.transfer(right.udp);
      right.turn(nowMs);
      return right.reported.filter((punt) => punt.kind === 'roam').length;
    };
    expect([1000, 1010, 1249, 1250, 1260].map(turn)).to.deep.equal([1, 1, 1, 2, 2]);
    expect(right.reported[0]).to.deep.include({ kind: 'roam', slot: 0, port: 4242 });
    right.tables.tunnels.wantProof(0, Proof.None);
    expect([2000, 3000].map(turn)).to.deep.equal([2, 2]);
    expect(right.tun.written).to.have.length(7);
    expect(right.parts.contexts.at(0)?.wantedProof).to.equal(Proof.None);
  });

  it('is not proved to an initiator by a test request, which is answered nevertheless, but by anything else', () => {
    const [left, right] = planes();
    connect(left, right, 0);
    right.tables.tunnels.wantProof(0, Proof.Answer);
    const send = (type: number, subtype: number): string[] => {
      left.parts.sender.send(left.parts.contexts.at(0)!, type, subtype, 0, left.parts.arena.allocate(64, 8), 0);
      left.turn();
      left.udp.transfer(right.udp);
      right.turn();
      return right.reported.map(({ kind }) => kind);
    };
    expect(send(MessageType.Test, Subtype.TestRequest)).to.deep.equal([]);
    right.udp.transfer(left.udp);
    left.turn();
    expect(left.metrics[METRIC['messages.rx.test_response']]).to.equal(1);
    expect(send(MessageType.Test, Subtype.TestReply)).to.deep.equal(['roam']);
  });

  it('keeps its lighthouse messages until its host is entered, and no longer', () => {
    const [left, right] = planes();
    const { arena, sender, contexts } = left.parts;
    const send = (slot: number, length: number, nowMs: number): void => {
      sender.send(contexts.at(slot)!, MessageType.Lighthouse, 0, 0, arena.allocate(length, 8), length);
      left.turn(nowMs);
      left.udp.transfer(right.udp);
      right.turn(nowMs);
    };
    const handled = (): [number, number][] =>
      right.reported.flatMap((punt) => (punt.kind === 'lighthouse' ? [[punt.slot, punt.body.length]] : []));
    for (const slot of [0, 1, 2]) {
      connect(left, right, slot);
      right.tables.tunnels.wantProof(slot, Proof.Packet);
    }
    for (const length of [10, 11, 12, 13]) {
      send(0, length, 1000);
    }
    send(1, 20, 1000);
    send(2, 30, 1000);
    right.tell({ type: 'hostUp', addresses: [] }, 1001);
    expect(handled()).to.deep.equal([]);
    right.tables.tunnels.wantProof(0, Proof.None);
    right.tables.tunnels.clear(1, 2);
    right.tell({ type: 'hostUp', addresses: [] }, 1100);
    expect(handled()).to.deep.equal([10, 11, 12, 13].map((length) => [0, length]));
    send(0, 14, 1100);
    right.tables.tunnels.wantProof(2, Proof.None);
    right.tell({ type: 'hostUp', addresses: [] }, 3001);
    expect(handled().slice(4)).to.deep.equal([[0, 14]]);
  });
});
