/**
 * Reacts to recv_error: a peer says, in clear and without proof, that it has no tunnel by the index we used. Believing
 * it quickly is what lets a restarted peer come back in one round trip; believing it blindly would let anybody close
 * our tunnels (Nebula protocol: recv_error).
 *
 * Two kinds of live peers send it as well, and keep their tunnel: releases before 1.10 whose replay window refused a
 * duplicate (all before 1.9.7), and an initiator that has not read our message 2 yet.
 */
import { type Endpoint, type IpAddress, isPrivate } from '../../shared/ip/address.ts';
import type { Context } from './context.ts';
import type { Handshakes } from './handshakes.ts';
import type { Now } from './now.ts';
import { tunnelFields } from './peerFields.ts';
import type { Tunnel } from './tunnel.ts';
import { Traffic } from './tunnelStore.ts';
import { Farewell, type Tunnels } from './tunnels.ts';

/** How many in a row, without an authentic packet between them, an old release may send before it is believed, */
const TOLERATED_FROM_OLD_PEER = 3;
/** ... and for how long: a burst of duplicates brings several before the answer to our test can be here. */
const TOLERATED_MS = 500;

/** A network that duplicates packets duplicates tests as well: they must not multiply. */
const TEST_INTERVAL_MS = 100;

/** How long the initiator may take to read our message 2 while our first packets already arrive. */
const UNCONFIRMED_MS = 2000;

export class RecvErrors {
  readonly #context: Context;
  readonly #tunnels: Tunnels;
  readonly #handshakes: Handshakes;

  constructor(context: Context, tunnels: Tunnels, handshakes: Handshakes) {
    this.#context = context;
    this.#tunnels = tunnels;
    this.#handshakes = handshakes;
  }

  /** `remoteIndex` is the index that the sender does not know: the peer's own name for the tunnel. */
  onRecvError(now: Now, remoteIndex: number, from: Endpoint): void {
    const { outbox } = this.#context;
    const tunnel = this.#tunnels.hosts.byRemoteIndex(remoteIndex);
    if (tunnel === null || !this.#accepts(from.address)) {
      outbox.count('recv_errors.ignored');
      return;
    }
    if (tunnel.endpoint !== null && tunnel.endpoint.text !== from.text) {
      outbox.count('recv_errors.spoofed');
      outbox.logLimited(now, 'info', 'Someone spoofing recv_errors?', { ...tunnelFields(tunnel), from: from.text });
      return;
    }
    if (this.#isDoubtful(now, tunnel)) {
      outbox.count('recv_errors.tolerated');
      return;
    }
    outbox.log('info', 'Peer does not know the tunnel any more', { ...tunnelFields(tunnel), from: from.text });
    outbox.count('recv_errors.accepted');
    this.#tunnels.close(tunnel, 'recv_error', Farewell.Silent);
    this.#handshakes.hurry(now, tunnel.vpnAddress);
  }

  /** `listen.accept_recv_error`. */
  #accepts(from: IpAddress): boolean {
    const { acceptRecvError } = this.#context.settings;
    return acceptRecvError === 'always' || (acceptRecvError === 'private' && isPrivate(from));
  }

  /** An old peer is asked for a sign of life each time: alive it answers, restarted it sends the next recv_error. */
  #isDoubtful(now: Now, tunnel: Tunnel): boolean {
    const traffic = this.#context.store.takeTraffic(tunnel.slot);
    tunnel.carriedTraffic |= traffic;
    if ((traffic & Traffic.In) !== 0) {
      tunnel.recvErrorCount = 0;
    }
    if (!tunnel.isInitiator && now.ms - tunnel.createdMs < UNCONFIRMED_MS) {
      return true;
    }
    if (tunnel.peer.sendsCertificateVersion) {
      return false;
    }
    if (tunnel.recvErrorCount === 0) {
      tunnel.recvErrorMs = now.ms;
    }
    tunnel.recvErrorCount++;
    if (tunnel.recvErrorCount > TOLERATED_FROM_OLD_PEER && now.ms - tunnel.recvErrorMs >= TOLERATED_MS) {
      return false;
    }
    if (now.ms - tunnel.recvErrorTestMs >= TEST_INTERVAL_MS) {
      tunnel.recvErrorTestMs = now.ms;
      this.#tunnels.test(tunnel, null);
    }
    return true;
  }
}
