/** Inner packets of the simulation: a text as UDP from one host to another, on one flow for each pair of hosts. */
import { addressFromBytes, type IpAddress } from '../../src/shared/ip/address.ts';
import { ipv4, ipv6, udp } from '../shared/firewall/packets.ts';

export interface TextPacket {
  readonly source: IpAddress;
  readonly text: string;
}

const PORT = 4711;
const UDP = 17;
const UDP_HEADER_BYTES = 8;

export function textPacket(source: IpAddress, destination: IpAddress, text: string): Uint8Array {
  const body = new TextEncoder().encode(text);
  const payload = udp(PORT, PORT, body.length);
  payload.set(body, UDP_HEADER_BYTES);
  const ends = { source: source.text, destination: destination.text, payload };
  return destination.family === 4 ? ipv4({ ...ends, protocol: UDP }) : ipv6({ ...ends, nextHeader: UDP });
}

export function readTextPacket(packet: Uint8Array): TextPacket {
  const isIpv4 = packet[0] >> 4 === 4;
  const source = isIpv4 ? packet.slice(12, 16) : packet.slice(8, 24);
  const body = packet.subarray((isIpv4 ? 20 : 40) + UDP_HEADER_BYTES);
  return { source: addressFromBytes(source), text: new TextDecoder().decode(body) };
}
