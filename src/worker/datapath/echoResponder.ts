/**
 * The overlay end of a node without a tun device (`tun.disabled`): answers pings to itself, takes nothing else.
 *
 * A lighthouse needs no device, but its operator wants to see that it is there. The answer is made in place in the
 * receive buffer and needs no look at the rules: the request has just opened its flow in the connection table.
 * (Nebula protocol: tun.disabled.)
 */

import { checksumOf, pseudoSum6 } from '../../shared/ip/checksum.ts';
import {
  FRAGMENT_ANY,
  ICMP_CHECKSUM,
  ICMP_HEADER_BYTES,
  Icmpv6Type,
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_HEADER_BYTES,
  IPV4_PLAIN,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV6_DESTINATION,
  IPV6_HEADER_BYTES,
  IPV6_NEXT_HEADER,
  IPV6_SOURCE,
  IpProtocol,
} from '../../shared/ip/headers.ts';
import type { SumFunction } from '../../shared/ip/packetMemory.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import type { TunnelContext } from '../../shared/tunnel/tunnelContext.ts';
import { MessageType, Subtype } from '../../shared/wire/header.ts';
import type { Overlay } from '../ports/contracts.ts';
import type { Sender } from './sender.ts';

export class EchoResponder implements Overlay {
  readonly #arena: Arena;
  readonly #sum: SumFunction;
  readonly #sender: Sender;

  constructor(arena: Arena, sender: Sender) {
    this.#arena = arena;
    this.#sum = arena.sum;
    this.#sender = sender;
  }

  add(context: TunnelContext, _header: number, offset: number, length: number): void {
    const version = this.#arena.bytes[offset] >>> 4;
    const isAnswer = version === 4 ? this.#answerIpv4(offset, length) : this.#answerIpv6(offset, length);
    if (isAnswer) {
      this.#sender.send(context, MessageType.Message, Subtype.None, 0, offset, length);
    }
  }

  flush(): void {
    // Answers are queued on the socket as they are made.
  }

  /** Only plain headers: no options, no fragments (RFC 792). */
  #answerIpv4(offset: number, length: number): boolean {
    const { bytes, view } = this.#arena;
    const echo = offset + IPV4_HEADER_BYTES;
    if (
      length < IPV4_HEADER_BYTES + ICMP_HEADER_BYTES ||
      bytes[offset] !== IPV4_PLAIN ||
      (view.getUint16(offset + IPV4_FRAGMENT) & FRAGMENT_ANY) !== 0 ||
      bytes[offset + IPV4_PROTOCOL] !== IpProtocol.Icmp ||
      bytes[echo] !== 8
    ) {
      return false;
    }
    const source = view.getUint32(offset + IPV4_SOURCE);
    view.setUint32(offset + IPV4_SOURCE, view.getUint32(offset + IPV4_DESTINATION));
    view.setUint32(offset + IPV4_DESTINATION, source);
    bytes[echo] = 0;
    this.#finishChecksum(echo, length - IPV4_HEADER_BYTES, 0);
    return true;
  }

  /** Only an echo request right behind the IPv6 header (RFC 4443). */
  #answerIpv6(offset: number, length: number): boolean {
    const { bytes, view } = this.#arena;
    const echo = offset + IPV6_HEADER_BYTES;
    if (
      length < IPV6_HEADER_BYTES + ICMP_HEADER_BYTES ||
      bytes[offset + IPV6_NEXT_HEADER] !== IpProtocol.Icmpv6 ||
      bytes[echo] !== Icmpv6Type.EchoRequest
    ) {
      return false;
    }
    for (let word = IPV6_SOURCE as number; word < IPV6_DESTINATION; word += 4) {
      const source = view.getUint32(offset + word);
      view.setUint32(offset + word, view.getUint32(offset + word + 16));
      view.setUint32(offset + word + 16, source);
    }
    bytes[echo] = Icmpv6Type.EchoReply;
    const echoBytes = length - IPV6_HEADER_BYTES;
    this.#finishChecksum(echo, echoBytes, pseudoSum6(view, offset, IpProtocol.Icmpv6) + echoBytes);
    return true;
  }

  #finishChecksum(echo: number, length: number, pseudo: number): void {
    const { view } = this.#arena;
    view.setUint16(echo + ICMP_CHECKSUM, 0);
    view.setUint16(echo + ICMP_CHECKSUM, checksumOf(pseudo + this.#sum(echo, length)));
  }
}
