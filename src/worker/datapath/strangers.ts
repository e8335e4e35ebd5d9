/**
 * Decides which datagrams without a tunnel (handshakes, recv_errors) reach the primary, so that a flood of them costs
 * this worker a microsecond each and the primary nothing beyond what it has agreed to.
 *
 *   first message, unreadable or of a foreign CA ─▶ a few a second, for the operator's log
 *                  from a peer's present endpoint ─▶ a quota of each address and host, and one of all
 *                  from anywhere else             ─▶ quotas of address and host, host, address, and one of all
 *   answer to a handshake of ours                 ─▶ one quota of all
 *   recv_error                                    ─▶ a quota of each address, and one of all
 *
 * A host is what a certificate names. Nobody can make new certificates, so a replayed or altered message is stopped by
 * its host's quota, or is not worth its signature and cheap to the primary; hosts that come back all at once, through
 * one address even, are not stopped. The quotas are apart: garbage does not use up what honest hosts need, and a host
 * with a tunnel is not kept out by strangers. Over the quota is dropped and counted; retries cover it.
 * Allocates nothing per datagram.
 */

import type { HostTable } from '../../shared/memory/hostTable.ts';
import { METRIC } from '../../shared/memory/metrics.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import { copySocketAddress, type SocketFamily } from '../../shared/tunnel/socketAddress.ts';
import type { TunnelContexts } from '../../shared/tunnel/tunnelContext.ts';
import { headerCounterHigh, headerCounterLow, headerRemoteIndex } from '../../shared/wire/header.ts';
import { Quotas } from '../quotas.ts';
import { FirstMessage } from './firstMessage.ts';
import { addressHash, sourceHash } from './senderHash.ts';

export interface StrangerParts {
  readonly arena: Arena;
  readonly family: SocketFamily;
  readonly contexts: TunnelContexts;
  readonly hosts: HostTable;
  readonly metrics: Float64Array;
  /** Random: says which addresses share a bucket. */
  readonly seed: number;
  /** Rates that one sender may reach on all workers are divided by their number: steering spreads its messages. */
  readonly workers: number;
  /** Of a public key of the network's curve. */
  readonly keyBytes: number;
}

const ISSUER_WORDS = 8;

export class Strangers {
  readonly #parts: StrangerParts;
  readonly #message: FirstMessage;
  readonly #metrics: Float64Array;
  readonly #all: Quotas;
  readonly #dubious: Quotas = new Quotas(1, 2, 10);
  readonly #peers: Quotas = new Quotas(SENDERS, 5, 20);
  readonly #recvErrors: Quotas = new Quotas(SENDERS, 10, 20);
  /** By underlay address and host; by host; by underlay address. */
  readonly #hostSources: Quotas = new Quotas(SENDERS, 2, 10);
  readonly #hosts: Quotas = new Quotas(SENDERS, 20, 40);
  readonly #sources: Quotas;
  readonly #address: Uint8Array = new Uint8Array(16);
  readonly #endpoint: Uint8Array = new Uint8Array(16);
  #issuers: Int32Array = new Int32Array(0);

  constructor(parts: StrangerParts) {
    this.#parts = parts;
    this.#metrics = parts.metrics;
    this.#message = new FirstMessage(parts.keyBytes);
    this.#all = new Quotas(KINDS, 2000 / parts.workers, 500);
    this.#sources = new Quotas(SENDERS, 1500 / parts.workers, 400);
  }

  /** Whose certificates count from now on: fingerprints of CAs in hexadecimal. */
  trust(issuers: Iterable<string>): void {
    const bytes = Buffer.from([...issuers].join(''), 'hex');
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
    return this.#admitsHost(source, nowMs);
  }

  admitsRecvError(source: number, nowMs: number): boolean {
    return this.#recvErrors.admit(this.#sourceHash(source) & SENDERS_MASK, nowMs)
      ? this.#admits(RECV_ERRORS, nowMs)
      : this.#drop(METRIC['drop.rx.source_limit']);
  }

  /** For a message that names a host with a certificate of our CAs. */
  #admitsHost(source: number, nowMs: number): boolean {
    const { address0, address1, address2, address3 } = this.#message;
    const from = this.#sourceHash(source);
    const host = addressHash(this.#parts.seed, address0, address1, address2, address3) & SENDERS_MASK;
    const hostSource = addressHash(from, address0, address1, address2, address3) & SENDERS_MASK;
    if (this.#isPeerAt(source)) {
      return this.#peers.admit(hostSource, nowMs)
        ? this.#admits(PEERS, nowMs)
        : this.#drop(METRIC['drop.rx.host_limit']);
    }
    if (!this.#hostSources.admit(hostSource, nowMs) || !this.#hosts.admit(host, nowMs)) {
      return this.#drop(METRIC['drop.rx.host_limit']);
    }
    return this.#sources.admit(from & SENDERS_MASK, nowMs)
      ? this.#admits(STRANGERS, nowMs)
      : this.#drop(METRIC['drop.rx.source_limit']);
  }

  #sourceHash(source: number): number {
    const { arena, family, seed } = this.#parts;
    return sourceHash(arena, family, source, seed);
  }

  #admits(kind: number, nowMs: number): boolean {
    return this.#all.admit(kind, nowMs) || this.#drop(METRIC['drop.rx.punt_limit']);
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

/** Quotas by sender: a power of two. */
const SENDERS = 8192;
const SENDERS_MASK = SENDERS - 1;
