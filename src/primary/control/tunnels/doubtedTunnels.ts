/**
 * Tunnels that a recv_error has cast doubt on: a peer says, in clear and without proof, that it has no tunnel by the index we used. Anybody on
 * the path can say so in its name, so a tunnel is not closed for it: the peer is asked through the tunnel, and at the
 * same time a new handshake begins. A peer that restarted is back with that in one round trip, one that did not answers
 * both and loses nothing (Nebula protocol: recv_error).
 *
 *   recv_error ─▶ probe, new handshake beside it ─▶ authentic packet ─▶ all is well
 *                                                └▶ more recv_errors, for seconds ─▶ closed
 *
 * Two kinds of live peers send recv_errors as well: releases before 1.10 whose replay window refused a duplicate (all
 * before 1.9.7), for which the handshake waits until several came; and an initiator that has not read our message 2 yet,
 * which is not heard at all, as its tunnel is not confirmed.
 */
import { type Endpoint, type IpAddress, isPrivate } from '../../../shared/ip/address.ts';
import type { Now } from '../now.ts';
import { RecentKeys } from '../recentKeys.ts';
import { Timers } from '../timers.ts';
import type { Context } from './context.ts';
import type { Handshakes } from './handshakes.ts';
import { tunnelFields } from './peerFields.ts';
import type { Tunnel } from './tunnel.ts';
import { Farewell, type Tunnels } from './tunnels.ts';

/** So many probes in a row without an authentic packet, and ... */
const PROBES_IN_VAIN = 3;
/** ... so long after the first of them, which is longer than the way there and back: the peer does not have the tunnel. */
const UNANSWERED_MS = 2000;
/** With an old release, whose duplicates come in bursts, a handshake begins after a second probe, so long after the first. */
const OLD_PEER_MS = 500;

/** A handshake costs both sides a millisecond: strangers may cause one to a host no more often. */
const RECONNECT_INTERVAL_MS = 2000;
const RECONNECTS_MAX = 1024;

export class DoubtedTunnels {
  readonly #context: Context;
  readonly #tunnels: Tunnels;
  readonly #handshakes: Handshakes;
  /** Hosts that a handshake was lately begun with for a recv_error. */
  readonly #reconnected = new RecentKeys(RECONNECT_INTERVAL_MS, RECONNECTS_MAX);

  /** Tunnels that are probed a second time, whether or not there is another recv_error. */
  readonly #timers = new Timers<Tunnel>();

  constructor(context: Context, tunnels: Tunnels, handshakes: Handshakes) {
    this.#context = context;
    this.#tunnels = tunnels;
    this.#handshakes = handshakes;
  }

  get nextMs(): number | null {
    return this.#timers.nextMs;
  }

  onTimer(now: Now): void {
    for (let tunnel = this.#timers.takeDue(now.ms); tunnel !== null; tunnel = this.#timers.takeDue(now.ms)) {
      if (this.#tunnels.hosts.has(tunnel) && this.#tunnels.isDoubtful(tunnel)) {
        this.#probe(now, tunnel);
      }
    }
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
      outbox.log('info', 'Someone spoofing recv_errors?', { ...tunnelFields(tunnel), from: from.text });
      return;
    }
    this.#probe(now, tunnel);
    const waitedMs = now.ms - tunnel.firstProbeMs;
    if (tunnel.probeCount > PROBES_IN_VAIN && waitedMs >= UNANSWERED_MS) {
      outbox.log('info', 'Peer does not know the tunnel any more', { ...tunnelFields(tunnel), from: from.text });
      outbox.count('recv_errors.accepted');
      this.#tunnels.close(now, tunnel, 'recv_error', Farewell.Silent);
      this.#handshakes.hurry(now, tunnel.vpnAddress);
      return;
    }
    outbox.count('recv_errors.tolerated');
    if (tunnel.peer.sendsCertificateVersion || (tunnel.probeCount > 1 && waitedMs >= OLD_PEER_MS)) {
      this.#reconnect(now, tunnel, from);
    }
  }

  /** `listen.accept_recv_error`. */
  #accepts(from: IpAddress): boolean {
    const { acceptRecvError } = this.#context.settings;
    return acceptRecvError === 'always' || (acceptRecvError === 'private' && isPrivate(from));
  }

  /** Asks for a sign of life, and counts how often that has been done since there was one. */
  #probe(now: Now, tunnel: Tunnel): void {
    const isFirst = !this.#tunnels.isDoubtful(tunnel);
    if (this.#tunnels.probe(now, tunnel)) {
      if (isFirst) {
        tunnel.firstProbeMs = now.ms;
        this.#timers.schedule(now.ms + OLD_PEER_MS, tunnel);
      }
      tunnel.probeCount++;
    }
  }

  /** Begins a handshake beside the tunnel, which stays until the new one is up or the probes have been in vain. */
  #reconnect(now: Now, tunnel: Tunnel, from: Endpoint): void {
    const { vpnAddress } = tunnel;
    if (!this.#tunnels.hosts.isPrimary(tunnel) || this.#reconnected.untilMs(vpnAddress.text) > now.ms) {
      return;
    }
    this.#reconnected.note(now.ms, vpnAddress.text);
    const fields = { ...tunnelFields(tunnel), from: from.text };
    this.#context.outbox.count('recv_errors.reconnected');
    this.#context.outbox.log('info', 'Peer may not know the tunnel any more, trying a new one', fields);
    this.#handshakes.hurry(now, vpnAddress);
  }
}
