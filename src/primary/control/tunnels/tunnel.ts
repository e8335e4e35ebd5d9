/**
 * One tunnel as the control plane remembers it: what the handshake gave, where its row is, and the marks that the
 * checks and the roaming rule leave between two events. Its keys are in the store only.
 */

import type { Certificate } from '../../../shared/cert/certificate.ts';
import type { Endpoint, IpAddress } from '../../../shared/ip/address.ts';
import type { Now } from '../now.ts';
import type { CompletedHandshake, HandshakePeer } from './handshakeMachine.ts';
import { Traffic } from './tunnelStore.ts';

/** How far ahead of ours a peer's clock may be before its time is cut to this. */
export const CLOCK_MARGIN_MS = 10_000;

/** A responder's memory of the exchange, to answer a repeated message 1 with the same message 2. */
export interface AnsweredHandshake {
  /** Fingerprint of message 1 without its header. */
  readonly requestDigest: string;
  /** Message 2 with its header. */
  readonly answer: Uint8Array;
}

export interface TunnelOrigin {
  readonly handshake: CompletedHandshake;
  readonly slot: number;
  readonly generation: number;
  readonly endpoint: Endpoint | null;
  readonly answered: AnsweredHandshake | null;
  /** When message 2 was sent, or read. */
  readonly created: Now;
}

export class Tunnel {
  readonly slot: number;
  readonly generation: number;
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly isInitiator: boolean;
  readonly peer: HandshakePeer;
  /** Our certificate that the peer has seen. */
  readonly ownCertificate: Certificate;
  /** All addresses of the peer's certificate, in its order; never empty. */
  readonly vpnAddresses: readonly IpAddress[];
  readonly answered: AnsweredHandshake | null;
  readonly createdMs: number;
  /**
   * The peer's time in the handshake, by its own clock, but at most a little ahead of ours then: handshakes that are not
   * newer are replays. A peer whose clock was far ahead once is not locked out when it goes right again.
   */
  readonly handshakeTimeNs: bigint;

  /** Null while the peer is reachable only through a relay. */
  endpoint: Endpoint | null;
  /** The next check: an id of the owner's timers, 0 when none is scheduled. */
  timer: number = 0;
  /** A test was sent, or the tunnel is not in use: without inbound traffic the next check ends it. */
  isPendingDeletion: boolean = false;
  /** Traffic marks taken from the store before the next check looks; a new tunnel counts as having sent. */
  carriedTraffic: number = Traffic.Out;
  lastUsedMs: number;
  lastSentCount: number = 0;
  lastRequeryMs: number;
  /** Tests for recv_errors since the last inbound traffic, and the time of the first of them. */
  probeCount: number = 0;
  firstProbeMs: number = 0;
  /** When a stranger's datagram last made us test it. */
  probedMs: number = Number.NEGATIVE_INFINITY;
  roamedFrom: Endpoint | null = null;
  roamedMs: number = 0;

  constructor(origin: TunnelOrigin) {
    const { handshake } = origin;
    this.slot = origin.slot;
    this.generation = origin.generation;
    this.localIndex = handshake.localIndex;
    this.remoteIndex = handshake.remoteIndex;
    this.isInitiator = handshake.isInitiator;
    this.peer = handshake.peer;
    this.ownCertificate = handshake.ownCertificate;
    this.vpnAddresses = handshake.peer.certificate.networks.map((network) => network.address);
    this.answered = origin.answered;
    this.createdMs = origin.created.ms;
    this.handshakeTimeNs = atMost(handshake.peer.timeNs, origin.created.unixMs + CLOCK_MARGIN_MS);
    this.endpoint = origin.endpoint;
    this.lastUsedMs = origin.created.ms;
    this.lastRequeryMs = origin.created.ms;
  }

  /** The peer's first address: the one that names the peer where one name is needed. */
  get vpnAddress(): IpAddress {
    return this.vpnAddresses[0];
  }
}

function atMost(timeNs: bigint, unixMs: number): bigint {
  const limitNs = BigInt(Math.floor(unixMs)) * 1_000_000n;
  return timeNs < limitNs ? timeNs : limitNs;
}
