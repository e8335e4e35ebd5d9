/**
 * Looks at every tunnel in turn, every few seconds, and decides what becomes of it.
 *
 *   in use ──(sent, nothing came back)──▶ tested, pending deletion ──(still nothing)──▶ dead, closed silently
 *      ▲                                         │
 *      └──────────(anything inbound)─────────────┘
 *
 * A tunnel in which neither side has anything to say is left alone; one that is not primary and not used goes
 * (Nebula protocol: connection manager). Timing: nothing inbound for one check interval while we send, then one
 * deletion interval: 15 s by default.
 */
import type { Endpoint } from '../../../shared/ip/address.ts';
import { SEND_COUNTER_MAX } from '../../../shared/memory/sendCounter.ts';
import type { Whereabouts } from '../discovery/whereabouts.ts';
import { type Now, unixSecondsOf } from '../now.ts';
import type { Context } from './context.ts';
import type { Handshakes } from './handshakes.ts';
import { tunnelFields } from './peerFields.ts';
import { mayTakeOver, rehandshakeReason } from './rehandshake.ts';
import type { Tunnel } from './tunnel.ts';
import { Traffic } from './tunnelStore.ts';
import { Farewell, type Tunnels } from './tunnels.ts';

export class TunnelChecks {
  readonly #context: Context;
  readonly #tunnels: Tunnels;
  readonly #handshakes: Handshakes;
  readonly #whereabouts: Whereabouts;

  constructor(context: Context, tunnels: Tunnels, handshakes: Handshakes, whereabouts: Whereabouts) {
    this.#context = context;
    this.#tunnels = tunnels;
    this.#handshakes = handshakes;
    this.#whereabouts = whereabouts;
  }

  get nextMs(): number | null {
    return this.#tunnels.checks.nextMs;
  }

  onTimer(now: Now): void {
    const { checks } = this.#tunnels;
    for (let tunnel = checks.takeDue(now.ms); tunnel !== null; tunnel = checks.takeDue(now.ms)) {
      tunnel.timer = 0;
      this.#check(now, tunnel);
    }
  }

  /**
   * This node did nothing for a while, so any peer may have given it up, and any NAT have forgotten it: each primary
   * tunnel is taken for one that was sent into without an answer. One check a millisecond: many tunnels make no storm.
   */
  onStandstill(now: Now): void {
    const { hosts } = this.#tunnels;
    const doubted = hosts.all().filter((tunnel) => hosts.isPrimary(tunnel));
    for (const [index, tunnel] of doubted.entries()) {
      this.#context.store.takeTraffic(tunnel.slot);
      tunnel.carriedTraffic = Traffic.Out;
      tunnel.isPendingDeletion = false;
      this.#tunnels.scheduleCheck(tunnel, now.ms + index);
    }
  }

  #check(now: Now, tunnel: Tunnel): void {
    const { outbox, store } = this.#context;
    const fault = this.#certificateFault(now, tunnel);
    if (fault !== null) {
      const fields = { ...tunnelFields(tunnel), fingerprint: tunnel.peer.certificate.fingerprint, error: fault };
      outbox.log('info', 'Remote certificate is no longer valid, tearing down the tunnel', fields);
      this.#tunnels.close(now, tunnel, fault, Farewell.Close);
      return;
    }
    const sendCount = store.sendCount(tunnel.slot);
    if (sendCount >= SEND_COUNTER_MAX) {
      outbox.log('error', 'Message counter exhausted, tearing down the tunnel', tunnelFields(tunnel));
      this.#tunnels.close(now, tunnel, 'message counter exhausted', Farewell.Silent);
      return;
    }
    const recent = store.takeTraffic(tunnel.slot);
    const traffic = recent | tunnel.carriedTraffic;
    const hasReceived = (traffic & Traffic.In) !== 0;
    const hasSent = (traffic & Traffic.Out) !== 0;
    tunnel.carriedTraffic = Traffic.None;
    if (hasReceived || hasSent) {
      tunnel.lastUsedMs = now.ms;
    }
    if (hasReceived) {
      this.#keepAlive(now, tunnel, hasSent);
      this.#prefer(now, tunnel, (recent & Traffic.In) !== 0, sendCount);
    } else {
      this.#suspect(now, tunnel, hasSent);
    }
    this.#lookForBetterPath(now, tunnel, sendCount);
  }

  /** The peer is there. */
  #keepAlive(now: Now, tunnel: Tunnel, hasSent: boolean): void {
    tunnel.isPendingDeletion = false;
    tunnel.probeCount = 0;
    this.#tunnels.scheduleCheck(tunnel, now.ms + this.#context.settings.checkIntervalMs);
    if (!hasSent) {
      this.#punch(tunnel);
    }
  }

  /** Which tunnel to a peer that is there is the best. `isInUse`: it has sent since we have the primary one. */
  #prefer(now: Now, tunnel: Tunnel, isInUse: boolean, sendCount: number): void {
    const { outbox, identity } = this.#context;
    if (!this.#tunnels.hosts.isPrimary(tunnel)) {
      if (isInUse && mayTakeOver(identity, tunnel, sendCount)) {
        this.#tunnels.promote(now, tunnel);
        outbox.log('debug', 'Tunnel became primary', tunnelFields(tunnel));
      }
      return;
    }
    const why = rehandshakeReason(identity, tunnel, sendCount);
    if (why !== null && !this.#handshakes.isPending(tunnel.vpnAddress)) {
      outbox.log('info', 'Re-handshaking with remote', { ...tunnelFields(tunnel), reason: why.reason });
      this.#handshakes.start(now, tunnel.vpnAddress, why.version);
    }
  }

  /** Nothing came since the last check. */
  #suspect(now: Now, tunnel: Tunnel, hasSent: boolean): void {
    const { outbox, settings } = this.#context;
    const isPrimary = this.#tunnels.hosts.isPrimary(tunnel);
    if (tunnel.isPendingDeletion) {
      const tunnelCheck = { state: 'dead', method: 'active' };
      outbox.log('info', 'Tunnel status', { ...tunnelFields(tunnel), tunnelCheck });
      outbox.count(isPrimary ? 'tunnels.dead' : 'tunnels.unused');
      this.#tunnels.close(now, tunnel, isPrimary ? 'dead' : 'unused', Farewell.Silent);
      return;
    }
    if (isPrimary && !hasSent) {
      if (settings.dropInactive && now.ms - tunnel.lastUsedMs >= settings.inactivityTimeoutMs) {
        outbox.log('info', 'Dropping tunnel due to inactivity', tunnelFields(tunnel));
        this.#tunnels.close(now, tunnel, 'inactive', Farewell.Close);
        return;
      }
      this.#punch(tunnel);
      this.#tunnels.scheduleCheck(tunnel, now.ms + settings.checkIntervalMs);
      return;
    }
    if (isPrimary) {
      if (settings.punchAllRemotes) {
        this.#punch(tunnel);
      }
      const tunnelCheck = { state: 'testing', method: 'active' };
      outbox.log('debug', 'Tunnel status', { ...tunnelFields(tunnel), tunnelCheck });
      this.#tunnels.test(tunnel, null);
    }
    tunnel.isPendingDeletion = true;
    this.#tunnels.scheduleCheck(tunnel, now.ms + settings.pendingDeletionMs);
  }

  /** Keeps the NAT between us open for a peer that only receives, or only waits. Lighthouses are talked to anyway. */
  #punch(tunnel: Tunnel): void {
    const { outbox, settings, remotes } = this.#context;
    if (!settings.punch || tunnel.vpnAddresses.some((address) => this.#context.isLighthouse(address))) {
      return;
    }
    const own = tunnel.endpoint === null ? [] : [tunnel.endpoint];
    for (const endpoint of settings.punchAllRemotes ? remotes.list(tunnel.vpnAddress) : own) {
      outbox.push({ kind: 'punch', endpoint, byte: 1 });
    }
  }

  /**
   * Every so many packets: tries the endpoints that the operator prefers (any, for a relayed tunnel), and asks the
   * lighthouses whether there are new ones. A path that works shows itself by roaming (Nebula protocol: promotion).
   */
  #lookForBetterPath(now: Now, tunnel: Tunnel, sendCount: number): void {
    const { settings } = this.#context;
    const before = tunnel.lastSentCount;
    tunnel.lastSentCount = sendCount;
    const { hosts } = this.#tunnels;
    if (settings.amLighthouse || !hosts.has(tunnel) || !hosts.isPrimary(tunnel)) {
      return;
    }
    if (hasPassedMultiple(settings.promoteEveryPackets, before, sendCount)) {
      for (const endpoint of this.#betterEndpoints(tunnel)) {
        this.#tunnels.test(tunnel, endpoint);
      }
    }
    const mayQuery = now.ms - tunnel.lastRequeryMs >= settings.requeryWaitMs;
    if (mayQuery && hasPassedMultiple(settings.requeryEveryPackets, before, sendCount)) {
      tunnel.lastRequeryMs = now.ms;
      this.#whereabouts.query(now, tunnel.vpnAddress);
    }
  }

  #betterEndpoints(tunnel: Tunnel): readonly Endpoint[] {
    const context = this.#context;
    const all = context.remotes.list(tunnel.vpnAddress);
    if (tunnel.endpoint === null) {
      return all;
    }
    return context.isPreferred(tunnel.endpoint.address)
      ? []
      : all.filter((endpoint) => context.isPreferred(endpoint.address));
  }

  /** Why the peer's certificate no longer holds, or null: time, another set of CAs and the blocklist change that. */
  #certificateFault(now: Now, tunnel: Tunnel): string | null {
    const { identity, settings } = this.#context;
    const { certificate, ca } = tunnel.peer;
    const verdict = identity.caPool.reverify(certificate, ca, unixSecondsOf(now));
    if (!('fault' in verdict) || !(settings.disconnectInvalid || verdict.isBlocked)) {
      return null;
    }
    return verdict.fault;
  }
}

function hasPassedMultiple(step: number, before: number, after: number): boolean {
  return step > 0 && Math.floor(after / step) > Math.floor(before / step);
}
