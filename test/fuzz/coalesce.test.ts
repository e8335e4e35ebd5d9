/** Spoilt packets of a few flows in random batches: all come out, unchanged, each flow in order, super-packets valid. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { plainMemory } from '../../src/shared/ip/packetMemory.ts';
import { Coalescer } from '../../src/worker/offload/coalesce.ts';
import { buildPacket, cutPacket, get16, put16, randomPlan } from '../support/innerPackets.ts';
import { RecordingSink } from '../support/packetSinks.ts';
import { Random } from '../support/random.ts';
import { fuzzRuns, fuzzSeed, spoil } from './fuzzing.ts';

const BatchPackets = 48;

describe('coalescing, fuzzed', () => {
  it(`keeps every packet and every order in ${fuzzRuns} packets of seed ${fuzzSeed}`, () => {
    const random = new Random(fuzzSeed);
    const bytes = new Uint8Array(1 << 18);
    const streams = Array.from({ length: 60 }, () => randomStream(random));
    let joinedCount = 0;
    for (let done = 0; done < fuzzRuns; done += BatchPackets) {
      const batch = randomBatch(random, streams);
      const sink = new RecordingSink(bytes);
      const coalescer = new Coalescer(plainMemory(bytes), sink, {
        capacity: BatchPackets,
        joinsTcp: true,
        joinsUdp: true,
      });
      const first = random.u32();
      let at = random.below(64);
      const arrivals = batch.map((packet, index) => {
        const offset = at;
        bytes.set(packet, offset);
        at += packet.length + random.below(64);
        return { offset, length: packet.length, counter: first + index };
      });
      // They arrive in another order than they were sent in; counters may pass 2^32.
      for (const { offset, length, counter } of random.bool() ? shuffle(random, arrivals) : arrivals) {
        coalescer.add(offset, length, 1, Math.floor(counter / 2 ** 32), counter >>> 0);
      }
      coalescer.flush();
      expect(sink.faults).to.deep.equal([]);
      const delivered = byFlow(sink.packets);
      const sent = byFlow(batch);
      if (JSON.stringify([...delivered].sort()) !== JSON.stringify([...sent].sort())) {
        expect(Object.fromEntries(delivered), `batch at ${done}`).to.deep.equal(Object.fromEntries(sent));
      }
      joinedCount += sink.packets.length - sink.writes.length;
    }
    expect(joinedCount).to.be.greaterThan(fuzzRuns / 20);
  }).timeout(120_000);
});

/** A flow's packets: a stream cut evenly, as bulk traffic is. */
function randomStream(random: Random): Uint8Array[] {
  const plan = { ...randomPlan(random, 100), payload: random.bytes(1 + random.below(4000)), flags: 0x10 };
  return cutPacket(buildPacket(plan), 50 + random.below(300));
}

/** Runs of some streams, interleaved; a quarter of the packets spoilt or cut short. */
function randomBatch(random: Random, streams: readonly Uint8Array[][]): Uint8Array[] {
  const chosen = [random.pick(streams), random.pick(streams), random.pick(streams)].map((stream) => stream.values());
  const batch: Uint8Array[] = [];
  for (let attempt = 0; attempt < 4 * BatchPackets && batch.length < BatchPackets; attempt++) {
    const next = random.pick(chosen).next();
    if (next.done !== true) {
      const packet = next.value.slice(0, random.below(30) === 0 ? random.below(next.value.length) : undefined);
      if (random.below(4) === 0) {
        spoil(random, packet);
      }
      batch.push(packet);
    }
  }
  return batch;
}

function shuffle<T>(random: Random, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, key: random.u32() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** Packets by what would be addresses, protocol and ports, each flow in order. */
function byFlow(packets: readonly Uint8Array[]): Map<string, string[]> {
  const flows = new Map<string, string[]>();
  for (const packet of packets) {
    const isIpv4 = packet.length > 0 && packet[0] >> 4 === 4;
    const key = Buffer.from(isIpv4 ? packet.subarray(9, 24) : packet.subarray(6, 44));
    // Byte 10 and 11 of IPv4 are the header's checksum, byte 7 of IPv6 the hop limit.
    key.fill(0, Math.min(1, key.length), Math.min(isIpv4 ? 3 : 2, key.length));
    const flow = flows.get(key.toString('hex')) ?? [];
    flow.push(Buffer.from(withoutId(packet)).toString('hex'));
    flows.set(key.toString('hex'), flow);
  }
  return flows;
}

/** Where fragmenting is forbidden the IPv4 id says nothing and need not survive (RFC 6864): it is set to 0. */
function withoutId(packet: Uint8Array): Uint8Array {
  if (packet.length < 20 || packet[0] !== 0x45 || (packet[6] & 0x40) === 0) {
    return packet;
  }
  const copy = packet.slice();
  const id = get16(copy, 4);
  const checksum = 0xffff - get16(copy, 10) + (0xffff - id);
  put16(copy, 4, 0);
  put16(copy, 10, 0xffff - ((checksum % 65536) + (checksum >> 16)));
  return copy;
}
