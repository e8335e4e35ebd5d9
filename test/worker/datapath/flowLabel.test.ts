/** Flow labels: never zero, the same for one flow, spread over workers, unlike under another key. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { PacketTuple, parsePacket } from '../../../src/shared/ip/packetTuple.ts';
import { FLOW_KEY_BYTES } from '../../../src/shared/ipc/messages.ts';
import { FlowLabel } from '../../../src/worker/datapath/flowLabel.ts';
import { buildPacket, type PacketPlan } from '../../support/innerPackets.ts';
import { Random } from '../../support/random.ts';

const key = new Random(7).bytes(FLOW_KEY_BYTES);

describe('FlowLabel', () => {
  it('is the same for every packet of a flow, and within 1..0xffff', () => {
    const labels = new FlowLabel(key);
    const random = new Random(8);
    for (let flow = 0; flow < 2000; flow++) {
      const plan: PacketPlan = {
        version: random.pick([4, 6]),
        protocol: random.pick(['tcp', 'udp']),
        payload: new Uint8Array(0),
        sourcePort: random.below(65536),
      };
      const label = labels.of(tupleOf(plan));
      expect(label).to.be.within(1, 0xffff);
      expect(labels.of(tupleOf({ ...plan, payload: random.bytes(50), sequence: random.u32(), id: 9 }))).to.equal(label);
    }
  });

  it('is never zero, whatever the hash', () => {
    const labels = new FlowLabel(key);
    const tuple = tupleOf({ version: 4, protocol: 'udp', payload: new Uint8Array(0) });
    const seen = new Set<number>();
    for (let port = 0; port < 200_000; port++) {
      tuple.localPort = port & 0xffff;
      tuple.remotePort = port >>> 16;
      seen.add(labels.of(tuple));
    }
    expect(seen.has(0)).to.equal(false);
    expect(seen.size).to.be.greaterThan(60_000);
  });

  it('spreads flows evenly over 2, 3, 4 and 8 workers', () => {
    const labels = new FlowLabel(key);
    for (const workers of [2, 3, 4, 8]) {
      const counts = new Array<number>(workers).fill(0);
      for (let port = 0; port < 8000; port++) {
        const plan: PacketPlan = { version: 4, protocol: 'tcp', payload: new Uint8Array(0), sourcePort: 32768 + port };
        counts[labels.of(tupleOf(plan)) % workers]++;
      }
      for (const count of counts) {
        expect(count).to.be.within((8000 / workers) * 0.85, (8000 / workers) * 1.15);
      }
    }
  });

  it('depends on each part of the flow and on the key', () => {
    const plans: PacketPlan[] = [
      { version: 4, protocol: 'tcp', payload: new Uint8Array(0) },
      { version: 4, protocol: 'udp', payload: new Uint8Array(0), destinationPort: 443 },
      { version: 4, protocol: 'tcp', payload: new Uint8Array(0), sourcePort: 40001 },
      { version: 4, protocol: 'tcp', payload: new Uint8Array(0), destinationPort: 444 },
      { version: 4, protocol: 'tcp', payload: new Uint8Array(0), hosts: [1, 3] },
      { version: 4, protocol: 'tcp', payload: new Uint8Array(0), hosts: [3, 2] },
      { version: 6, protocol: 'tcp', payload: new Uint8Array(0) },
      { version: 6, protocol: 'tcp', payload: new Uint8Array(0), hosts: [1, 3] },
    ];
    const labels = new FlowLabel(key);
    const other = new FlowLabel(new Random(9).bytes(FLOW_KEY_BYTES));
    expect(new Set(plans.map((plan) => labels.of(tupleOf(plan)))).size).to.equal(plans.length);
    expect(plans.filter((plan) => other.of(tupleOf(plan)) === labels.of(tupleOf(plan)))).to.deep.equal([]);
  });

  it('wants a whole key', () => {
    expect(() => new FlowLabel(new Uint8Array(8))).to.throw(RangeError, /16 bytes/);
  });
});

function tupleOf(plan: PacketPlan): PacketTuple {
  const packet = buildPacket(plan);
  const tuple = new PacketTuple();
  parsePacket(packet, new DataView(packet.buffer), 0, packet.length, false, tuple);
  return tuple;
}
