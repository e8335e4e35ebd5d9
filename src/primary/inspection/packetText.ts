/**
 * A packet tuple in words, for logs and the command line, and a tuple from addresses. Cold: allocates freely.
 */

import type { IpAddress } from '../../shared/ip/address.ts';
import { IpProtocol } from '../../shared/ip/headers.ts';
import { addressOfWords, addressWords } from '../../shared/ip/networkWords.ts';
import type { PacketTuple } from '../../shared/ip/packetTuple.ts';

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
  return addressOfWords(tuple.local0, tuple.local1, tuple.local2, tuple.local3);
}

export function remoteAddress(tuple: PacketTuple): IpAddress {
  return addressOfWords(tuple.remote0, tuple.remote1, tuple.remote2, tuple.remote3);
}

/** Writes the words of an address into a tuple's local or remote side, and its version. */
export function setTupleAddresses(tuple: PacketTuple, local: IpAddress, remote: IpAddress): void {
  tuple.version = local.family;
  [tuple.local0, tuple.local1, tuple.local2, tuple.local3] = addressWords([local]);
  [tuple.remote0, tuple.remote1, tuple.remote2, tuple.remote3] = addressWords([remote]);
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
