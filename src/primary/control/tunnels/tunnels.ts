/**
 * The life of tunnels: established by a completed handshake, primary or not, moved to another endpoint, closed. The
 * only file that changes the host table and the store, so the two always say the same.
 *
 *   we called:      establish ───────(no other tunnel)──────▶ primary ─▶ close
 *                      └───────▶ unconfirmed ─(first packet)─▶ confirm ─┘
 *   we were called: admit ────────┘        └─▶ discard
 *
 * Who decides that something should happen is elsewhere: handshakes, checks, roaming, recv_errors.
 */
import { createHash } from 'node:crypto';
import type { Endpoint } from '../../../shared/ip/address.ts';
import { HEADER_BYTES, MessageType, Subtype } from '../../../shared/wire/header.ts';
import type { Whereabouts } from '../discovery/whereabouts.ts';
import type { Now } from '../now.ts';
import { Timers } from '../timers.ts';
import type { Context } from './context.ts';
import type { CompletedHandshake } from './handshakeMachine.ts';
import { HostEntries } from './hostEntries.ts';
import { type HostTunnels, TUNNELS_PER_ADDRESS_MAX } from './hostTunnels.ts';
import { textsOf } from './peerFields.ts';
import { type AnsweredHandshake, Tunnel } from './tunnel.ts';
import { Traffic, type TunnelRecord } from './tunnelStore.ts';
import { UnconfirmedTunnels } from './unconfirmedTunnels.ts';

/** Whether the peer is told that the tunnel ends. */
export const Farewell = { Silent: false, Close: true } as const;
export type Farewell = (typeof Farewell)[keyof typeof Farewell];

export class Tunnels {
  readonly hosts: HostTunnels;
  /** When each tunnel is to be checked next; `tunnelChecks.ts` takes the due ones. */
  readonly checks: Timers<Tunnel> = new Timers();
  /** Answered, but the peer has shown no key: not in `hosts`. */
  readonly unconfirmed: UnconfirmedTunnels;
  readonly #context: Context;
  readonly #entries: HostEntries;
  readonly #whereabouts: Whereabouts;

  constructor(context: Context, hosts: HostTunnels, whereabouts: Whereabouts) {
    this.#context = context;
    this.hosts = hosts;
    this.#whereabouts = whereabouts;
    this.#entries = new HostEntries(context);
    this.unconfirmed = new UnconfirmedTunnels(context.store.capacity);
  }

  /**
   * Makes a tunnel of a handshake that we started: message 2 proves who wrote it, so it is primary for all its addresses.
   * Only one that would replace a tunnel that works is unconfirmed first: strangers can make the peer forget what it
   * answered. Null when the table is full; the local index is released then.
   */
  establish(now: Now, handshake: CompletedHandshake, endpoint: Endpoint): Tunnel | null {
    const isReplacement = this.#wouldReplace(handshake);
    const tunnel = this.#publish(now, handshake, endpoint, null, !isReplacement);
    if (tunnel === null) {
      return null;
    }
    if (isReplacement) {
      this.unconfirmed.add(tunnel);
      this.test(tunnel, null);
    } else {
      this.#enter(now, tunnel);
    }
    return tunnel;
  }

  /**
   * Makes an unconfirmed tunnel of a handshake that we answered, sends the answer, by which alone the peer knows the
   * tunnel, and asks it for its first packet; others of the same kind give way to it. Null when the table is full: there
   * is no answer then, and the local index is released.
   */
  admit(now: Now, handshake: CompletedHandshake, endpoint: Endpoint, answered: AnsweredHandshake): Tunnel | null {
    const vpnAddress = handshake.peer.certificate.networks[0].address;
    for (let old = this.unconfirmed.surplusFor(vpnAddress); old !== null; ) {
      this.#context.outbox.count('handshakes.unconfirmed_evicted');
      this.discard(old, 'too many unconfirmed tunnels');
      old = this.unconfirmed.surplusFor(vpnAddress);
    }
    const tunnel = this.#publish(now, handshake, endpoint, answered, false);
    if (tunnel !== null) {
      this.#context.outbox.push({ kind: 'sendDatagram', endpoint, bytes: answered.answer });
      this.unconfirmed.add(tunnel);
      this.test(tunnel, null);
    }
    return tunnel;
  }

  /** The first authentic packet came, from `endpoint` (null: from where message 1 came): a tunnel like any other now. */
  confirm(now: Now, tunnel: Tunnel, endpoint: Endpoint | null): void {
    this.unconfirmed.remove(tunnel);
    if (endpoint !== null && endpoint.text !== tunnel.endpoint?.text) {
      this.#entries.moveTo(tunnel, endpoint);
    }
    this.#context.store.confirm(tunnel.slot);
    this.#enter(now, tunnel);
  }

  /** Removes an unconfirmed tunnel without a word to anybody. */
  discard(tunnel: Tunnel, reason: string): void {
    const { outbox, localIndexes } = this.#context;
    this.unconfirmed.remove(tunnel);
    localIndexes.release(tunnel.localIndex);
    outbox.push({ kind: 'tunnelClosed', slot: tunnel.slot, farewell: Farewell.Silent, reason });
  }

  /**
   * Carries out a handshake's result only to say goodbye with its keys: publishes the row without a host entry, sends
   * closeTunnel and removes it. For a peer that is not the one we wanted.
   */
  dismiss(handshake: CompletedHandshake, endpoint: Endpoint): void {
    const { outbox, store, localIndexes } = this.#context;
    const slot = store.publish(recordOf(handshake, endpoint, true));
    if (slot >= 0) {
      outbox.push({ kind: 'tunnelClosed', slot, farewell: Farewell.Close, reason: 'wrong host' });
    }
    localIndexes.release(handshake.localIndex);
  }

  promote(now: Now, tunnel: Tunnel): void {
    this.hosts.promote(tunnel);
    this.#setHosts(tunnel);
    this.#announce(now, tunnel);
  }

  /** Workers send what waits for the peer. They may ask for that more than once: a report and an answer can cross. */
  flush(tunnel: Tunnel): void {
    const { name } = tunnel.peer.certificate;
    this.#context.outbox.push({ kind: 'hostUp', addresses: tunnel.vpnAddresses, name });
  }

  /** Ends a tunnel; the next one of the same peer becomes primary. The last one takes the peer's remotes with it. */
  close(now: Now, tunnel: Tunnel, reason: string, farewell: Farewell): void {
    const { outbox, remotes, localIndexes } = this.#context;
    if (!this.hosts.has(tunnel)) {
      return;
    }
    const led = tunnel.vpnAddresses.filter((address) => this.hosts.primary(address) === tunnel);
    this.hosts.remove(tunnel);
    for (const address of led) {
      const next = this.hosts.primary(address);
      if (next === null) {
        this.#entries.clear(address);
      } else {
        this.#entries.set(address, next);
      }
    }
    this.checks.cancel(tunnel.timer);
    tunnel.timer = 0;
    localIndexes.release(tunnel.localIndex);
    outbox.push({ kind: 'tunnelClosed', slot: tunnel.slot, farewell, reason });
    outbox.count('tunnels.closed');
    if (!this.hosts.hasTunnelTo(tunnel.vpnAddresses)) {
      remotes.forget(tunnel.vpnAddresses);
      outbox.push({ kind: 'hostGone', addresses: tunnel.vpnAddresses });
      this.#whereabouts.onHostGone(now, tunnel.vpnAddresses);
    }
    for (const next of new Set(led.flatMap((address) => this.hosts.primary(address) ?? []))) {
      this.#announce(now, next);
    }
  }

  /** Replaces the tunnel's next check. */
  scheduleCheck(tunnel: Tunnel, atMs: number): void {
    this.checks.cancel(tunnel.timer);
    tunnel.timer = this.checks.schedule(atMs, tunnel);
  }

  /** Sends from now on to another endpoint, and remembers it for the peer. */
  move(tunnel: Tunnel, endpoint: Endpoint): void {
    this.#entries.moveTo(tunnel, endpoint);
    this.#context.remotes.learn(tunnel.vpnAddress, tunnel.vpnAddress, endpoint);
  }

  /** Asks the peer for a sign of life, at `endpoint` or where the tunnel's packets go. Any answer counts as inbound. */
  test(tunnel: Tunnel, endpoint: Endpoint | null): void {
    if (endpoint === null && tunnel.endpoint === null) {
      this.#context.outbox.count('tunnels.unreachable');
      return;
    }
    this.#context.outbox.push({
      kind: 'sendSealed',
      slot: tunnel.slot,
      type: MessageType.Test,
      subtype: Subtype.TestRequest,
      body: NO_BODY,
      endpoint,
    });
  }

  /** As `test`, for what a stranger's datagram gave reason to: these must not multiply. False when it is too soon. */
  probe(now: Now, tunnel: Tunnel): boolean {
    const isTime = now.ms - tunnel.probedMs >= PROBE_INTERVAL_MS;
    if (isTime) {
      tunnel.probedMs = now.ms;
      this.test(tunnel, null);
    }
    return isTime;
  }

  /** Whether a probe of this tunnel has not brought anything yet. */
  isDoubtful(tunnel: Tunnel): boolean {
    const traffic = this.#context.store.takeTraffic(tunnel.slot);
    tunnel.carriedTraffic |= traffic;
    if ((traffic & Traffic.In) !== 0) {
      tunnel.probeCount = 0;
    }
    return tunnel.probeCount > 0;
  }

  /** Ends every tunnel with a message to its peer; those that need a relay go before the relays themselves. */
  closeAll(now: Now): void {
    const tunnels = [...this.hosts.all()].sort((a, b) => Number(a.endpoint !== null) - Number(b.endpoint !== null));
    for (const tunnel of tunnels) {
      this.close(now, tunnel, 'shutdown', Farewell.Close);
    }
    for (const tunnel of this.unconfirmed.all()) {
      this.discard(tunnel, 'shutdown');
    }
  }

  #publish(
    now: Now,
    handshake: CompletedHandshake,
    endpoint: Endpoint | null,
    answered: AnsweredHandshake | null,
    isConfirmed: boolean,
  ): Tunnel | null {
    const { store, outbox, localIndexes } = this.#context;
    const slot = store.publish(recordOf(handshake, endpoint, isConfirmed));
    if (slot < 0) {
      localIndexes.release(handshake.localIndex);
      outbox.count('tunnels.table_full');
      outbox.log('error', 'The tunnel table is full', { certName: handshake.peer.certificate.name });
      return null;
    }
    const generation = store.generation(slot);
    return new Tunnel({ handshake, slot, generation, endpoint, answered, created: now });
  }

  /**
   * Whether the peer has a tunnel that works as far as we know: no recv_error for it is unanswered. Releases before 1.10
   * may have given it up for the new one already (Nebula protocol: old peers).
   */
  #wouldReplace(handshake: CompletedHandshake): boolean {
    const { certificate, sendsCertificateVersion } = handshake.peer;
    const primary = this.hosts.primary(certificate.networks[0].address);
    return primary !== null && sendsCertificateVersion && !this.isDoubtful(primary);
  }

  /** Primary for all its addresses, its endpoint learned. */
  #enter(now: Now, tunnel: Tunnel): void {
    const { outbox, remotes } = this.#context;
    remotes.join(tunnel.vpnAddresses);
    remotes.unblock(tunnel.vpnAddress);
    if (tunnel.endpoint !== null) {
      remotes.learn(tunnel.vpnAddress, tunnel.vpnAddress, tunnel.endpoint);
    }
    const shadowed = this.hosts.byRemoteIndex(tunnel.remoteIndex);
    if (shadowed !== null) {
      outbox.log('info', 'New host shadows existing host remoteIndex', {
        remoteIndex: tunnel.remoteIndex,
        vpnAddrs: textsOf(tunnel.vpnAddresses),
        oldVpnAddrs: textsOf(shadowed.vpnAddresses),
      });
    }
    outbox.count('tunnels.established');
    this.#carryTraffic(tunnel);
    this.hosts.add(tunnel);
    this.#context.troubles.reached(tunnel.vpnAddresses);
    this.#setHosts(tunnel);
    this.scheduleCheck(tunnel, now.ms + this.#context.settings.checkIntervalMs);
    this.#evictSurplus(now, tunnel);
    this.#announce(now, tunnel);
  }

  /** The last thing that is done when a tunnel has come to lead to its host: whoever hears of it finds all in place. */
  #announce(now: Now, tunnel: Tunnel): void {
    this.flush(tunnel);
    this.#whereabouts.onHostUp(now, tunnel);
  }

  /** What came through the peer's other tunnels so far does not say that it uses them beside the new one. */
  #carryTraffic(newest: Tunnel): void {
    for (const tunnel of new Set(newest.vpnAddresses.flatMap((address) => this.hosts.tunnelsTo(address)))) {
      tunnel.carriedTraffic |= this.#context.store.takeTraffic(tunnel.slot);
    }
  }

  #setHosts(tunnel: Tunnel): void {
    for (const address of tunnel.vpnAddresses) {
      this.#entries.set(address, tunnel);
    }
  }

  #evictSurplus(now: Now, newest: Tunnel): void {
    for (const address of newest.vpnAddresses) {
      const tunnels = this.hosts.tunnelsTo(address);
      if (tunnels.length > TUNNELS_PER_ADDRESS_MAX) {
        const others = tunnels.filter((tunnel) => tunnel !== newest);
        const oldest = others.reduce((a, b) => (b.createdMs < a.createdMs ? b : a), others[others.length - 1]);
        this.close(now, oldest, 'too many tunnels to one host', Farewell.Silent);
      }
    }
  }
}

/** Names a message 1 by its body: two with the same digest are the same message. */
export function requestDigest(packet: Uint8Array): string {
  return createHash('sha256').update(packet.subarray(HEADER_BYTES)).digest('base64');
}

function recordOf(handshake: CompletedHandshake, endpoint: Endpoint | null, isConfirmed: boolean): TunnelRecord {
  const { certificate } = handshake.peer;
  return {
    localIndex: handshake.localIndex,
    remoteIndex: handshake.remoteIndex,
    cipher: handshake.cipher,
    sendKey: handshake.sendKey,
    receiveKey: handshake.receiveKey,
    certificate,
    endpoint,
    isInitiator: handshake.isInitiator,
    isConfirmed,
  };
}

/** How often strangers may make us test one tunnel. */
const PROBE_INTERVAL_MS = 100;
const NO_BODY = new Uint8Array(0);
