/**
 * Decides which datagrams without a tunnel (handshakes, recv_errors) reach the primary, so that a flood of them costs
 * this worker a microsecond each and the primary nothing beyond what it has agreed to.
 *
 *   first message, unreadable or of a foreign CA ─▶ a few a second, for the operator's log
 *                  from a peer's present endpoint ─▶ a quota of each address, and one of all
 *                  from anywhere else             ─▶ a quota of each address, and one of all
 *   answer to a handshake of ours                 ─▶ one quota of all
 *   recv_error                                    ─▶ a quota of each address, and one of all
 *
 * The quotas are apart, so garbage does not use up what honest hosts need, and a host with a tunnel is not kept out by
 * strangers. Over the quota is dropped and counted; retries cover it. Allocates nothing per datagram.
 */
import { Quotas } from '../../shared/ipc/quotas.ts';
import type { HostTable } from '../../shared/memory/hostTable.ts';
import { METRIC } from '../../shared/memory/metrics.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import { copySocketAddress, type SocketFamily } from '../../shared/tunnel/socketAddress.ts';
import type { TunnelContexts } from '../../shared/tunnel/tunnelContext.ts';
import { headerCounterHigh, headerCounterLow, headerRemoteIndex } from '../../shared/wire/header.ts';
import { FirstMessage } from './firstMessage.ts';
import { SourceQuotas } from './sourceQuotas.ts';

export interface StrangerParts {
  readonly arena: Arena;
  readonly family: SocketFamily;
  readonly contexts: TunnelContexts;
  readonly hosts: HostTable;
  readonly metrics: Float64Array;
  /** Random: says which addresses share a bucket. */
  readonly seed: number;
  /** Of a public key of the network's curve. */
  readonly keyBytes: number;
}

const ISSUER_WORDS = 8;

export class Strangers {
  readonly #parts: StrangerParts;
  readonly #message: FirstMessage;
  readonly #metrics: Float64Array;
  readonly #all: Quotas = new Quotas(KINDS, 500, 500);
  readonly #dubious: Quotas = new Quotas(1, 2, 10);
  readonly #strangerSources: SourceQuotas;
  readonly #peerSources: SourceQuotas;
  readonly #recvErrorSources: SourceQuotas;
  readonly #address: Uint8Array = new Uint8Array(16);
  readonly #endpoint: Uint8Array = new Uint8Array(16);
  #issuers: Int32Array = new Int32Array(0);

  constructor(parts: StrangerParts) {
    const { arena, family, seed } = parts;
    this.#parts = parts;
    this.#metrics = parts.metrics;
    this.#message = new FirstMessage(parts.keyBytes);
    // Many hosts may sit behind one address, and all come back at once.
    this.#strangerSources = new SourceQuotas(arena, family, seed, 50, 200);
    this.#peerSources = new SourceQuotas(arena, family, ~seed, 5, 20);
    this.#recvErrorSources = new SourceQuotas(arena, family, seed, 10, 20);
  }

  /** Whose certificates count from now on: fingerprints of CAs in hexadecimal. */
  trust(issuers: readonly string[]): void {
    const bytes = Buffer.from(issuers.join(''), 'hex');
    this.#issuers = Int32Array.from({ length: bytes.length / 4 }, (_, word) => bytes.readInt32BE(word * 4));
  }

  /** Whether the primary is to hear of this datagram of type handshake, header included. */
  admitsHandshake(offset: number, length: number, source: number, nowMs: number): boolean {
    const { arena, contexts } = this.#parts;
    const { view } = arena;
    const remoteIndex = headerRemoteIndex(view, offset);
    const isFirst = headerCounterHigh(view, offset) === 0 && headerCounterLow(view, offset) === 1;
    if (!isFirst) {
      return contexts.isExpected(remoteIndex)
        ? this.#admits(ANSWERS, nowMs)
        : this.#admitsDubious(METRIC['drop.rx.handshake_unexpected'], nowMs);
    }
    const message = this.#message;
    if (remoteIndex !== 0 || !message.read(arena.bytes, offset, length)) {
      return this.#admitsDubious(METRIC['drop.rx.handshake_malformed'], nowMs);
    }
    if (!this.#isTrusted(message.issuer)) {
      return this.#admitsDubious(METRIC['drop.rx.handshake_unknown_ca'], nowMs);
    }
    return this.#isPeerAt(source)
      ? this.#admitsFrom(this.#peerSources, source, PEERS, nowMs)
      : this.#admitsFrom(this.#strangerSources, source, STRANGERS, nowMs);
  }

  admitsRecvError(source: number, nowMs: number): boolean {
    return this.#admitsFrom(this.#recvErrorSources, source, RECV_ERRORS, nowMs);
  }

  #admits(kind: number, nowMs: number): boolean {
    return this.#all.admit(kind, nowMs) || this.#drop(METRIC['drop.rx.punt_limit']);
  }

  #admitsFrom(sources: SourceQuotas, source: number, kind: number, nowMs: number): boolean {
    return sources.admit(source, nowMs) ? this.#admits(kind, nowMs) : this.#drop(METRIC['drop.rx.source_limit']);
  }

  #admitsDubious(metric: number, nowMs: number): boolean {
    return this.#dubious.admit(0, nowMs) || this.#drop(metric);
  }

  #drop(metric: number): boolean {
    this.#metrics[metric]++;
    return false;
  }

  #isTrusted(issuer: number): boolean {
    const { view } = this.#parts.arena;
    const issuers = this.#issuers;
    for (let base = 0; base < issuers.length; base += ISSUER_WORDS) {
      let word = 0;
      while (word < ISSUER_WORDS && issuers[base + word] === view.getInt32(issuer + word * 4)) {
        word++;
      }
      if (word === ISSUER_WORDS) {
        return true;
      }
    }
    return false;
  }

  /** Whether the host that the message names has a tunnel here, and from that address, whatever the port. */
  #isPeerAt(source: number): boolean {
    const { arena, hosts, contexts } = this.#parts;
    const { address0, address1, address2, address3 } = this.#message;
    const slot = hosts.lookup(address0, address1, address2, address3);
    if (slot < 0) {
      return false;
    }
    contexts.tunnels.copyEndpointAddress(slot, this.#endpoint, 0);
    copySocketAddress(arena, source, this.#address, 0);
    for (let index = 0; index < 16; index++) {
      if (this.#endpoint[index] !== this.#address[index]) {
        return false;
      }
    }
    return true;
  }
}

/** The quotas of all senders together. */
const STRANGERS = 0;
const PEERS = 1;
const ANSWERS = 2;
const RECV_ERRORS = 3;
const KINDS = 4;
