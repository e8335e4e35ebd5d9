/** IPv4 packets for the firewall's experiments: any protocol, any address, marked by their identification field. */

export interface FirewallPacket {
  readonly source: string;
  readonly destination: string;
  /** 1 is ICMP (an echo request whose identifier is `sourcePort`), 6 TCP (a SYN), 17 UDP; others carry two ports too. */
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** In units of 8 bytes; absent: not a fragment. */
  readonly fragmentOffset?: number;
  /** The identification field: which packet this is. */
  readonly mark: number;
}

const IP_HEADER_BYTES = 20;
/** Room for a TCP header; what follows a shorter one is payload. */
const UPPER_BYTES = 24;

export function buildFirewallPacket(plan: FirewallPacket): Uint8Array {
  const bytes = new Uint8Array(IP_HEADER_BYTES + UPPER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x45;
  view.setUint16(2, bytes.length);
  view.setUint16(4, plan.mark);
  view.setUint16(6, plan.fragmentOffset ?? 0);
  bytes[8] = 64;
  bytes[9] = plan.protocol;
  bytes.set(addressBytes(plan.source), 12);
  bytes.set(addressBytes(plan.destination), 16);
  view.setUint16(10, internetChecksum(bytes.subarray(0, IP_HEADER_BYTES), 0));
  if (plan.protocol === 1) {
    writeEcho(view, plan.sourcePort);
  } else {
    writePorts(view, plan);
  }
  return bytes;
}

/** The mark of a packet that came out of a tap, and who sent it to whom. */
export function readFirewallPacket(bytes: Uint8Array): FirewallPacket {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const upper = (bytes[0] & 15) * 4;
  return {
    source: bytes.subarray(12, 16).join('.'),
    destination: bytes.subarray(16, 20).join('.'),
    protocol: bytes[9],
    sourcePort: view.getUint16(upper),
    destinationPort: view.getUint16(upper + 2),
    mark: view.getUint16(4),
  };
}

function writeEcho(view: DataView, identifier: number): void {
  view.setUint8(IP_HEADER_BYTES, 8);
  view.setUint16(IP_HEADER_BYTES + 4, identifier);
  view.setUint16(IP_HEADER_BYTES + 2, internetChecksum(new Uint8Array(view.buffer, IP_HEADER_BYTES), 0));
}

function writePorts(view: DataView, plan: FirewallPacket): void {
  view.setUint16(IP_HEADER_BYTES, plan.sourcePort);
  view.setUint16(IP_HEADER_BYTES + 2, plan.destinationPort);
  if (plan.protocol === 6) {
    view.setUint8(IP_HEADER_BYTES + 12, 5 << 4);
    view.setUint8(IP_HEADER_BYTES + 13, 0x02);
    writeChecksum(view, plan, IP_HEADER_BYTES + 16);
  } else if (plan.protocol === 17) {
    view.setUint16(IP_HEADER_BYTES + 4, UPPER_BYTES);
    writeChecksum(view, plan, IP_HEADER_BYTES + 6);
  }
}

function writeChecksum(view: DataView, plan: FirewallPacket, at: number): void {
  const pseudo = [...addressBytes(plan.source), ...addressBytes(plan.destination), 0, plan.protocol, 0, UPPER_BYTES];
  view.setUint16(at, 0);
  const upper = new Uint8Array(view.buffer, IP_HEADER_BYTES);
  view.setUint16(at, internetChecksum(new Uint8Array([...pseudo, ...upper]), 0));
}

/** RFC 1071, over an even number of bytes. */
function internetChecksum(bytes: Uint8Array, initial: number): number {
  let sum = initial;
  for (let index = 0; index < bytes.length; index += 2) {
    sum += (bytes[index] << 8) | bytes[index + 1];
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return 0xffff - sum;
}

function addressBytes(text: string): number[] {
  return text.split('.').map(Number);
}
