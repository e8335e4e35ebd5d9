/** Cutting super-packets in place, against the naive segmenter of `support/innerPackets.ts`. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { plainMemory } from '../../../src/shared/ip/packetMemory.ts';
import { Segmenter, SegmentFault } from '../../../src/worker/offload/segment.ts';
import { GsoType, VirtioFlag } from '../../../src/worker/ports/virtio.ts';
import {
  buildPacket,
  cutPacket,
  get16,
  isSound,
  leavePartialChecksum,
  type PacketPlan,
  put16,
  randomPlan,
  tcpFlag,
  transportStart,
} from '../../support/innerPackets.ts';
import { Random } from '../../support/random.ts';

const buffer = new ArrayBuffer(1 << 17);
const bytes = new Uint8Array(buffer);
const At = 4097;

describe('Segmenter', () => {
  it('cuts any super-packet as the naive segmenter does, and touches nothing around it', () => {
    const random = new Random(101);
    for (let round = 0; round < 400; round++) {
      const plan = randomPlan(random, 20000);
      const size = random.pick([1 + random.below(40), 100, 536, 1248, 1 + random.below(3000)]);
      const packet = buildPacket(plan);
      expect(segmentsOf(plan, packet, size)).to.deep.equal(cutPacket(packet, size).map(hex));
    }
  }).timeout(20_000);

  it('makes packets that their receiver accepts', () => {
    const random = new Random(102);
    for (let round = 0; round < 200; round++) {
      const plan = randomPlan(random, 9000);
      for (const segment of segmentsOf(plan, buildPacket(plan), 1 + random.below(1500))) {
        expect(isSound(Buffer.from(segment, 'hex'))).to.equal(true);
      }
    }
  });

  it('cuts the largest TCP and UDP super-packets', () => {
    for (const version of [4, 6] as const) {
      for (const protocol of ['tcp', 'udp'] as const) {
        const plan: PacketPlan = { version, protocol, payload: new Random(3).bytes(65535 - 60) };
        const segments = segmentsOf(plan, buildPacket(plan), 1248);
        expect(segments).to.deep.equal(cutPacket(buildPacket(plan), 1248).map(hex));
        expect(segments).to.have.length(Math.ceil((65535 - 60) / 1248));
      }
    }
  });

  it('keeps FIN and PSH for the last segment and CWR for the first', () => {
    const { ack, fin, psh, cwr, ece } = tcpFlag;
    const plan: PacketPlan = {
      version: 4,
      protocol: 'tcp',
      payload: new Uint8Array(250),
      flags: ack | fin | psh | cwr | ece,
    };
    const flags = segmentsOf(plan, buildPacket(plan), 100).map((segment) => Buffer.from(segment, 'hex')[33]);
    expect(flags).to.deep.equal([ack | cwr | ece, ack | ece, ack | fin | psh | ece]);
  });

  it('lets sequence numbers and IPv4 ids wrap', () => {
    const plan: PacketPlan = {
      version: 4,
      protocol: 'tcp',
      payload: new Uint8Array(300),
      sequence: 0xffffff9c,
      id: 65535,
    };
    const segments = segmentsOf(plan, buildPacket(plan), 100).map((segment) => Buffer.from(segment, 'hex'));
    expect(segments.map((segment) => segment.readUInt32BE(24))).to.deep.equal([0xffffff9c, 0, 100]);
    expect(segments.map((segment) => segment.readUInt16BE(4))).to.deep.equal([65535, 0, 1]);
  });

  it('sends a UDP checksum of zero as 0xffff', () => {
    const plan: PacketPlan = { version: 4, protocol: 'udp', payload: new Uint8Array(8) };
    const balanced = buildPacket({ ...plan, payload: balancedPayload() });
    for (const segment of segmentsOf(plan, balanced, 4)) {
      expect(Buffer.from(segment, 'hex').readUInt16BE(26)).to.equal(0xffff);
    }
    expect(finished(balancedSingle(), VirtioFlag.NeedsChecksum, 20, 6).readUInt16BE(26)).to.equal(0xffff);
  });

  it('leaves one segment for an empty payload, TCP or UDP', () => {
    for (const protocol of ['tcp', 'udp'] as const) {
      const plan: PacketPlan = { version: 4, protocol, payload: new Uint8Array(0) };
      const packet = buildPacket(plan);
      expect(segmentsOf(plan, packet, 1000)).to.deep.equal([hex(packet)]);
    }
  });

  it('survives a size smaller than the headers', () => {
    const plan: PacketPlan = {
      version: 6,
      protocol: 'tcp',
      payload: new Random(4).bytes(50),
      options: new Uint8Array(40),
    };
    const packet = buildPacket(plan);
    for (const size of [1, 2, 3, 4, 5, 7, 39, 40]) {
      expect(segmentsOf(plan, packet, size)).to.deep.equal(cutPacket(packet, size).map(hex));
    }
  });
});

describe('Segmenter with whole packets', () => {
  it('passes them untouched when nothing is asked', () => {
    const packet = buildPacket({ version: 4, protocol: 'tcp', payload: new Random(5).bytes(99) });
    put16(packet, 36, 0x1234);
    expect(hex(finished(packet, 0, 0, 0))).to.equal(hex(packet));
    expect(hex(finished(packet, VirtioFlag.DataValid, 0, 0))).to.equal(hex(packet));
  });

  it('finishes the checksum that the kernel left to the device', () => {
    const random = new Random(6);
    for (let round = 0; round < 300; round++) {
      const plan = randomPlan(random, 1300);
      const packet = buildPacket(plan);
      const partial = packet.slice();
      leavePartialChecksum(partial);
      const field = plan.protocol === 'tcp' ? 16 : 6;
      expect(hex(finished(partial, VirtioFlag.NeedsChecksum, transportStart(packet), field))).to.equal(hex(packet));
    }
  });

  it('refuses a checksum outside the packet', () => {
    const segmenter = new Segmenter(plainMemory(bytes), 9000);
    for (const [start, field] of [
      [20, 79],
      [99, 0],
      [65535, 65535],
      [0, 16],
      [19, 2],
    ]) {
      expect(segmenter.begin(At, 100, VirtioFlag.NeedsChecksum, 0, 0, start, field)).to.equal(
        SegmentFault.ChecksumOutside,
      );
    }
    expect(segmenter.begin(At, 100, VirtioFlag.NeedsChecksum, 0, 0, 20, 78)).to.equal(1);
  });
});

describe('Segmenter with bad headers', () => {
  const tcp4 = buildPacket({ version: 4, protocol: 'tcp', payload: new Uint8Array(3000) });
  const udp6 = buildPacket({ version: 6, protocol: 'udp', payload: new Uint8Array(3000) });
  const begin = (
    packet: Uint8Array,
    header: { flags?: number; type?: number; size?: number; start?: number; length?: number },
  ): number => {
    bytes.set(packet, At);
    const { flags = VirtioFlag.NeedsChecksum, type = GsoType.Tcp4, size = 1000, start = 20 } = header;
    return new Segmenter(plainMemory(bytes), 2000).begin(
      At,
      header.length ?? packet.length,
      flags,
      type,
      size,
      start,
      16,
    );
  };
  const changed = (packet: Uint8Array, at: number, value: number): Uint8Array => {
    const copy = packet.slice();
    copy[at] = value;
    return copy;
  };

  it('accepts the good ones it varies', () => {
    expect(begin(tcp4, {})).to.equal(3);
    expect(begin(tcp4, { type: GsoType.Tcp4 | GsoType.EcnBit })).to.equal(3);
    expect(begin(tcp4, { flags: 0, start: 0 })).to.equal(3);
    expect(begin(udp6, { type: GsoType.Udp, start: 40 })).to.equal(3);
  });

  it('refuses receive-coalesced, zero size, unknown types and ECN on UDP', () => {
    expect(begin(tcp4, { flags: 5 })).to.equal(SegmentFault.ReceiveCoalesced);
    expect(begin(tcp4, { size: 0 })).to.equal(SegmentFault.ZeroSize);
    for (const type of [2, 3, 6, 0x40, GsoType.EcnBit, GsoType.Udp | GsoType.EcnBit]) {
      expect(begin(tcp4, { type })).to.equal(SegmentFault.UnknownType);
    }
  });

  it('refuses a type that does not fit the packet', () => {
    expect(begin(tcp4, { type: GsoType.Tcp6 })).to.equal(SegmentFault.WrongHeader);
    expect(begin(tcp4, { type: GsoType.Udp })).to.equal(SegmentFault.WrongHeader);
    expect(begin(udp6, { type: GsoType.Tcp4, start: 40 })).to.equal(SegmentFault.WrongHeader);
    expect(begin(udp6, { type: GsoType.Tcp6, start: 40 })).to.equal(SegmentFault.WrongHeader);
    expect(begin(changed(tcp4, 0, 0x55), {})).to.equal(SegmentFault.WrongHeader);
  });

  it('refuses header lengths that lie, fragments and a misplaced checksum start', () => {
    expect(begin(changed(tcp4, 0, 0x44), {})).to.equal(SegmentFault.WrongHeader);
    expect(begin(changed(tcp4, 32, 0x40), {})).to.equal(SegmentFault.WrongHeader);
    expect(begin(changed(tcp4, 6, 0x20), {})).to.equal(SegmentFault.WrongHeader);
    expect(begin(tcp4, { start: 24 })).to.equal(SegmentFault.WrongHeader);
    expect(begin(changed(udp6, 6, 43), { type: GsoType.Udp, start: 40 })).to.equal(SegmentFault.WrongHeader);
    for (const length of [1, 19, 20, 39]) {
      expect(begin(tcp4, { length })).to.equal(SegmentFault.TooShort);
    }
    expect(begin(tcp4, { length: 0 })).to.equal(SegmentFault.WrongHeader);
    expect(begin(changed(tcp4, 32, 0xf0), { length: 70 })).to.equal(SegmentFault.TooShort);
    expect(begin(changed(udp6, 6, 60), { type: GsoType.Udp, length: 44 })).to.equal(SegmentFault.TooShort);
  });

  it('refuses segments that no send slot takes', () => {
    expect(begin(tcp4, { size: 1960 })).to.equal(2);
    expect(begin(tcp4, { size: 1961 })).to.equal(SegmentFault.SegmentTooLong);
    expect(begin(tcp4, { type: GsoType.None, flags: 0 })).to.equal(SegmentFault.SegmentTooLong);
  });
});

function gsoTypeOf(plan: PacketPlan): number {
  return plan.protocol === 'udp' ? GsoType.Udp : plan.version === 4 ? GsoType.Tcp4 : GsoType.Tcp6;
}

/** Cuts a copy of the packet as the kernel would hand it over; checks that no byte outside was touched. */
function segmentsOf(plan: PacketPlan, whole: Uint8Array, size: number): string[] {
  const packet = whole.slice();
  leavePartialChecksum(packet);
  bytes.fill(0xa5, At - 200, At + packet.length + 200);
  bytes.set(packet, At);
  const segmenter = new Segmenter(plainMemory(bytes), 70000);
  const field = plan.protocol === 'tcp' ? 16 : 6;
  const count = segmenter.begin(
    At,
    packet.length,
    VirtioFlag.NeedsChecksum,
    gsoTypeOf(plan),
    size,
    transportStart(packet),
    field,
  );
  expect(count).to.be.greaterThan(0);
  const segments = Array.from({ length: count }, () => {
    segmenter.next();
    return hex(bytes.subarray(segmenter.offset, segmenter.offset + segmenter.length));
  });
  const around = [...bytes.subarray(At - 200, At), ...bytes.subarray(At + packet.length, At + packet.length + 200)];
  expect(around.every((value) => value === 0xa5)).to.equal(true);
  return segments;
}

function finished(packet: Uint8Array, flags: number, start: number, field: number): Buffer {
  bytes.set(packet, At);
  const segmenter = new Segmenter(plainMemory(bytes), 9000);
  expect(segmenter.begin(At, packet.length, flags, GsoType.None, 0, start, field)).to.equal(1);
  segmenter.next();
  return Buffer.from(bytes.slice(segmenter.offset, segmenter.offset + segmenter.length));
}

/** Two 4-byte payloads whose datagrams sum to 0xffff, so that their checksum computes to 0. */
function balancedPayload(): Uint8Array {
  const payload = new Uint8Array(8);
  const plan: PacketPlan = { version: 4, protocol: 'udp', payload };
  cutPacket(buildPacket(plan), 4).forEach((segment, index) => {
    put16(payload, index * 4 + 2, get16(segment, 26));
  });
  return payload;
}

function balancedSingle(): Uint8Array {
  const payload = new Uint8Array(4);
  const plan: PacketPlan = { version: 4, protocol: 'udp', payload };
  put16(payload, 2, get16(buildPacket(plan), 26));
  const packet = buildPacket(plan);
  leavePartialChecksum(packet);
  return packet;
}

function hex(packet: Uint8Array): string {
  return Buffer.from(packet).toString('hex');
}
