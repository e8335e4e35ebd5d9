/**
 * The packets by which a worker warms up: those that an idle and a busy node carry, in both directions between two hosts
 * of a network that exists nowhere else. Whole, with right checksums, as the host's stack gives them to a tun device.
 */
import { GsoType, VIRTIO_HEADER_BYTES, VirtioFlag, writeVirtioHeader } from './ports/virtio.ts';

/** Last bytes of the addresses: 10.0.0.x and fd00::x. */
export type Host = 1 | 2;

export interface WarmUpPackets {
  /** One after the other, as a ping comes. */
  readonly echo: Uint8Array;
  /** A burst of small ones of either IP version. */
  readonly small: readonly Uint8Array[];
  /** TCP and UDP as the device's offloads allow: super-packets, else segments. */
  readonly large: readonly Uint8Array[];
  /** To a host that nobody knows. */
  readonly lost: Uint8Array;
  /** Of a flow of its own each. */
  readonly first: readonly Uint8Array[];
}

export interface PacketForm {
  readonly vnetHeader: boolean;
  readonly tso: boolean;
  readonly uso: boolean;
}

/** Those that `from` sends. Each begins with a virtio header where the device has it. */
export function warmUpPackets(from: Host, form: PacketForm): WarmUpPackets {
  const small = (version: Version, protocol: Protocol): Uint8Array =>
    plain(ipPacket(version, protocol, from, SMALL_BYTES), form);
  const large = (version: Version, protocol: typeof Protocol.Tcp | typeof Protocol.Udp): Uint8Array => {
    const isJoined = protocol === Protocol.Tcp ? form.tso : form.uso;
    const packet = ipPacket(version, protocol, from, SEGMENT_BYTES * (isJoined ? SEGMENTS : 1));
    return isJoined ? joined(packet, version, protocol) : plain(packet, form);
  };
  return {
    echo: plain(ipPacket(4, Protocol.Icmp, from, 56), form),
    small: [small(4, Protocol.Udp), small(6, Protocol.Udp), small(4, Protocol.Tcp), small(6, Protocol.Tcp)],
    lost: plain(ipPacket(4, Protocol.Icmp, from, 56, NOBODY), form),
    first: Array.from({ length: FLOWS }, (_, flow) =>
      plain(ipPacket(4, Protocol.Udp, from, SMALL_BYTES, otherThan(from), flow), form),
    ),
    large: [large(4, Protocol.Tcp), large(4, Protocol.Udp), large(6, Protocol.Tcp), large(6, Protocol.Udp)],
  };
}

/** The network part of the addresses, as 16 bytes of which the last is the host. */
export function hostBytes(version: Version, host: number): Uint8Array {
  return version === 4 ? Uint8Array.of(10, 0, 0, host) : Uint8Array.of(0xfd, ...new Array<number>(14).fill(0), host);
}

function otherThan(host: Host): Host {
  return host === 1 ? 2 : 1;
}

type Version = 4 | 6;

const Protocol = { Icmp: 1, Tcp: 6, Udp: 17 } as const;
type Protocol = (typeof Protocol)[keyof typeof Protocol];

function ipPacket(
  version: Version,
  protocol: Protocol,
  from: Host,
  payloadBytes: number,
  to: number = otherThan(from),
  flow: number = 0,
): Uint8Array {
  const [source, destination] = [hostBytes(version, from), hostBytes(version, to)];
  const body = transport(protocol, from, payloadBytes, flow);
  const headerBytes = version === 4 ? 20 : 40;
  const packet = new Uint8Array(headerBytes + body.length);
  const view = new DataView(packet.buffer);
  if (version === 4) {
    packet.set([0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol]);
    view.setUint16(2, packet.length);
    packet.set(source, 12);
    packet.set(destination, 16);
    view.setUint16(10, checksum(packet.subarray(0, headerBytes), 0));
  } else {
    packet.set([0x60, 0, 0, 0, 0, 0, protocol, 64]);
    view.setUint16(4, body.length);
    packet.set(source, 8);
    packet.set(destination, 24);
  }
  packet.set(body, headerBytes);
  const pseudo = protocol === Protocol.Icmp ? 0 : wordSum(source) + wordSum(destination) + protocol + body.length;
  view.setUint16(headerBytes + checksumOffset(protocol), checksum(body, pseudo));
  return packet;
}

/** Ports and identifiers differ by direction as a request's and its answer's do. */
function transport(protocol: Protocol, from: Host, payloadBytes: number, flow: number): Uint8Array {
  const headerBytes = protocol === Protocol.Tcp ? 20 : 8;
  const body = new Uint8Array(headerBytes + payloadBytes).fill(0x5a, headerBytes);
  const view = new DataView(body.buffer);
  if (protocol === Protocol.Icmp) {
    body[0] = from === 1 ? 8 : 0;
    view.setUint16(4, 7);
    return body;
  }
  const ports = [40_000 + flow, 443];
  view.setUint16(0, ports[from - 1]);
  view.setUint16(2, ports[2 - from]);
  if (protocol === Protocol.Udp) {
    view.setUint16(4, Math.min(body.length, 0xffff));
  } else {
    view.setUint32(4, 0xf000_0000);
    view.setUint32(8, 1);
    body[12] = 0x50;
    body[13] = 0x10;
    view.setUint16(14, 0xffff);
  }
  return body;
}

function plain(packet: Uint8Array, { vnetHeader }: PacketForm): Uint8Array {
  return vnetHeader ? behindHeader(packet, 0, GsoType.None, 0, 0, 0) : packet;
}

function joined(packet: Uint8Array, version: Version, protocol: typeof Protocol.Tcp | typeof Protocol.Udp): Uint8Array {
  const type = protocol === Protocol.Udp ? GsoType.Udp : version === 4 ? GsoType.Tcp4 : GsoType.Tcp6;
  const start = version === 4 ? 20 : 40;
  return behindHeader(packet, VirtioFlag.NeedsChecksum, type, SEGMENT_BYTES, start, checksumOffset(protocol));
}

function behindHeader(
  packet: Uint8Array,
  flags: number,
  type: number,
  size: number,
  checksumStart: number,
  offset: number,
): Uint8Array {
  const bytes = new Uint8Array(VIRTIO_HEADER_BYTES + packet.length);
  bytes.set(packet, VIRTIO_HEADER_BYTES);
  writeVirtioHeader(new DataView(bytes.buffer), 0, flags, type, 0, size, checksumStart, offset);
  return bytes;
}

function checksumOffset(protocol: Protocol): number {
  return protocol === Protocol.Icmp ? 2 : protocol === Protocol.Tcp ? 16 : 6;
}

/** RFC 1071, over bytes whose checksum field is zero. */
function checksum(bytes: Uint8Array, start: number): number {
  let sum = start + wordSum(bytes);
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return ~sum & 0xffff;
}

function wordSum(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte, index) => sum + (index % 2 === 0 ? byte << 8 : byte), 0);
}

const SMALL_BYTES = 100;
const SEGMENT_BYTES = 1200;
const SEGMENTS = 16;
const FLOWS = 32;
/** The last byte of an address in the network that no host has. */
const NOBODY = 77;
