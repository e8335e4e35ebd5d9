/**
 * Answers handshakes that others start. A stranger's datagram reaches this file, so the order is: cheap checks, then
 * repeated requests from memory, then the certificate, then conflicts with what we have, and key agreement last.
 *
 *   message 1 ─▶ seen already? ─▶ the same message 2 again
 *             ─▶ unreadable, not verified, myself, not allowed from there ─▶ dropped
 *             ─▶ not newer than the primary tunnel ─▶ that tunnel is tested instead
 *             ─▶ message 2, unconfirmed tunnel, test request ─▶ first authentic packet ─▶ confirmed: primary
 *
 * Whatever message 1 says may be a copy or a replay, so before that packet nothing that exists changes: no host, no
 * endpoint, no other tunnel, no line in the log that names a peer. (Nebula protocol: responder path; Nebula itself makes
 * the tunnel primary at once.)
 */
import type { Certificate } from '../../../shared/cert/certificate.ts';
import { generateKeyPair, PRIVATE_KEY_BYTES } from '../../../shared/crypto/dh.ts';
import { type Endpoint, prefixContains } from '../../../shared/ip/address.ts';
import { type Now, unixSecondsOf } from '../now.ts';
import type { Context } from './context.ts';
import { type HandshakePeer, Responder } from './handshakeMachine.ts';
import type { Handshakes } from './handshakes.ts';
import { peerFields, tunnelFields } from './peerFields.ts';
import type { Tunnel } from './tunnel.ts';
import { requestDigest, type Tunnels } from './tunnels.ts';

export class HandshakeAnswers {
  readonly #context: Context;
  readonly #tunnels: Tunnels;
  readonly #handshakes: Handshakes;

  constructor(context: Context, tunnels: Tunnels, handshakes: Handshakes) {
    this.#context = context;
    this.#tunnels = tunnels;
    this.#handshakes = handshakes;
  }

  get nextMs(): number | null {
    return this.#tunnels.unconfirmed.nextMs;
  }

  /** Takes a message 1: a whole packet of type handshake whose header has counter 1 and remote index 0. */
  onRequest(now: Now, packet: Uint8Array, from: Endpoint): void {
    const { outbox, identity, cipher } = this.#context;
    const digest = requestDigest(packet);
    const { hosts, unconfirmed } = this.#tunnels;
    const known = hosts.byRequestDigest(digest) ?? unconfirmed.byRequestDigest(digest);
    if (known?.answered) {
      this.#answerAgain(known, known.answered.answer, from);
      return;
    }
    const responder = Responder.read({ identity, cipher }, packet, unixSecondsOf(now));
    if ('fault' in responder) {
      outbox.count(`handshakes.rejected.${responder.fault}`);
      outbox.log('info', 'Handshake refused', { from: from.text, error: responder.detail });
      this.#context.troubles.callRefused(now, from, responder.detail);
      return;
    }
    if (this.#isAcceptable(now, responder.peer, from)) {
      this.#answer(now, responder, digest, from);
    }
  }

  /**
   * An authentic packet came through a tunnel, from `from`. Confirms it and returns true when it was an unconfirmed one.
   */
  onPacket(now: Now, slot: number, generation: number, from: Endpoint): boolean {
    const tunnel = this.#tunnels.unconfirmed.bySlot(slot, generation);
    if (tunnel === null) {
      return false;
    }
    const { outbox, remoteFilter } = this.#context;
    const { certificate } = tunnel.peer;
    const isAllowed = remoteFilter.allowsAll(tunnel.vpnAddresses, from.address);
    if (!tunnel.isInitiator && this.#tunnels.hosts.primary(tunnel.vpnAddress) !== null) {
      outbox.log('info', 'Taking new handshake', peerFields(certificate, from));
    }
    this.#tunnels.confirm(now, tunnel, isAllowed ? from : null);
    this.#handshakes.withdraw(tunnel.vpnAddresses);
    if (tunnel.isInitiator) {
      return true;
    }
    outbox.count('handshakes.completed');
    outbox.log('info', this.#hasCommonNetwork(certificate) ? RECEIVED : `${RECEIVED}, but no vpnNetworks in common`, {
      ...peerFields(certificate, from),
      initiatorIndex: tunnel.remoteIndex,
      responderIndex: tunnel.localIndex,
      handshake: { stage: 1, style: 'ix_psk0' },
    });
    return true;
  }

  /** Asks initiators that say nothing again, and forgets those that never do. */
  onTimer(now: Now): void {
    const { unconfirmed } = this.#tunnels;
    for (let due = unconfirmed.takeDue(now.ms); due !== null; due = unconfirmed.takeDue(now.ms)) {
      if (due.isOver) {
        this.#expire(due.tunnel);
      } else {
        this.#tunnels.test(due.tunnel, null);
      }
    }
  }

  #expire(tunnel: Tunnel): void {
    const { outbox } = this.#context;
    outbox.count('handshakes.unconfirmed_expired');
    outbox.log('info', tunnel.isInitiator ? UNUSED : UNPROVED, tunnelFields(tunnel));
    this.#tunnels.discard(tunnel, 'never confirmed');
  }

  #isAcceptable(now: Now, peer: HandshakePeer, from: Endpoint): boolean {
    const { outbox, remoteFilter } = this.#context;
    const addresses = peer.certificate.networks.map((network) => network.address);
    const fields = { ...peerFields(peer.certificate, from), initiatorIndex: peer.index };
    if (addresses.some((address) => this.#context.isOwnAddress(address))) {
      outbox.count('handshakes.rejected.own_address');
      outbox.log('error', 'Refusing to handshake with myself', fields);
      return false;
    }
    if (!remoteFilter.allowsAll(addresses, from.address)) {
      outbox.count('handshakes.rejected.remote_not_allowed');
      outbox.log('debug', 'lighthouse.remote_allow_list denied incoming handshake', fields);
      return false;
    }
    const primary = this.#tunnels.hosts.primary(addresses[0]);
    if (primary !== null && !primary.isInitiator && primary.handshakeTimeNs >= peer.timeNs) {
      outbox.count('handshakes.rejected.too_old');
      outbox.log('info', 'Handshake too old', fields);
      this.#tunnels.probe(now, primary);
      return false;
    }
    return true;
  }

  #answer(now: Now, responder: Responder, digest: string, from: Endpoint): void {
    const { outbox, localIndexes, identity, random } = this.#context;
    const localIndex = localIndexes.draw();
    if (localIndex === null) {
      outbox.count('handshakes.no_index');
      return;
    }
    const ephemeralKeys = generateKeyPair(identity.curve, random(PRIVATE_KEY_BYTES));
    const reply = responder.reply({ localIndex, ephemeralKeys, timeNs: this.#context.handshakeTimeNs(now) });
    if ('fault' in reply) {
      localIndexes.release(localIndex);
      outbox.count(`handshakes.rejected.${reply.fault}`);
      outbox.log('info', 'Handshake refused', { from: from.text, error: reply.detail });
      return;
    }
    const answered = { requestDigest: digest, answer: reply.packet };
    if (this.#tunnels.admit(now, reply.completed, from, answered) !== null) {
      outbox.count('handshakes.answered');
      outbox.log('debug', 'Handshake message sent', {
        ...peerFields(responder.peer.certificate, from),
        handshake: STAGE_2,
        cached: false,
      });
    }
  }

  /** The peer repeats itself because our answer was lost or is under way: nothing new is made. */
  #answerAgain(tunnel: Tunnel, answer: Uint8Array, from: Endpoint): void {
    const { outbox, remoteFilter } = this.#context;
    if (!remoteFilter.allowsAll(tunnel.vpnAddresses, from.address)) {
      outbox.count('handshakes.rejected.remote_not_allowed');
      return;
    }
    outbox.count('handshakes.answered_again');
    outbox.push({ kind: 'sendDatagram', endpoint: from, bytes: answer });
    const current = tunnel.endpoint?.address ?? null;
    const isBetter = current !== null && this.#context.isPreferred(from.address) && !this.#context.isPreferred(current);
    // Anybody can repeat a message 1: only a packet that the peer seals may say where it is.
    if (isBetter || this.#tunnels.unconfirmed.has(tunnel)) {
      this.#tunnels.test(tunnel, from);
    }
    outbox.log('debug', 'Handshake message sent', {
      ...peerFields(tunnel.peer.certificate, from),
      handshake: STAGE_2,
      cached: true,
    });
  }

  #hasCommonNetwork(certificate: Certificate): boolean {
    return this.#context.identity.networks.some((own) =>
      certificate.networks.some((network) => prefixContains(own, network.address)),
    );
  }
}

const RECEIVED = 'Handshake message received';
const UNPROVED = 'Whoever called in the name of a host has not shown its key';
const UNUSED = 'A peer does not use the tunnel that should replace another';
const STAGE_2 = { stage: 2, style: 'ix_psk0' } as const;
