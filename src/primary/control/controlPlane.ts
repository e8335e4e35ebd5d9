/**
 * The control core and its one door: events go in with the moment at which they happen, effects come out. It composes the
 * state machines and routes to them, and decides nothing itself.
 *
 * After every event: `drain()` and carry out the effects in order, then set one timer for `nextMs`. No effect is an event
 * again, and an event's own consequences are done before its method returns: rows and tables say what is true when the
 * next event is looked at.
 *
 *                       ┌─▶ tunnels, handshakes, answers, checks, roaming, doubts ─┐
 *   on…(now, …) ────────┤      │ query, host up, failed, gone    ▲ wishes          ├──▶ store, register, effects
 *                       └─▶    └────────────────▶ discovery ─────┘ ────────────────┘
 *
 * A part calls only parts that were made before it, and gets them when it is made. What discovery wants of the others comes
 * back as wishes, fulfilled when the event's own work is done.
 */

import { addressFromBytes, type Endpoint, endpointOf, type IpAddress } from '../../shared/ip/address.ts';
import type { Origin, Punt } from '../../shared/ipc/messages.ts';
import { MessageType, Subtype } from '../../shared/wire/header.ts';
import type { Identity } from '../pki/identity.ts';
import type { LocalAddress } from './discovery/localAddresses.ts';
import { PeerDiscovery, type PeerDiscoverySettings } from './discovery/peerDiscovery.ts';
import { type Wish, Wishes } from './discovery/wishes.ts';
import type { Effect, ResolveAnswer } from './effects.ts';
import { earliest, type Now } from './now.ts';
import { Context, type ContextParts, type ControlSettings, type RemoteFilter } from './tunnels/context.ts';
import { DoubtedTunnels } from './tunnels/doubtedTunnels.ts';
import { HandshakeAnswers } from './tunnels/handshakeAnswers.ts';
import { Handshakes } from './tunnels/handshakes.ts';
import type { HostTroubles } from './tunnels/hostTroubles.ts';
import { HostTunnels } from './tunnels/hostTunnels.ts';
import { IncomingHandshakes } from './tunnels/incomingHandshakes.ts';
import { tunnelFields } from './tunnels/peerFields.ts';
import type { PendingView } from './tunnels/pendingHandshake.ts';
import { Roaming } from './tunnels/roaming.ts';
import type { Tunnel } from './tunnels/tunnel.ts';
import { TunnelChecks } from './tunnels/tunnelChecks.ts';
import { Farewell, Tunnels } from './tunnels/tunnels.ts';

export interface ControlPlaneParts extends ContextParts {
  readonly discovery: PeerDiscoverySettings;
}

/** One tunnel, for the operator's eyes. */
export interface HostView {
  readonly tunnel: Tunnel;
  readonly isPrimary: boolean;
}

/** A part that has deadlines. */
interface Timed {
  readonly nextMs: number | null;
  onTimer(now: Now): void;
}

export class ControlPlane {
  readonly #context: Context;
  readonly #wishes: Wishes = new Wishes();
  readonly #hosts: HostTunnels = new HostTunnels();
  readonly #discovery: PeerDiscovery;
  readonly #tunnels: Tunnels;
  readonly #handshakes: Handshakes;
  readonly #answers: HandshakeAnswers;
  readonly #incoming: IncomingHandshakes;
  readonly #checks: TunnelChecks;
  readonly #roaming: Roaming;
  readonly #doubted: DoubtedTunnels;
  readonly #timed: readonly Timed[];

  constructor(parts: ControlPlaneParts) {
    const context = new Context(parts);
    const hosts = this.#hosts;
    const discovery = new PeerDiscovery({
      outbox: context.outbox,
      wishes: this.#wishes,
      remotes: parts.remotes,
      tunnelTo: (address) => hosts.primary(address),
      settings: parts.discovery,
    });
    const tunnels = new Tunnels(context, hosts, discovery);
    const handshakes = new Handshakes(context, tunnels, discovery);
    this.#context = context;
    this.#discovery = discovery;
    this.#tunnels = tunnels;
    this.#handshakes = handshakes;
    this.#answers = new HandshakeAnswers(context, tunnels, handshakes);
    this.#incoming = new IncomingHandshakes(context, handshakes, this.#answers);
    this.#checks = new TunnelChecks(context, tunnels, handshakes, discovery);
    this.#roaming = new Roaming(context, tunnels);
    this.#doubted = new DoubtedTunnels(context, tunnels, handshakes);
    this.#timed = [handshakes, this.#answers, this.#doubted, this.#checks, discovery];
  }

  /** Monotonic milliseconds at which `onTimer` has something to do; null when nothing waits. */
  get nextMs(): number | null {
    return earliest(this.#timed);
  }

  /** The effects since the last call, to be carried out in order. */
  drain(): Effect[] {
    return this.#context.outbox.drain();
  }

  /** The node is up: static hosts count, names are looked up, the lighthouses are told where this node is. */
  start(now: Now, localAddresses: readonly LocalAddress[]): void {
    this.#during(now, () => this.#discovery.start(now, localAddresses));
  }

  /** Does what is due, each part whatever becomes of the others. Throws what the last faulty one throws. */
  onTimer(now: Now): void {
    this.#during(now, () => tick(this.#timed, now));
  }

  /** Time went by in which this node did not run: its tunnels are tested and its lighthouses told, at once. */
  onStandstill(now: Now): void {
    this.#during(now, () => {
      this.#checks.onStandstill(now);
      this.#discovery.onStandstill(now);
    });
  }

  /** What a worker cannot decide. Its bytes are the core's from now on; whatever they say, workers may be hostile. */
  onPunt(now: Now, punt: Punt): void {
    switch (punt.kind) {
      case 'handshake':
        this.onHandshake(now, punt.bytes, sourceOf(punt));
        break;
      case 'recvError':
        this.onRecvError(now, punt.index, sourceOf(punt));
        break;
      case 'roam':
        this.onRoam(now, punt.slot, punt.generation, sourceOf(punt));
        break;
      case 'close':
        this.onClose(now, punt.slot, punt.generation);
        break;
      case 'miss':
        this.onMiss(now, addressFromBytes(punt.address));
        break;
      case 'test':
        this.onTest(punt.slot, punt.generation, punt.body);
        break;
      case 'lighthouse':
        this.onLighthouseMessage(now, punt.slot, punt.generation, punt.body);
        break;
      case 'lighthouseAnswer':
        this.onLighthouseAnswer(now, addressFromBytes(punt.address), punt.body);
        break;
    }
  }

  /** A packet for this vpn address found no tunnel and waits; or somebody else wants a tunnel to it. */
  onMiss(now: Now, address: IpAddress): void {
    this.#during(now, () => {
      const primary = this.#hosts.primary(address);
      if (primary === null) {
        this.#handshakes.start(now, address);
      } else {
        // The tunnel came up while the report was under way: say so again, or the packet would wait for ever.
        this.#tunnels.flush(primary);
      }
    });
  }

  /** A datagram of type handshake. `packet` is borrowed for the call. */
  onHandshake(now: Now, packet: Uint8Array, from: Endpoint): void {
    this.#during(now, () => this.#incoming.onDatagram(now, packet, from));
  }

  /** A datagram of type recv_error naming this index. */
  onRecvError(now: Now, remoteIndex: number, from: Endpoint): void {
    this.#during(now, () => this.#doubted.onRecvError(now, remoteIndex, from));
  }

  /** The peer closed the tunnel, authentically. */
  onClose(now: Now, slot: number, generation: number): void {
    this.#during(now, () => {
      const tunnel = this.#hosts.bySlot(slot, generation);
      const unconfirmed = this.#tunnels.unconfirmed.bySlot(slot, generation);
      if (unconfirmed !== null) {
        this.#tunnels.discard(unconfirmed, 'closed by peer');
      }
      if (tunnel !== null) {
        this.#context.outbox.log('info', 'Close tunnel received, tearing down.', tunnelFields(tunnel));
        this.#tunnels.close(now, tunnel, 'closed by peer', Farewell.Silent);
      }
    });
  }

  /** An authentic packet of this tunnel came from another endpoint than the tunnel's, or it is an unconfirmed one's. */
  onRoam(now: Now, slot: number, generation: number, from: Endpoint): void {
    this.#during(now, () => {
      if (!this.#answers.onPacket(now, slot, generation, from)) {
        this.#roaming.onRoam(now, slot, generation, from);
      }
    });
  }

  /** A test request with this body, to be answered where the tunnel's packets go. */
  onTest(slot: number, generation: number, body: Uint8Array): void {
    if ((this.#hosts.bySlot(slot, generation) ?? this.#tunnels.unconfirmed.bySlot(slot, generation)) !== null) {
      const reply = { type: MessageType.Test, subtype: Subtype.TestReply, body } as const;
      this.#context.outbox.push({ kind: 'sendSealed', slot, ...reply, endpoint: null });
    }
  }

  /** An opened lighthouse message from the peer of a tunnel. `body` is borrowed for the call. */
  onLighthouseMessage(now: Now, slot: number, generation: number, body: Uint8Array): void {
    this.#during(now, () => {
      const tunnel = this.#hosts.bySlot(slot, generation);
      if (tunnel !== null) {
        this.#discovery.onMessage(now, tunnel, body);
      }
    });
  }

  /** What this lighthouse's worker has to say to a host without a tunnel. */
  onLighthouseAnswer(now: Now, host: IpAddress, body: Uint8Array): void {
    this.#during(now, () => this.#discovery.onAnswer(host, body));
  }

  /** The answer to a `resolve` effect. */
  onResolved(now: Now, requestId: number, answer: ResolveAnswer): void {
    this.#during(now, () => this.#discovery.onResolved(now, requestId, answer));
  }

  /** All addresses of the machine, whenever they changed. */
  onLocalAddresses(now: Now, addresses: readonly LocalAddress[]): void {
    this.#during(now, () => this.#discovery.onLocalAddresses(now, addresses));
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

  reloadDiscovery(now: Now, settings: PeerDiscoverySettings): void {
    this.#during(now, () => this.#discovery.applySettings(now, settings));
  }

  /** Closes the tunnels of an address on the operator's wish; returns how many. `isSilent`: without telling the peer. */
  closeHost(now: Now, address: IpAddress, isSilent: boolean): number {
    const tunnels = [...this.#hosts.tunnelsTo(address)];
    for (const tunnel of tunnels) {
      this.#tunnels.close(now, tunnel, 'closed by operator', isSilent ? Farewell.Silent : Farewell.Close);
    }
    return tunnels.length;
  }

  /** Ends all tunnels with a message to their peers, and all pending handshakes: the node stops. */
  closeAll(now: Now): void {
    this.#handshakes.clear();
    this.#tunnels.closeAll(now);
  }

  /** Why hosts are not reached. */
  get troubles(): HostTroubles {
    return this.#context.troubles;
  }

  hosts(): readonly HostView[] {
    return this.#hosts.all().map((tunnel) => ({ tunnel, isPrimary: this.#hosts.isPrimary(tunnel) }));
  }

  pending(): readonly PendingView[] {
    return this.#handshakes.list();
  }

  /** The primary tunnel of an address, for whoever must know the peer. */
  primary(address: IpAddress): Tunnel | null {
    return this.#hosts.primary(address);
  }

  /** One event: its work, and what discovery wishes because of it, whatever becomes of the work. Throws what it throws. */
  #during(now: Now, work: () => void): void {
    try {
      work();
    } finally {
      // This ends: a handshake that is under way is not started again, nor tried again without new endpoints.
      for (let wish = this.#wishes.take(); wish !== null; wish = this.#wishes.take()) {
        this.#fulfil(now, wish);
      }
    }
  }

  #fulfil(now: Now, { kind, address }: Wish): void {
    const primary = this.#hosts.primary(address);
    if (kind === 'retry') {
      this.#handshakes.trigger(now, address);
    } else if (kind === 'upgrade') {
      this.#handshakes.start(now, address, 2);
    } else if (primary === null) {
      this.#handshakes.start(now, address);
    } else if (kind === 'test') {
      this.#tunnels.test(primary, null);
    }
  }
}

function tick([part, ...rest]: readonly Timed[], now: Now): void {
  try {
    part.onTimer(now);
  } finally {
    if (rest.length > 0) {
      tick(rest, now);
    }
  }
}

function sourceOf({ address, port, local }: Origin): Endpoint {
  const endpoint = endpointOf(addressFromBytes(address), port);
  return local.every((byte) => byte === 0) ? endpoint : { ...endpoint, local: addressFromBytes(local) };
}
