/**
 * Answers handshakes that others start. A stranger's datagram reaches this file, so the order is: cheap checks, then
 * repeated requests from memory, then the certificate, then conflicts with what we have, and key agreement last.
 *
 *   message 1 ─▶ seen already? ─▶ the same message 2 again
 *             ─▶ unreadable, not verified, myself, not allowed from there ─▶ dropped
 *             ─▶ not newer than the primary tunnel ─▶ that tunnel is tested instead
 *             ─▶ message 2, tunnel, primary at once
 *
 * (Nebula protocol: responder path.)
 */
import type { Certificate } from '../../shared/cert/certificate.ts';
import { generateKeyPair, PRIVATE_KEY_BYTES } from '../../shared/crypto/dh.ts';
import { type Endpoint, prefixContains } from '../../shared/ip/address.ts';
import type { Context } from './context.ts';
import { type HandshakePeer, Responder } from './handshakeMachine.ts';
import { type Now, unixSecondsOf } from './now.ts';
import { peerFields } from './peerFields.ts';
import type { Tunnel } from './tunnel.ts';
import { requestDigest, type Tunnels } from './tunnels.ts';

export class HandshakeAnswers {
  readonly #context: Context;
  readonly #tunnels: Tunnels;

  constructor(context: Context, tunnels: Tunnels) {
    this.#context = context;
    this.#tunnels = tunnels;
  }

  /** Takes a message 1: a whole packet of type handshake whose header has counter 1 and remote index 0. */
  onRequest(now: Now, packet: Uint8Array, from: Endpoint): void {
    const { outbox, identity, cipher } = this.#context;
    const digest = requestDigest(packet);
    const known = this.#tunnels.hosts.byRequestDigest(digest);
    if (known?.answered) {
      this.#answerAgain(known, known.answered.answer, from);
      return;
    }
    const responder = Responder.read({ identity, cipher }, packet, unixSecondsOf(now));
    if ('fault' in responder) {
      outbox.count(`handshakes.rejected.${responder.fault}`);
      outbox.logLimited(now, 'info', 'Handshake refused', { from: from.text, error: responder.detail });
      return;
    }
    if (this.#isAcceptable(now, responder.peer, from)) {
      this.#answer(now, responder, digest, from);
    }
  }

  #isAcceptable(now: Now, peer: HandshakePeer, from: Endpoint): boolean {
    const { outbox, remoteFilter } = this.#context;
    const addresses = peer.certificate.networks.map((network) => network.address);
    const fields = { ...peerFields(peer.certificate, from), initiatorIndex: peer.index };
    if (addresses.some((address) => this.#context.isOwnAddress(address))) {
      outbox.count('handshakes.rejected.own_address');
      outbox.logLimited(now, 'error', 'Refusing to handshake with myself', fields);
      return false;
    }
    if (!remoteFilter.allowsAll(addresses, from.address)) {
      outbox.count('handshakes.rejected.remote_not_allowed');
      outbox.logLimited(now, 'debug', 'lighthouse.remote_allow_list denied incoming handshake', fields);
      return false;
    }
    const primary = this.#tunnels.hosts.primary(addresses[0]);
    if (primary !== null && !primary.isInitiator && primary.peer.timeNs >= peer.timeNs) {
      outbox.count('handshakes.rejected.too_old');
      outbox.logLimited(now, 'info', 'Handshake too old', fields);
      this.#tunnels.test(primary, null);
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
      outbox.logLimited(now, 'info', 'Handshake refused', { from: from.text, error: reply.detail });
      return;
    }
    const { certificate } = responder.peer;
    if (this.#tunnels.hosts.primary(certificate.networks[0].address) !== null) {
      outbox.log('info', 'Taking new handshake', peerFields(certificate, from));
    }
    const answered = { requestDigest: digest, answer: reply.packet };
    outbox.push({ kind: 'sendDatagram', endpoint: from, bytes: reply.packet });
    if (this.#tunnels.establish(now, reply.completed, from, answered) === null) {
      return;
    }
    outbox.count('handshakes.completed');
    outbox.log('info', this.#hasCommonNetwork(certificate) ? RECEIVED : `${RECEIVED}, but no vpnNetworks in common`, {
      ...peerFields(certificate, from),
      initiatorIndex: reply.completed.remoteIndex,
      responderIndex: localIndex,
      handshake: { stage: 1, style: 'ix_psk0' },
    });
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
    if (current !== null && this.#context.isPreferred(from.address) && !this.#context.isPreferred(current)) {
      this.#tunnels.move(tunnel, from);
      this.#tunnels.test(tunnel, null);
    }
    outbox.log('debug', 'Handshake message sent', {
      ...peerFields(tunnel.peer.certificate, from),
      handshake: { stage: 2, style: 'ix_psk0' },
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
