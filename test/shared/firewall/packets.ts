/** Inner packets for firewall tests, built byte by byte and independently of the code under test. */
import { parseAddress } from '../../../src/shared/ip/address.ts';

export interface Ipv4Spec {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly optionWords?: number;
  /** In units of 8 bytes. */
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  readonly dontFragment?: boolean;
}

export interface Ipv6Spec {
  readonly source: string;
  readonly destination: string;
  readonly nextHeader: number;
  /** Everything behind the fixed header, extension headers included. */
  readonly payload: Uint8Array;
}

export function addressBytes(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === null) {
    throw new Error(`bad test address ${text}`);
  }
  return address.bytes;
}

export function ipv4(spec: Ipv4Spec): Uint8Array {
  const headerLength = 20 + (spec.optionWords ?? 0) * 4;
  const packet = new Uint8Array(headerLength + spec.payload.length);
  const flags = (spec.dontFragment ? 0x4000 : 0) | (spec.moreFragments ? 0x2000 : 0) | (spec.fragmentOffset ?? 0);
  packet[0] = 0x40 | (headerLength / 4);
  packet[2] = packet.length >> 8;
  packet[3] = packet.length & 0xff;
  packet[6] = flags >> 8;
  packet[7] = flags & 0xff;
  packet[8] = 64;
  packet[9] = spec.protocol;
  packet.set(addressBytes(spec.source), 12);
  packet.set(addressBytes(spec.destination), 16);
  packet.fill(1, 20, headerLength);
  packet.set(spec.payload, headerLength);
  return packet;
}

export function ipv6(spec: Ipv6Spec): Uint8Array {
  const packet = new Uint8Array(40 + spec.payload.length);
  packet[0] = 0x60;
  packet[4] = spec.payload.length >> 8;
  packet[5] = spec.payload.length & 0xff;
  packet[6] = spec.nextHeader;
  packet[7] = 64;
  packet.set(addressBytes(spec.source), 8);
  packet.set(addressBytes(spec.destination), 24);
  packet.set(spec.payload, 40);
  return packet;
}

export function udp(sourcePort: number, destinationPort: number, bodyLength: number = 0): Uint8Array {
  const length = 8 + bodyLength;
  return Uint8Array.from([...u16(sourcePort), ...u16(destinationPort), ...u16(length), 0, 0, ...zeros(bodyLength)]);
}

export interface TcpSpec {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly flags?: number;
  readonly optionWords?: number;
  readonly bodyLength?: number;
}

export function tcp(spec: TcpSpec): Uint8Array {
  const options = spec.optionWords ?? 0;
  return Uint8Array.from([
    ...u16(spec.sourcePort),
    ...u16(spec.destinationPort),
    ...u32(spec.seq ?? 0),
    ...u32(spec.ack ?? 0),
    (5 + options) << 4,
    spec.flags ?? 0x02,
    ...u16(65535),
    ...[0, 0, 0, 0],
    ...zeros(options * 4 + (spec.bodyLength ?? 0)),
  ]);
}

/** An ICMP or ICMPv6 message with an identifier and a sequence number. */
export function icmp(type: number, identifier: number, bodyLength: number = 0): Uint8Array {
  return Uint8Array.from([type, 0, 0, 0, ...u16(identifier), 0, 1, ...zeros(bodyLength)]);
}

/** An IPv6 extension header of (units + 1) × 8 bytes. */
export function extension(nextHeader: number, units: number): number[] {
  return [nextHeader, units, ...zeros(6 + units * 8)];
}

export function fragmentHeader(nextHeader: number, offset: number, more: boolean): number[] {
  return [nextHeader, 0, ...u16((offset << 3) | (more ? 1 : 0)), 0, 0, 0, 7];
}

function u16(value: number): number[] {
  return [(value >> 8) & 0xff, value & 0xff];
}

export function u32(value: number): number[] {
  return [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

export function zeros(length: number): number[] {
  return new Array<number>(length).fill(0);
}

/** The view a parser wants beside the bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
