/**
 * The control plane as the shell sees it: events go in with the time at which they happened, effects come out. It
 * composes the state machines and routes to them, and decides nothing itself.
 *
 * After every call: `drain()` and carry out the effects in order, then set one timer for `nextMs`.
 *
 *   worker: miss, roam, close ─┐                        ┌─▶ handshakes ──┐
 *   socket: handshake, error  ─┼─▶ ControlPlane.on… ────┼─▶ answers ─────┼─▶ tunnels ─▶ store, outbox
 *   clock:  onTimer ───────────┘                        └─▶ checks, roaming, recvErrors
 */

import type { Endpoint, IpAddress } from '../../shared/ip/address.ts';
import {
  checkHeader,
  HeaderCheck,
  headerCounterHigh,
  headerCounterLow,
  headerRemoteIndex,
  headerType,
  MessageType,
} from '../../shared/wire/header.ts';
import type { Identity } from '../pki/identity.ts';
import { Context, type ContextParts, type ControlSettings, type RemoteFilter } from './context.ts';
import type { Effect } from './effects.ts';
import { HandshakeAnswers } from './handshakeAnswers.ts';
import { Handshakes } from './handshakes.ts';
import type { Now } from './now.ts';
import { tunnelFields } from './peerFields.ts';
import type { PendingView } from './pendingHandshake.ts';
import { RecvErrors } from './recvErrors.ts';
import { Roaming } from './roaming.ts';
import type { Tunnel } from './tunnel.ts';
import { TunnelChecks } from './tunnelChecks.ts';
import { Farewell, Tunnels } from './tunnels.ts';

/** One tunnel, for the operator's eyes. */
export interface HostView {
  readonly tunnel: Tunnel;
  readonly isPrimary: boolean;
}

export class ControlPlane {
  readonly #context: Context;
  readonly #tunnels: Tunnels;
  readonly #handshakes: Handshakes;
  readonly #answers: HandshakeAnswers;
  readonly #checks: TunnelChecks;
  readonly #roaming: Roaming;
  readonly #recvErrors: RecvErrors;

  constructor(parts: ContextParts) {
    this.#context = new Context(parts);
    this.#tunnels = new Tunnels(this.#context);
    this.#handshakes = new Handshakes(this.#context, this.#tunnels);
    this.#answers = new HandshakeAnswers(this.#context, this.#tunnels, this.#handshakes);
    this.#checks = new TunnelChecks(this.#context, this.#tunnels, this.#handshakes);
    this.#roaming = new Roaming(this.#context, this.#tunnels);
    this.#recvErrors = new RecvErrors(this.#context, this.#tunnels, this.#handshakes);
  }

  /** Monotonic milliseconds at which `onTimer` has something to do; null when nothing waits. */
  get nextMs(): number | null {
    const parts = [this.#handshakes, this.#answers, this.#checks, this.#recvErrors];
    const times = parts.map(({ nextMs }) => nextMs).filter((time) => time !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** The effects since the last call, to be carried out in order. */
  drain(): Effect[] {
    return this.#context.outbox.drain();
  }

  onTimer(now: Now): void {
    this.#handshakes.onTimer(now);
    this.#answers.onTimer(now);
    this.#recvErrors.onTimer(now);
    this.#checks.onTimer(now);
  }

  /** Time went by in which this node did not run: its tunnels are tested at once. */
  onStandstill(now: Now): void {
    this.#checks.onStandstill(now);
  }

  /** A packet for this vpn address found no tunnel and waits; or somebody else wants a tunnel to it. */
  onMiss(now: Now, address: IpAddress): void {
    const primary = this.#tunnels.hosts.primary(address);
    if (primary === null) {
      this.#handshakes.start(now, address);
    } else {
      // The tunnel came up while the report was under way: say so again, or the packet would wait for ever.
      this.#context.outbox.push({ kind: 'hostUp', addresses: primary.vpnAddresses, slot: primary.slot });
    }
  }

  /** What discovery wants from the control plane; other effects are ignored. */
  onEffect(now: Now, effect: Effect): void {
    switch (effect.kind) {
      case 'connect':
        this.onMiss(now, effect.address);
        break;
      case 'upgrade':
        this.#handshakes.start(now, effect.address, 2);
        break;
      case 'remotesChanged':
        this.onRemotesChanged(now, effect.address);
        break;
      case 'test':
        this.#test(now, effect.address);
        break;
      default:
    }
  }

  /** The lighthouse client or a resolver has endpoints for an address: tries them if a handshake waits for it. */
  onRemotesChanged(now: Now, address: IpAddress): void {
    this.#handshakes.trigger(now, address);
  }

  /** A datagram of type handshake. `packet` is borrowed for the call. */
  onHandshake(now: Now, packet: Uint8Array, from: Endpoint): void {
    const { outbox, remoteFilter } = this.#context;
    if (checkHeader(packet, 0, packet.length) !== HeaderCheck.Ok || headerType(packet, 0) !== MessageType.Handshake) {
      outbox.count('handshakes.rejected.header');
      return;
    }
    if (!remoteFilter.allowsUnknown(from.address)) {
      outbox.count('handshakes.rejected.remote_not_allowed');
      return;
    }
    const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    const remoteIndex = headerRemoteIndex(view, 0);
    const isFirst = headerCounterHigh(view, 0) === 0 && headerCounterLow(view, 0) === 1;
    if (!isFirst) {
      this.#handshakes.onAnswer(now, packet, remoteIndex, from);
    } else if (remoteIndex === 0) {
      this.#answers.onRequest(now, packet, from);
    } else {
      outbox.count('handshakes.rejected.header');
    }
  }

  /** A datagram of type recv_error naming this index. */
  onRecvError(now: Now, remoteIndex: number, from: Endpoint): void {
    this.#recvErrors.onRecvError(now, remoteIndex, from);
  }

  /** The peer closed the tunnel, authentically. */
  onClose(slot: number, generation: number): void {
    const tunnel = this.#tunnels.hosts.bySlot(slot, generation);
    const unconfirmed = this.#tunnels.unconfirmed.bySlot(slot, generation);
    if (unconfirmed !== null) {
      this.#tunnels.discard(unconfirmed, 'closed by peer');
    }
    if (tunnel !== null) {
      this.#context.outbox.log('info', 'Close tunnel received, tearing down.', tunnelFields(tunnel));
      this.#tunnels.close(tunnel, 'closed by peer', Farewell.Silent);
    }
  }

  /** An authentic packet of this tunnel came from another endpoint than the tunnel's, or it is an unconfirmed one's. */
  onRoam(now: Now, slot: number, generation: number, from: Endpoint): void {
    if (!this.#answers.onPacket(now, slot, generation, from)) {
      this.#roaming.onRoam(now, slot, generation, from);
    }
  }

  /**
   * New certificates, CAs or blocklist. Every tunnel is held against them at its next check: peers that no longer
   * verify are closed, tunnels with an outdated certificate of ours are replaced. Pending handshakes go on with theirs.
   */
  reloadIdentity(identity: Identity): void {
    this.#context.identity = identity;
  }

  reloadSettings(settings: ControlSettings, remoteFilter: RemoteFilter): void {
    this.#context.settings = settings;
    this.#context.remoteFilter = remoteFilter;
  }

  /** Closes the tunnels of an address on the operator's wish; returns how many. `isSilent`: without telling the peer. */
  closeHost(address: IpAddress, isSilent: boolean): number {
    const tunnels = [...this.#tunnels.hosts.tunnelsTo(address)];
    for (const tunnel of tunnels) {
      this.#tunnels.close(tunnel, 'closed by operator', isSilent ? Farewell.Silent : Farewell.Close);
    }
    return tunnels.length;
  }

  /** Ends all tunnels with a message to their peers, and all pending handshakes: the node stops. */
  closeAll(): void {
    this.#handshakes.clear();
    this.#tunnels.closeAll();
  }

  hosts(): readonly HostView[] {
    const { hosts } = this.#tunnels;
    return hosts.all().map((tunnel) => ({ tunnel, isPrimary: hosts.isPrimary(tunnel) }));
  }

  pending(): readonly PendingView[] {
    return this.#handshakes.list();
  }

  /** The tunnel of a worker's report; null when it is gone or the slot has another one now. */
  tunnelAt(slot: number, generation: number): Tunnel | null {
    return this.#tunnels.hosts.bySlot(slot, generation);
  }

  /** The primary tunnel of an address, for parts that must know the peer (lighthouse client, relays). */
  primary(address: IpAddress): Tunnel | null {
    return this.#tunnels.hosts.primary(address);
  }

  /** Sends a test request through the tunnel of an address, starting a handshake when there is none (punch-back). */
  #test(now: Now, address: IpAddress): void {
    const primary = this.#tunnels.hosts.primary(address);
    if (primary === null) {
      this.#handshakes.start(now, address);
    } else {
      this.#tunnels.test(primary, null);
    }
  }
}
