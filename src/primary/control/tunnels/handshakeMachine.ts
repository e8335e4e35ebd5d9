/**
 * One handshake, from either side, as a value that is fed packets: Noise, payload and certificate together, and
 * nothing else. Knows no table, no timer, no address; failures are values.
 *
 *   initiator:  start ──message 1──▶            finish(message 2) ──▶ CompletedHandshake, or reopen()
 *   responder:            read(message 1) ──▶ (the caller decides) ──▶ reply ──message 2──▶ CompletedHandshake
 *
 * (Nebula protocol: handshake.) The header is not part of the transcript: what it says is for the caller to check.
 */

import type { Certificate } from '../../../shared/cert/certificate.ts';
import { CertificateError } from '../../../shared/cert/certificateError.ts';
import type { Cipher } from '../../../shared/crypto/aead.ts';
import type { Curve } from '../../../shared/crypto/curve.ts';
import type { DhKeyPair } from '../../../shared/crypto/dh.ts';
import { CERTIFICATE_BYTES_MAX } from '../../../shared/memory/tunnelTable.ts';
import { HEADER_BYTES, MessageType, Subtype, writeHeader } from '../../../shared/wire/header.ts';
import type { CaPool } from '../../pki/caPool.ts';
import { handshakeForm } from '../../pki/handshakeForm.ts';
import type { Identity } from '../../pki/identity.ts';
import type { VerifiedCertificate } from '../../pki/verifiedCertificates.ts';
import { decodeHandshakePayload, encodeHandshakePayload, type HandshakePayload } from '../noise/handshakePayload.ts';
import { HandshakeState } from '../noise/handshakeState.ts';

/** What one side brings along. The identity is a snapshot: a reload does not touch a handshake that is under way. */
export interface HandshakeSetup {
  readonly identity: Identity;
  readonly cipher: Cipher;
}

/** What a message that we write needs and that must not be used for another handshake. */
export interface FreshParts {
  readonly localIndex: number;
  readonly ephemeralKeys: DhKeyPair;
  readonly timeNs: bigint;
}

export interface CompletedHandshake {
  readonly isInitiator: boolean;
  readonly cipher: Cipher;
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  readonly ownCertificate: Certificate;
  readonly peer: HandshakePeer;
}

/** What the peer's message says; its certificate has been verified, its possession of the key only by message 2. */
export interface HandshakePeer {
  readonly certificate: Certificate;
  /** The certificate of the CA that it was verified with. */
  readonly ca: Certificate;
  /** The time the peer wrote, on its own clock. */
  readonly timeNs: bigint;
  /** False for releases before 1.10: they send recv_error for packets of a live tunnel (Nebula protocol: old peers). */
  readonly sendsCertificateVersion: boolean;
  readonly index: number;
}

export const HandshakeFault = {
  /** Noise could not read it: truncated, forged, another cipher or curve. Not fatal for an initiator. */
  Unreadable: 'unreadable',
  BadPayload: 'bad_payload',
  BadCertificate: 'bad_certificate',
  /** We have no certificate to show. */
  NoCertificate: 'no_certificate',
} as const;
export type HandshakeFault = (typeof HandshakeFault)[keyof typeof HandshakeFault];

export interface HandshakeFailure {
  readonly fault: HandshakeFault;
  readonly detail: string;
}

export class Initiator {
  /** Message 1 with its header: the same bytes go out on every attempt. */
  readonly packet: Uint8Array;
  readonly #setup: HandshakeSetup;
  readonly #noise: HandshakeState;
  readonly #localIndex: number;
  readonly #ownCertificate: Certificate;

  private constructor(
    setup: HandshakeSetup,
    localIndex: number,
    noise: HandshakeState,
    own: Certificate,
    packet: Uint8Array,
  ) {
    this.#setup = setup;
    this.#localIndex = localIndex;
    this.#noise = noise;
    this.#ownCertificate = own;
    this.packet = packet;
  }

  /** Builds message 1 with our certificate of `version`; a failure when there is none. */
  static start(setup: HandshakeSetup, version: 1 | 2, fresh: FreshParts): Initiator | HandshakeFailure {
    const own = certificateOf(setup.identity, version);
    if (own === null) {
      return failure(HandshakeFault.NoCertificate, `this host has no certificate of version ${version}`);
    }
    const noise = noiseOf(setup, true);
    const message = noise.writeMessage(
      encodeHandshakePayload({
        certificate: handshakeForm(own),
        initiatorIndex: fresh.localIndex,
        responderIndex: 0,
        timeNs: fresh.timeNs,
        certificateVersion: own.version,
      }),
      fresh.ephemeralKeys,
    );
    if (message === null) {
      throw new Error('message 1 has no key agreement that could fail');
    }
    return new Initiator(setup, fresh.localIndex, noise, own, packetOf(message, 0, 1));
  }

  /**
   * Reads message 2 (a whole packet, header included). Anybody who has seen message 1 can answer it, so a failure leaves
   * the handshake as it was: go on waiting. `pool` is the one in force now, not that of the snapshot.
   */
  finish(packet: Uint8Array, pool: CaPool, unixSeconds: number): CompletedHandshake | HandshakeFailure {
    const body = this.#noise.readMessage(packet.subarray(HEADER_BYTES));
    if (body === null) {
      return failure(HandshakeFault.Unreadable, 'message 2 is not authentic or malformed');
    }
    const { curve } = this.#setup.identity;
    const peer = readPeer(body, this.#noise, curve, (payload) => payload.responderIndex, pool, unixSeconds);
    if ('fault' in peer) {
      this.#noise.unread();
      return peer;
    }
    const [sendKey, receiveKey] = this.#noise.split();
    return {
      isInitiator: true,
      cipher: this.#setup.cipher,
      localIndex: this.#localIndex,
      remoteIndex: peer.index,
      sendKey,
      receiveKey,
      ownCertificate: this.#ownCertificate,
      peer,
    };
  }

  /** What `finish` returned is of no use, though authentic: waits for another message 2. */
  reopen(): void {
    this.#noise.unread();
  }
}

export class Responder {
  readonly peer: HandshakePeer;
  readonly #setup: HandshakeSetup;
  readonly #noise: HandshakeState;

  private constructor(setup: HandshakeSetup, noise: HandshakeState, peer: HandshakePeer) {
    this.#setup = setup;
    this.#noise = noise;
    this.peer = peer;
  }

  /** Reads message 1 (a whole packet, header included) and verifies the certificate in it. */
  static read(setup: HandshakeSetup, packet: Uint8Array, unixSeconds: number): Responder | HandshakeFailure {
    const noise = noiseOf(setup, false);
    const body = noise.readMessage(packet.subarray(HEADER_BYTES));
    if (body === null) {
      return failure(HandshakeFault.Unreadable, 'message 1 is malformed');
    }
    const { curve, caPool } = setup.identity;
    const peer = readPeer(body, noise, curve, (payload) => payload.initiatorIndex, caPool, unixSeconds);
    return 'fault' in peer ? peer : new Responder(setup, noise, peer);
  }

  /** Builds message 2, with a certificate of the peer's version when we have one. */
  reply(fresh: FreshParts): { readonly packet: Uint8Array; readonly completed: CompletedHandshake } | HandshakeFailure {
    const { identity, cipher } = this.#setup;
    const own =
      certificateOf(identity, this.peer.certificate.version) ?? certificateOf(identity, identity.initiatingVersion);
    if (own === null) {
      return failure(HandshakeFault.NoCertificate, 'this host has no certificate');
    }
    const message = this.#noise.writeMessage(
      encodeHandshakePayload({
        certificate: handshakeForm(own),
        initiatorIndex: this.peer.index,
        responderIndex: fresh.localIndex,
        timeNs: fresh.timeNs,
        certificateVersion: own.version,
      }),
      fresh.ephemeralKeys,
    );
    if (message === null) {
      return failure(HandshakeFault.Unreadable, 'message 1 has a key that is no point of the curve');
    }
    const [receiveKey, sendKey] = this.#noise.split();
    const completed: CompletedHandshake = {
      isInitiator: false,
      cipher,
      localIndex: fresh.localIndex,
      remoteIndex: this.peer.index,
      sendKey,
      receiveKey,
      ownCertificate: own,
      peer: this.peer,
    };
    return { packet: packetOf(message, this.peer.index, 2), completed };
  }
}

/** Our certificate of a version, or null. */
export function certificateOf(identity: Identity, version: number): Certificate | null {
  return identity.certificates.find((certificate) => certificate.version === version) ?? null;
}

function noiseOf(setup: HandshakeSetup, isInitiator: boolean): HandshakeState {
  const { identity, cipher } = setup;
  return new HandshakeState({ cipher, curve: identity.curve, isInitiator, staticKeys: identity });
}

function packetOf(message: Uint8Array, remoteIndex: number, counter: number): Uint8Array {
  const packet = new Uint8Array(HEADER_BYTES + message.length);
  writeHeader(new DataView(packet.buffer), 0, MessageType.Handshake, Subtype.IxPsk0, 0, remoteIndex, 0, counter);
  packet.set(message, HEADER_BYTES);
  return packet;
}

function readPeer(
  body: Uint8Array,
  noise: HandshakeState,
  curve: Curve,
  indexOf: (payload: HandshakePayload) => number,
  pool: CaPool,
  unixSeconds: number,
): HandshakePeer | HandshakeFailure {
  const payload = decodeHandshakePayload(body);
  const publicKey = noise.remoteStatic;
  if (payload === null || publicKey === null) {
    return failure(HandshakeFault.BadPayload, 'the handshake payload is malformed or incomplete');
  }
  const index = indexOf(payload);
  if (index === 0) {
    return failure(HandshakeFault.BadPayload, 'the handshake payload does not name the index of its sender');
  }
  const verified = verifyCertificate(payload, publicKey, curve, pool, unixSeconds);
  if (!('ca' in verified)) {
    return verified;
  }
  const { certificate } = verified;
  if (certificate.isCa) {
    // Whoever has a CA's key can sign anything; a host that carries it about is a mistake or worse.
    return failure(HandshakeFault.BadCertificate, 'a CA certificate is not a host');
  }
  if (certificate.networks.length === 0 || certificate.encoded.length > CERTIFICATE_BYTES_MAX) {
    return failure(HandshakeFault.BadCertificate, 'the certificate has no network or is too large');
  }
  return {
    certificate,
    ca: verified.ca,
    timeNs: payload.timeNs,
    sendsCertificateVersion: payload.certificateVersion !== 0,
    index,
  };
}

/** The sender leaves its public key out of the certificate because Noise has carried it: put it back. */
function verifyCertificate(
  payload: HandshakePayload,
  publicKey: Uint8Array,
  curve: Curve,
  pool: CaPool,
  unixSeconds: number,
): VerifiedCertificate | HandshakeFailure {
  try {
    const { certificate, certificateVersion } = payload;
    const verdict = pool.verifyHandshake(certificate, certificateVersion, publicKey, curve, unixSeconds);
    return 'ca' in verdict
      ? verdict
      : failure(HandshakeFault.BadCertificate, withDetail(verdict.fault, verdict.detail));
  } catch (error) {
    if (error instanceof CertificateError) {
      return failure(HandshakeFault.BadCertificate, error.message);
    }
    throw error;
  }
}

function withDetail(fault: string, detail: string): string {
  return detail === '' ? fault : `${fault}: ${detail}`;
}

function failure(fault: HandshakeFault, detail: string): HandshakeFailure {
  return { fault, detail };
}
