/** Joining received packets: nothing lost, nothing changed, nothing reordered inside a flow, and joined where possible. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { plainMemory } from '../../../src/shared/ip/packetMemory.ts';
import { Coalescer, type CoalescerOptions } from '../../../src/worker/offload/coalesce.ts';
import { Segmenter } from '../../../src/worker/offload/segment.ts';
import { GsoType, VirtioFlag } from '../../../src/worker/ports/virtio.ts';
import {
  buildPacket,
  cutPacket,
  fixChecksums,
  leavePartialChecksum,
  type PacketPlan,
  put16,
  tcpFlag,
  transportStart,
} from '../../support/innerPackets.ts';
import { RecordingSink } from '../../support/packetSinks.ts';
import { Random } from '../../support/random.ts';

const { ack, psh, fin, syn, ece, cwr, urg, rst } = tcpFlag;
const options: CoalescerOptions = { capacity: 512, joinsTcp: true, joinsUdp: true };

interface Arrival {
  readonly packet: Uint8Array;
  readonly tunnel?: number;
  readonly counter?: number;
}

describe('Coalescer', () => {
  for (const version of [4, 6] as const) {
    it(`joins a TCP stream over IPv${version} into one write`, () => {
      const stream = cutPacket(buildPacket({ ...tcp(9000), version }), 1000);
      expect(join(stream).writes).to.deep.equal([9]);
    });

    it(`joins UDP datagrams over IPv${version} into one write`, () => {
      const stream = cutPacket(buildPacket({ ...udp(8500), version }), 1000);
      expect(join(stream).writes).to.deep.equal([9]);
    });
  }

  it('is the inverse of segmentation', () => {
    const random = new Random(31);
    for (let round = 0; round < 150; round++) {
      const plan: PacketPlan = {
        version: random.pick([4, 6]),
        protocol: random.pick(['tcp', 'udp']),
        payload: random.bytes(1 + random.below(20000)),
        flags: ack | random.pick([0, psh, ece]),
        options: random.bytes(random.pick([0, 12])),
        dontFragment: random.bool(),
        id: random.below(65536),
        sequence: random.pick([0xfffffff0, random.u32()]),
      };
      const packet = buildPacket(plan);
      const size = Math.max(random.pick([536, 1248]), Math.ceil(plan.payload.length / 64));
      const sink = join(segment(packet, plan, size));
      expect(sink.writes).to.deep.equal([Math.ceil(plan.payload.length / size)]);
      expect(sink.packets.map(hex)).to.deep.equal(cutPacket(packet, size).map(hex));
    }
  });

  it('delivers every packet unchanged and every flow in order, whatever arrives', () => {
    const random = new Random(32);
    for (let round = 0; round < 150; round++) {
      const sent = randomTraffic(random);
      const sink = join(sent);
      expect(sink.packets).to.have.length(sent.length);
      for (let flow = 0; flow < FlowCount; flow++) {
        expect(ofFlow(sink.packets, flow)).to.deep.equal(ofFlow(sent, flow));
      }
    }
  }).timeout(20_000);

  it('puts a shuffled batch back into the order of its counters', () => {
    const random = new Random(33);
    const stream = cutPacket(buildPacket({ ...tcp(30000), flags: ack }), 1000);
    const shuffled = stream
      .map((packet, index): Arrival => ({ packet, counter: index + 5 }))
      .sort(() => (random.bool() ? 1 : -1));
    const sink = deliver(shuffled);
    expect(sink.writes).to.deep.equal([30]);
    expect(sink.packets.map(hex)).to.deep.equal(stream.map(hex));
  });

  it('delivers an older tunnel before a newer one, whatever their counters', () => {
    const stream = cutPacket(buildPacket(tcp(4000)), 1000);
    const arrivals: Arrival[] = [
      { packet: stream[2], tunnel: 8, counter: 3 },
      { packet: stream[3], tunnel: 8, counter: 4 },
      { packet: stream[1], tunnel: 7, counter: 901 },
      { packet: stream[0], tunnel: 7, counter: 900 },
    ];
    expect(deliver(arrivals).packets.map(hex)).to.deep.equal(stream.map(hex));
  });

  it('never lets data overtake a pure ACK, SYN, FIN, RST, URG or CWR of its flow', () => {
    for (const flags of [ack, syn, ack | fin, rst, ack | urg, ack | cwr]) {
      const stream = cutPacket(buildPacket(tcp(4000)), 1000);
      const odd = buildPacket({ ...tcp(flags === ack ? 0 : 10), flags, sequence: 3000 });
      const sent = [stream[0], stream[1], odd, stream[2], stream[3]];
      const sink = join(sent);
      expect(sink.writes).to.deep.equal([2, 1, 2]);
      expect(sink.packets.map(hex)).to.deep.equal(sent.map(hex));
    }
  });

  it('lets nothing overtake a fragment', () => {
    const stream = cutPacket(buildPacket(tcp(4000)), 1000);
    const fragment = buildPacket(udp(100));
    put16(fragment, 6, 0x2000);
    fixChecksums(fragment);
    const sink = join([stream[0], stream[1], fragment, stream[2], stream[3]]);
    expect(sink.writes).to.deep.equal([2, 1, 2]);
  });

  it('joins across foreign packets and other flows', () => {
    const a = cutPacket(buildPacket(tcp(3000)), 1000);
    const b = cutPacket(buildPacket({ ...tcp(3000), sourcePort: 1234 }), 1000);
    const ping = buildPacket(udp(8));
    ping[9] = 1;
    fixChecksums(ping);
    expect(join([a[0], b[0], ping, a[1], b[1], a[2], b[2]]).writes).to.deep.equal([3, 3, 1]);
  });

  it('ends a super-packet with PSH or a shorter payload', () => {
    const stream = cutPacket(buildPacket(tcp(4000)), 1000);
    stream[1][33] |= psh;
    fixChecksums(stream[1]);
    expect(join(stream).writes).to.deep.equal([2, 2]);
    const uneven = [
      buildPacket({ ...tcp(1000), sequence: 0 }),
      buildPacket({ ...tcp(400), sequence: 1000 }),
      buildPacket({ ...tcp(1000), sequence: 1400 }),
      buildPacket({ ...tcp(1100), sequence: 2400 }),
    ];
    expect(join(uneven).writes).to.deep.equal([2, 1, 1]);
    expect(
      join([...cutPacket(buildPacket(tcp(1000)), 1000), ...cutPacket(buildPacket(udp(1000)), 400)]).writes,
    ).to.deep.equal([1, 3]);
  });

  it('joins no packet whose headers differ', () => {
    const base: PacketPlan = { ...tcp(1000), sequence: 0 };
    const next: PacketPlan = { ...base, sequence: 1000 };
    const others: PacketPlan[] = [
      { ...next, trafficClass: 3 },
      { ...next, hopLimit: 63 },
      { ...next, acknowledgement: 78 },
      { ...next, window: 513 },
      { ...next, flags: ack | ece },
      { ...next, dontFragment: false },
      { ...next, options: new Uint8Array(12) },
      { ...next, sequence: 1001 },
      { ...next, sequence: 0 },
    ];
    expect(join([buildPacket(base), buildPacket(next)]).writes).to.deep.equal([2]);
    for (const other of others) {
      expect(join([buildPacket(base), buildPacket(other)]).writes, JSON.stringify(other)).to.deep.equal([1, 1]);
    }
  });

  it('wants consecutive ids where fragmenting is allowed, and ignores them otherwise', () => {
    const pair = (dontFragment: boolean, second: number): number[] =>
      join([
        buildPacket({ ...tcp(100), sequence: 0, dontFragment, id: 65535 }),
        buildPacket({ ...tcp(100), sequence: 100, dontFragment, id: second }),
      ]).writes;
    expect(pair(false, 0)).to.deep.equal([2]);
    expect(pair(false, 5)).to.deep.equal([1, 1]);
    expect(pair(true, 5)).to.deep.equal([2]);
  });

  it('joins no packet whose checksum is wrong, and passes it on as it is', () => {
    const random = new Random(34);
    for (const plan of [tcp(5000), udp(5000), { ...tcp(5000), version: 6 as const }]) {
      for (let broken = 0; broken < 5; broken++) {
        const stream = cutPacket(buildPacket(plan), 1000);
        const at = transportStart(stream[0]) + random.below(900);
        // Fields that decide about joining are left alone: only the checksum may notice.
        stream[broken][at < 60 ? 500 : at] ^= 1 << random.below(8);
        const sink = join(stream);
        expect(sink.packets.map(hex)).to.deep.equal(stream.map(hex));
        expect(sink.writes.length).to.be.greaterThan(1);
      }
    }
    const badHeader = cutPacket(buildPacket(tcp(2000)), 1000);
    badHeader[1][10] ^= 1;
    expect(join(badHeader).writes).to.deep.equal([1, 1]);
  });

  it('passes empty and checksum-less datagrams, and lies about lengths, as they are', () => {
    const empty = buildPacket(udp(0));
    expect(join([empty, empty, empty]).writes).to.deep.equal([1, 1, 1]);
    const bare = buildPacket(udp(100));
    put16(bare, 26, 0);
    expect(join([bare, bare]).writes).to.deep.equal([1, 1]);
    const long = buildPacket(udp(100));
    put16(long, 24, 200);
    expect(join([long, long]).writes).to.deep.equal([1, 1]);
    const padded = new Uint8Array([...buildPacket(udp(100)), 0, 0]);
    expect(join([padded, padded]).packets.map(hex)).to.deep.equal([padded, padded].map(hex));
    expect(join([padded, padded]).writes).to.deep.equal([1, 1]);
    const shortHeader = buildPacket(tcp(100));
    shortHeader[32] = 0x40;
    expect(join([shortHeader, shortHeader]).writes).to.deep.equal([1, 1]);
  });

  it('keeps to 64 packets and 65535 bytes', () => {
    const many = cutPacket(buildPacket(udp(13000)), 100);
    expect(join(many).writes).to.deep.equal([64, 64, 2]);
    expect(join(many, { ...options, joinedCountMax: 128 }).writes).to.deep.equal([128, 2]);
    const big = [
      ...cutPacket(buildPacket({ ...udp(60000), id: 0 }), 20000),
      ...cutPacket(buildPacket({ ...udp(60000), id: 3 }), 20000),
    ];
    expect(join(big).writes).to.deep.equal([3, 3]);
    const exact = cutPacket(buildPacket(tcp(65495)), 13099);
    expect(join(exact).writes).to.deep.equal([5]);
  });

  it('joins only what the device takes', () => {
    const stream = [...cutPacket(buildPacket(tcp(3000)), 1000), ...cutPacket(buildPacket(udp(3000)), 1000)];
    expect(join(stream, { ...options, joinsTcp: false }).writes).to.deep.equal([1, 1, 1, 3]);
    expect(join(stream, { ...options, joinsUdp: false }).writes).to.deep.equal([3, 1, 1, 1]);
  });

  it('flushes early when a batch is larger than its capacity', () => {
    const stream = cutPacket(buildPacket(udp(1000)), 100);
    expect(join(stream, { ...options, capacity: 4 }).writes).to.deep.equal([4, 4, 2]);
  });

  it('forgets a batch once it is delivered', () => {
    const bytes = new Uint8Array(1 << 16);
    const sink = new RecordingSink(bytes);
    const coalescer = new Coalescer(plainMemory(bytes), sink, options);
    cutPacket(buildPacket(tcp(2000)), 1000).forEach((packet, index) => {
      bytes.set(packet, 0);
      coalescer.add(0, packet.length, 1, 0, index);
      coalescer.flush();
    });
    coalescer.flush();
    expect(sink.writes).to.deep.equal([1, 1]);
  });

  it('reports a broken device, and still delivers the rest', () => {
    const bytes = new Uint8Array(4096);
    const packet = buildPacket(udp(0));
    bytes.set(packet);
    let writes = 0;
    const sink = {
      write: (): number => (writes++ === 0 ? -77 : 0),
      beginGather: (): void => {},
      addPiece: (): boolean => true,
      finishGather: (): number => 0,
    };
    const coalescer = new Coalescer(plainMemory(bytes), sink, options);
    coalescer.add(0, packet.length, 1, 0, 1);
    coalescer.add(0, packet.length, 1, 0, 2);
    expect(coalescer.flush()).to.equal(-77);
    expect(coalescer.flush()).to.equal(0);
    expect(writes).to.equal(2);
  });
});

const FlowCount = 4;

function tcp(payloadBytes: number): PacketPlan {
  return { version: 4, protocol: 'tcp', payload: new Random(payloadBytes).bytes(payloadBytes), flags: ack };
}

function udp(payloadBytes: number): PacketPlan {
  return { version: 4, protocol: 'udp', payload: new Random(payloadBytes).bytes(payloadBytes) };
}

/** Delivers packets in the order of their counters. */
function join(packets: readonly Uint8Array[], given: CoalescerOptions = options): RecordingSink {
  return deliver(
    packets.map((packet, index) => ({ packet, counter: index })),
    given,
  );
}

function deliver(arrivals: readonly Arrival[], given: CoalescerOptions = options): RecordingSink {
  const bytes = new Uint8Array(1 << 20);
  const sink = new RecordingSink(bytes);
  const coalescer = new Coalescer(plainMemory(bytes), sink, given);
  let at = 3;
  for (const { packet, tunnel, counter } of arrivals) {
    bytes.set(packet, at);
    coalescer.add(at, packet.length, tunnel ?? 1, 0, counter ?? 0);
    at += packet.length + 32;
  }
  coalescer.flush();
  expect(sink.faults).to.deep.equal([]);
  return sink;
}

/** The segments that the code under test makes of a packet. */
function segment(whole: Uint8Array, plan: PacketPlan, size: number): Uint8Array[] {
  const bytes = whole.slice();
  leavePartialChecksum(bytes);
  const segmenter = new Segmenter(plainMemory(bytes), 9000);
  const type = plan.protocol === 'udp' ? GsoType.Udp : plan.version === 4 ? GsoType.Tcp4 : GsoType.Tcp6;
  const count = segmenter.begin(0, bytes.length, VirtioFlag.NeedsChecksum, type, size, transportStart(whole), 16);
  return Array.from({ length: count }, () => {
    segmenter.next();
    return bytes.slice(segmenter.offset, segmenter.offset + segmenter.length);
  });
}

/** Four flows, each an IP version and a protocol, with everything that can happen to their packets. */
function randomTraffic(random: Random): Uint8Array[] {
  const sequences = [0xffff_f000, 5, 0, 0];
  const ids = [65530, 7, 9, 11];
  return Array.from({ length: 20 + random.below(200) }, () => {
    const flow = random.below(FlowCount);
    const isTcp = flow < 2;
    const payload = random.bytes(random.pick([0, 1, 100, 100, 100, 100, random.below(120)]));
    const packet = buildPacket({
      version: flow % 2 === 0 ? 4 : 6,
      protocol: isTcp ? 'tcp' : 'udp',
      payload,
      sourcePort: 5000 + flow,
      sequence: sequences[flow] >>> 0,
      id: ids[flow],
      dontFragment: false,
      flags: random.below(8) === 0 ? random.u32() & 0xff : ack,
      window: random.below(20) === 0 ? 100 : 512,
      trafficClass: random.below(20) === 0 ? 2 : 0,
      options: isTcp ? new Uint8Array(12) : new Uint8Array(0),
    });
    sequences[flow] = (sequences[flow] + payload.length) % 2 ** 32;
    ids[flow] = (ids[flow] + 1) % 65536;
    if (random.below(12) === 0) {
      packet[packet.length - 1] ^= 0xff;
    }
    return packet;
  });
}

function ofFlow(packets: readonly Uint8Array[], flow: number): string[] {
  return packets
    .filter((packet) => {
      const start = transportStart(packet);
      return packet[start] * 256 + packet[start + 1] === 5000 + flow;
    })
    .map(hex);
}

function hex(packet: Uint8Array): string {
  return Buffer.from(packet).toString('hex');
}
