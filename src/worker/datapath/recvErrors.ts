/**
 * Answers packets that name a tunnel this node does not have, so that a peer notices a restart at once.
 *
 * The answer is a bare header, unauthenticated and no longer than what provoked it. It goes only where
 * `listen.send_recv_error` allows, and at a bounded rate: it must not serve to reflect a flood. (Nebula protocol:
 * recv_error.)
 */
import { METRIC } from '../../shared/memory/metrics.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import { copySocketAddress } from '../../shared/tunnel/socketAddress.ts';
import { HEADER_BYTES, MessageType, writeHeader } from '../../shared/wire/header.ts';
import type { DatagramSink } from '../ports/contracts.ts';

/** Answers per second and worker. */
const ANSWERS_PER_SECOND = 200;

export class RecvErrors {
  readonly #arena: Arena;
  readonly #udp: DatagramSink;
  readonly #metrics: Float64Array;
  readonly #policy: 'always' | 'never' | 'private';
  readonly #address = new Uint8Array(16);
  #secondStartMs = 0;
  #sentInSecond = 0;

  constructor(arena: Arena, udp: DatagramSink, metrics: Float64Array, policy: 'always' | 'never' | 'private') {
    this.#arena = arena;
    this.#udp = udp;
    this.#metrics = metrics;
    this.#policy = policy;
  }

  /** Tells the sender at socket address `source` that `index` is unknown here. */
  answer(index: number, source: number, nowMs: number): void {
    if (this.#policy === 'never' || (this.#policy === 'private' && !this.#isPrivate(source))) {
      return;
    }
    if (nowMs - this.#secondStartMs >= 1000) {
      this.#secondStartMs = nowMs;
      this.#sentInSecond = 0;
    }
    const target = this.#sentInSecond < ANSWERS_PER_SECOND ? this.#udp.reserve(HEADER_BYTES) : -1;
    if (target < 0) {
      return;
    }
    this.#sentInSecond++;
    writeHeader(this.#arena.view, target, MessageType.RecvError, 0, 0, index, 0, 0);
    this.#udp.commit(HEADER_BYTES, source);
    this.#metrics[METRIC['messages.tx.recv_error']]++;
  }

  /** RFC 1918 and RFC 4193 addresses. */
  #isPrivate(source: number): boolean {
    const address = this.#address;
    copySocketAddress(this.#arena, source, address, 0);
    const isIpv4 = address[10] === 0xff && address[11] === 0xff && address[0] === 0;
    if (!isIpv4) {
      return (address[0] & 0xfe) === 0xfc;
    }
    const [a, b] = [address[12], address[13]];
    return a === 10 || (a === 172 && (b & 0xf0) === 16) || (a === 192 && b === 168);
  }
}
