/**
 * Inner packets for the tests of segmentation and coalescing: built, checked and cut in the plainest way, from the RFCs
 * and not from the code under test.
 */
import type { Random } from './random.ts';

export interface PacketPlan {
  readonly version: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  readonly payload: Uint8Array;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Last byte of source and destination address. */
  readonly hosts?: readonly [number, number];
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly trafficClass?: number;
  readonly hopLimit?: number;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  /** FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
  readonly flags?: number;
  readonly window?: number;
  /** TCP options, a multiple of 4 bytes. */
  readonly options?: Uint8Array;
  /** An IPv6 destination options header of 8 bytes in front of the transport header. */
  readonly hasExtension?: boolean;
}

export const tcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128 } as const;

/** A complete packet with right lengths and checksums. */
export function buildPacket(plan: PacketPlan): Uint8Array {
  const transport = plan.protocol === 'tcp' ? tcpHeader(plan) : udpHeader(plan);
  const body = concat([transport, plan.payload]);
  const packet = plan.version === 4 ? concat([ipv4Header(plan, body.length), body]) : ipv6Packet(plan, body);
  fixChecksums(packet);
  return packet;
}

/** Offset of the transport header. */
export function transportStart(packet: Uint8Array): number {
  return packet[0] >> 4 === 4 ? (packet[0] & 15) * 4 : packet[6] === 60 ? 48 : 40;
}

/** Offset of the payload. */
export function payloadStart(packet: Uint8Array): number {
  const start = transportStart(packet);
  return isTcp(packet) ? start + (packet[start + 12] >> 4) * 4 : start + 8;
}

/** Writes right IPv4 and transport checksums. */
export function fixChecksums(packet: Uint8Array): void {
  const start = transportStart(packet);
  const field = start + (isTcp(packet) ? 16 : 6);
  if (packet[0] >> 4 === 4) {
    put16(packet, 10, 0);
    put16(packet, 10, 0xffff - wordSum(packet.subarray(0, start)));
  }
  put16(packet, field, 0);
  const checksum = 0xffff - wordSum(concat([pseudoHeader(packet), packet.subarray(start)]));
  put16(packet, field, checksum === 0 && !isTcp(packet) ? 0xffff : checksum);
}

/** True when lengths and checksums of the packet are those its receiver expects. */
export function isSound(packet: Uint8Array): boolean {
  const start = transportStart(packet);
  const isIpv4 = packet[0] >> 4 === 4;
  const lengthIsRight = isIpv4 ? get16(packet, 2) === packet.length : get16(packet, 4) + 40 === packet.length;
  const headerIsRight = !isIpv4 || wordSum(packet.subarray(0, start)) === 0xffff;
  const bodyIsRight = wordSum(concat([pseudoHeader(packet), packet.subarray(start)])) === 0xffff;
  const udpIsRight =
    isTcp(packet) || (get16(packet, start + 4) === packet.length - start && get16(packet, start + 6) !== 0);
  return lengthIsRight && headerIsRight && bodyIsRight && udpIsRight;
}

/** Leaves in the transport checksum field what the kernel leaves for its device: the pseudo-header's sum. */
export function leavePartialChecksum(packet: Uint8Array): void {
  put16(packet, transportStart(packet) + (isTcp(packet) ? 16 : 6), wordSum(pseudoHeader(packet)));
}

/** The naive segmenter: every segment is a copy of the headers and a slice, put right field by field. */
export function cutPacket(packet: Uint8Array, size: number): Uint8Array[] {
  const head = payloadStart(packet);
  const start = transportStart(packet);
  const payload = packet.subarray(head);
  const count = Math.max(1, Math.ceil(payload.length / size));
  return Array.from({ length: count }, (_, index) => {
    const segment = concat([packet.subarray(0, head), payload.subarray(index * size, (index + 1) * size)]);
    if (segment[0] >> 4 === 4) {
      put16(segment, 2, segment.length);
      put16(segment, 4, (get16(packet, 4) + index) % 65536);
    } else {
      put16(segment, 4, segment.length - 40);
    }
    if (isTcp(packet)) {
      const sequence = new DataView(packet.buffer, packet.byteOffset).getUint32(start + 4) + index * size;
      new DataView(segment.buffer).setUint32(start + 4, sequence % 2 ** 32);
      const keep = (index === count - 1 ? 0xff : 0xff - 9) & (index === 0 ? 0xff : 0x7f);
      segment[start + 13] &= keep;
    } else {
      put16(segment, start + 4, segment.length - start);
    }
    fixChecksums(segment);
    return segment;
  });
}

/** A random plan for a super-packet. */
export function randomPlan(random: Random, payloadBytesMax: number): PacketPlan {
  const version = random.pick([4, 6] as const);
  const protocol = random.pick(['tcp', 'udp'] as const);
  return {
    version,
    protocol,
    payload: random.bytes(random.pick([0, 1, random.below(100), random.below(payloadBytesMax)])),
    sourcePort: random.below(65536),
    destinationPort: random.below(65536),
    hosts: [random.below(256), random.below(256)],
    id: random.pick([0, 65534, random.below(65536)]),
    dontFragment: random.bool(),
    trafficClass: random.below(256),
    hopLimit: random.below(256),
    sequence: random.pick([0xffff_ff00, random.u32()]),
    acknowledgement: random.u32(),
    flags: tcpFlag.ack | (random.u32() & (tcpFlag.fin | tcpFlag.psh | tcpFlag.ece | tcpFlag.cwr)),
    window: random.below(65536),
    options: random.bytes(random.pick([0, 0, 12, 40])),
    hasExtension: version === 6 && random.below(4) === 0,
  };
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function get16(bytes: Uint8Array, at: number): number {
  return bytes[at] * 256 + bytes[at + 1];
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 255;
}

/** RFC 1071, word by word. */
function wordSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes[at] * 256 + (at + 1 < bytes.length ? bytes[at + 1] : 0);
  }
  while (sum > 0xffff) {
    sum = Math.floor(sum / 65536) + (sum % 65536);
  }
  return sum;
}

function isTcp(packet: Uint8Array): boolean {
  const next = packet[0] >> 4 === 4 ? packet[9] : packet[6] === 60 ? packet[40] : packet[6];
  return next === 6;
}

function pseudoHeader(packet: Uint8Array): Uint8Array {
  const isIpv4 = packet[0] >> 4 === 4;
  const tail = new Uint8Array(4);
  put16(tail, 0, isTcp(packet) ? 6 : 17);
  put16(tail, 2, packet.length - transportStart(packet));
  return concat([isIpv4 ? packet.subarray(12, 20) : packet.subarray(8, 40), tail]);
}

function ipv4Header(plan: PacketPlan, bodyBytes: number): Uint8Array {
  const header = new Uint8Array(20);
  header[0] = 0x45;
  header[1] = plan.trafficClass ?? 0;
  put16(header, 2, 20 + bodyBytes);
  put16(header, 4, plan.id ?? 0);
  put16(header, 6, (plan.dontFragment ?? true) ? 0x4000 : 0);
  header[8] = plan.hopLimit ?? 64;
  header[9] = plan.protocol === 'tcp' ? 6 : 17;
  const [source, destination] = plan.hosts ?? [1, 2];
  header.set([10, 42, 0, source, 10, 42, 0, destination], 12);
  return header;
}

function ipv6Packet(plan: PacketPlan, body: Uint8Array): Uint8Array {
  const protocol = plan.protocol === 'tcp' ? 6 : 17;
  const extension = plan.hasExtension === true ? Uint8Array.from([protocol, 0, 1, 4, 0, 0, 0, 0]) : new Uint8Array(0);
  const header = new Uint8Array(40);
  const trafficClass = plan.trafficClass ?? 0;
  header[0] = 0x60 | (trafficClass >> 4);
  header[1] = ((trafficClass & 15) << 4) | 0x0a;
  put16(header, 2, 0xbcde);
  put16(header, 4, extension.length + body.length);
  header[6] = extension.length > 0 ? 60 : protocol;
  header[7] = plan.hopLimit ?? 64;
  const [source, destination] = plan.hosts ?? [1, 2];
  header.set([0xfd, 0x42], 8);
  header[23] = source;
  header.set([0xfd, 0x42], 24);
  header[39] = destination;
  return concat([header, extension, body]);
}

function tcpHeader(plan: PacketPlan): Uint8Array {
  const options = plan.options ?? new Uint8Array(0);
  const header = new Uint8Array(20 + options.length);
  const view = new DataView(header.buffer);
  view.setUint16(0, plan.sourcePort ?? 40000);
  view.setUint16(2, plan.destinationPort ?? 443);
  view.setUint32(4, plan.sequence ?? 1000);
  view.setUint32(8, plan.acknowledgement ?? 77);
  header[12] = (header.length / 4) << 4;
  header[13] = plan.flags ?? tcpFlag.ack;
  view.setUint16(14, plan.window ?? 512);
  header.set(options, 20);
  return header;
}

function udpHeader(plan: PacketPlan): Uint8Array {
  const header = new Uint8Array(8);
  put16(header, 0, plan.sourcePort ?? 40000);
  put16(header, 2, plan.destinationPort ?? 4500);
  put16(header, 4, 8 + plan.payload.length);
  return header;
}
