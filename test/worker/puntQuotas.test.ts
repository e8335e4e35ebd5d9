import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Punt } from '../../src/shared/ipc/messages.ts';
import { METRIC, type MetricName } from '../../src/shared/memory/metrics.ts';
import { MessageType, Subtype } from '../../src/shared/wire/header.ts';
import { ipv4, udp } from '../shared/firewall/packets.ts';
import { makeCa, makeHost, prefixes } from '../support/certificates.ts';
import { connect, MemoryWorker } from '../support/memoryWorker.ts';
import { Random } from '../support/random.ts';
import { liveHeapBytes } from './heap.ts';

const [HOSTILE, VICTIM, OTHER] = ['10.1.0.1', '10.1.0.2', '10.1.0.3'];
/** Two tunnels on one node need names of their own. */
const OTHER_TUNNEL = { indexes: [3000, 4000], lastCounter: 2, cipher: 0 } as const;

function planes(): { hostile: MemoryWorker; victim: MemoryWorker; other: MemoryWorker } {
  const random = new Random(12);
  const ca = makeCa(random);
  const plane = (address: string, underlay: string, peerUnderlay: string): MemoryWorker =>
    new MemoryWorker({ host: makeHost(random, ca, { networks: prefixes(`${address}/16`) }), underlay, peerUnderlay });
  const hostile = plane(HOSTILE, '192.0.2.1', '192.0.2.2');
  const victim = plane(VICTIM, '192.0.2.2', '192.0.2.1');
  const other = plane(OTHER, '192.0.2.3', '192.0.2.2');
  connect(hostile, victim, 0);
  connect(other, victim, 1, OTHER_TUNNEL);
  return { hostile, victim, other };
}

function count(plane: MemoryWorker, name: MetricName): number {
  return plane.metrics[METRIC[name]];
}

function kinds(punts: readonly Punt[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of punts) {
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** `sender` seals messages for its one tunnel, and the victim receives them from this endpoint. */
function attack(
  sender: MemoryWorker,
  slot: number,
  victim: MemoryWorker,
  type: MessageType,
  n: number,
  port: number,
): void {
  const context = sender.parts.contexts.at(slot);
  for (let each = 0; context !== null && each < n; each++) {
    sender.parts.sender.send(context, type, type === MessageType.Test ? Subtype.TestRequest : 0, 0, 4096, 1000);
  }
  victim.udp.setSource('198.51.100.9', port);
  sender.udp.transfer(victim.udp);
}

describe('punt quotas', function () {
  this.timeout(60_000);

  it('bound what a certified peer may ask from changing ports, in punts and in memory, and leave others theirs', () => {
    const { hostile, victim, other } = planes();
    const requests = 200_000;
    let heapBytes = 0;
    for (let sent = 0, nowMs = 1000; sent < requests; sent += 64, nowMs++) {
      attack(hostile, 0, victim, MessageType.Test, 64, 1024 + (nowMs % 60_000));
      victim.turn(nowMs);
      if (sent === 64 * 300) {
        heapBytes = liveHeapBytes();
      }
    }
    const grownBytes = liveHeapBytes() - heapBytes;
    const seconds = requests / 64 / 1000;
    const { test, roam } = kinds(victim.reported);
    expect(count(victim, 'messages.rx.test_request')).to.be.at.least(requests);
    expect(test).to.be.within(20, 20 + seconds * 10 + 1);
    expect(roam).to.be.within(1, seconds * 4 + 1);
    expect(count(victim, 'punts.limited.test')).to.equal(count(victim, 'messages.rx.test_request') - test);
    expect(grownBytes, 'bytes').to.be.below(8 << 20);
    victim.reported.length = 0;
    attack(other, 1, victim, MessageType.Test, 5, 7777);
    victim.turn(1000 + requests / 64);
    expect(kinds(victim.reported)).to.deep.equal({ roam: 1, test: 5 });
  });

  for (const [type, kind, burst] of [
    [MessageType.Lighthouse, 'lighthouse', 1000],
    [MessageType.CloseTunnel, 'close', 4],
  ] as const) {
    it(`bound messages of kind ${kind}`, () => {
      const { hostile, victim, other } = planes();
      for (let sent = 0; sent < 6400; sent += 64) {
        attack(hostile, 0, victim, type, 64, 4242);
        victim.turn(5000);
      }
      expect(kinds(victim.reported)[kind]).to.equal(burst);
      expect(count(victim, `punts.limited.${kind}`)).to.equal(6400 - burst);
      attack(other, 1, victim, type, 3, 4242);
      victim.turn(5000);
      expect(kinds(victim.reported)[kind]).to.equal(burst + 3);
    });
  }

  it('bound reports of one host that packets wait for; what is not reported does not wait', () => {
    const { victim } = planes();
    const packet = ipv4({ source: VICTIM, destination: '10.1.0.77', protocol: 17, payload: udp(1, 2) });
    for (let round = 0; round < 100; round++) {
      victim.tun.send(packet);
      victim.turn(9000);
      // The handshake fails at once, and the next packet asks again.
      victim.tell({ type: 'hostFailed', address: mapped(77) });
    }
    expect(kinds(victim.reported)).to.deep.equal({ miss: 8 });
    expect(count(victim, 'punts.limited.miss')).to.equal(92);
    expect(count(victim, 'drop.tx.waiting_full')).to.equal(92);
    victim.tun.send(packet);
    victim.turn(9500);
    expect(kinds(victim.reported)).to.deep.equal({ miss: 9 });
    victim.tun.send(ipv4({ source: VICTIM, destination: '10.1.0.78', protocol: 17, payload: udp(1, 2) }));
    victim.turn(9500);
    expect(kinds(victim.reported)).to.deep.equal({ miss: 10 });
  });
});

function mapped(last: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 0, last);
}
