/**
 * A packet tuple in words, for logs and the command line, and a tuple from addresses. Cold: allocates freely.
 */
import { addressFromBytes, type IpAddress } from '../ip/address.ts';
import { IpProtocol, mappedWord, type PacketTuple } from '../ip/packetTuple.ts';

/** A packet as logs show it (`fwPacket`). */
export interface PacketText {
  readonly Fragment: boolean;
  readonly LocalAddr: string;
  readonly LocalPort: number;
  readonly Protocol: string;
  readonly RemoteAddr: string;
  readonly RemotePort: number;
}

export function packetText(tuple: PacketTuple): PacketText {
  return {
    Fragment: tuple.isFragment,
    LocalAddr: localAddress(tuple).text,
    LocalPort: tuple.localPort,
    Protocol: protocolText(tuple.protocol),
    RemoteAddr: remoteAddress(tuple).text,
    RemotePort: tuple.remotePort,
  };
}

export function localAddress(tuple: PacketTuple): IpAddress {
  return addressOf(tuple.local0, tuple.local1, tuple.local2, tuple.local3);
}

export function remoteAddress(tuple: PacketTuple): IpAddress {
  return addressOf(tuple.remote0, tuple.remote1, tuple.remote2, tuple.remote3);
}

/** Writes the words of an address into a tuple's local or remote side, and its version. */
export function setTupleAddresses(tuple: PacketTuple, local: IpAddress, remote: IpAddress): void {
  tuple.version = local.family;
  [tuple.local0, tuple.local1, tuple.local2, tuple.local3] = wordsOf(local);
  [tuple.remote0, tuple.remote1, tuple.remote2, tuple.remote3] = wordsOf(remote);
}

/** As logs name a protocol. */
export function protocolText(protocol: number): string {
  switch (protocol) {
    case IpProtocol.Tcp:
      return 'tcp';
    case IpProtocol.Udp:
      return 'udp';
    case IpProtocol.Icmp:
      return 'icmp';
    case IpProtocol.Icmpv6:
      return 'icmpv6';
    default:
      return `unknown ${protocol}`;
  }
}

function addressOf(word0: number, word1: number, word2: number, word3: number): IpAddress {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of [word0, word1, word2, word3].entries()) {
    view.setInt32(index * 4, word);
  }
  return addressFromBytes(bytes);
}

function wordsOf(address: IpAddress): [number, number, number, number] {
  const view = new DataView(address.bytes.buffer, address.bytes.byteOffset, address.bytes.byteLength);
  return address.family === 4
    ? [0, 0, mappedWord, view.getInt32(0)]
    : [view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12)];
}
