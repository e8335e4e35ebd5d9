/**
 * The overlay end of a node without a tun device (`tun.disabled`): answers pings to itself, takes nothing else.
 *
 * A lighthouse needs no device, but its operator wants to see that it is there. The answer is made in place in the
 * receive buffer and needs no look at the rules: the request has just opened its flow in the connection table.
 * (Nebula protocol: tun.disabled.)
 */
import { checksumOf, pseudoSum6 } from '../../shared/ip/checksum.ts';
import type { SumFunction } from '../../shared/ip/packetMemory.ts';
import { IpProtocol } from '../../shared/ip/packetTuple.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import type { TunnelContext } from '../../shared/tunnel/tunnelContext.ts';
import { MessageType, Subtype } from '../../shared/wire/header.ts';
import type { Overlay } from '../ports/contracts.ts';
import type { Sender } from './sender.ts';

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const ECHO_BYTES_MIN = 8;
const FRAGMENT_BITS = 0x3fff;

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
      length < IPV4_HEADER_BYTES + ECHO_BYTES_MIN ||
      bytes[offset] !== 0x45 ||
      (view.getUint16(offset + 6) & FRAGMENT_BITS) !== 0 ||
      bytes[offset + 9] !== IpProtocol.Icmp ||
      bytes[echo] !== 8
    ) {
      return false;
    }
    const source = view.getUint32(offset + 12);
    view.setUint32(offset + 12, view.getUint32(offset + 16));
    view.setUint32(offset + 16, source);
    bytes[echo] = 0;
    this.#finishChecksum(echo, length - IPV4_HEADER_BYTES, 0);
    return true;
  }

  /** Only an echo request right behind the IPv6 header (RFC 4443). */
  #answerIpv6(offset: number, length: number): boolean {
    const { bytes, view } = this.#arena;
    const echo = offset + IPV6_HEADER_BYTES;
    if (length < IPV6_HEADER_BYTES + ECHO_BYTES_MIN || bytes[offset + 6] !== IpProtocol.Icmpv6 || bytes[echo] !== 128) {
      return false;
    }
    for (let word = 8; word < 24; word += 4) {
      const source = view.getUint32(offset + word);
      view.setUint32(offset + word, view.getUint32(offset + word + 16));
      view.setUint32(offset + word + 16, source);
    }
    bytes[echo] = 129;
    const echoBytes = length - IPV6_HEADER_BYTES;
    this.#finishChecksum(echo, echoBytes, pseudoSum6(view, offset, IpProtocol.Icmpv6) + echoBytes);
    return true;
  }

  #finishChecksum(echo: number, length: number, pseudo: number): void {
    const { view } = this.#arena;
    view.setUint16(echo + 2, 0);
    view.setUint16(echo + 2, checksumOf(pseudo + this.#sum(echo, length)));
  }
}
