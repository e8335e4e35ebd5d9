/**
 * A whole node in the simulation: the real control plane, and around it the least data path and shell that can carry
 * packets: seal, open, replay check, waiting packets, recv_error, test replies, roam reports.
 */

import { ControlPlane } from '../../src/primary/control/controlPlane.ts';
import type { LocalAddress } from '../../src/primary/control/discovery/localAddresses.ts';
import type { PeerDiscoverySettings } from '../../src/primary/control/discovery/peerDiscovery.ts';
import { Remotes } from '../../src/primary/control/discovery/remotes.ts';
import type { Effect, ResolveRequest } from '../../src/primary/control/effects.ts';
import { earliest, type Now } from '../../src/primary/control/now.ts';
import type { ControlSettings, RemoteFilter } from '../../src/primary/control/tunnels/context.ts';
import type { HostRegister } from '../../src/primary/control/tunnels/hostRegister.ts';
import { Traffic } from '../../src/primary/control/tunnels/tunnelStore.ts';
import type { Identity } from '../../src/primary/pki/identity.ts';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import type { Endpoint, IpAddress } from '../../src/shared/ip/address.ts';
import {
  checkHeader,
  HeaderCheck,
  headerCounterLow,
  headerRemoteIndex,
  headerSubtype,
  headerType,
  MessageType,
  Subtype,
} from '../../src/shared/wire/header.ts';
import { discoverySettings } from '../support/discoverySettings.ts';
import { type MemoryRow, MemoryTunnelStore } from '../support/memoryTunnelStore.ts';
import type { Random } from '../support/random.ts';
import type { Nat } from './network.ts';
import { headerBytes, openPacket, sealPacket } from './packets.ts';

/** What a node has of a machine beside its network: a resolver, the kernel's addresses, a lighthouse's workers. */
export interface SimCompanion {
  readonly settings: PeerDiscoverySettings;
  readonly register: HostRegister | null;
  readonly localAddresses: readonly LocalAddress[];
  readonly nextMs: number | null;
  onTimer(now: Now): void;
  resolve(now: Now, request: ResolveRequest): void;
  /** False when the message is for the node's own client. */
  takesLighthouseMessage(now: Now, row: MemoryRow, body: Uint8Array): boolean;
}

export interface SimNodeOptions {
  readonly name: string;
  readonly identity: Identity;
  readonly endpoint: Endpoint;
  readonly settings: ControlSettings;
  readonly cipher?: Cipher;
  readonly nat?: Nat;
  readonly remoteFilter?: RemoteFilter;
  readonly capacity?: number;
  /** Behaves as releases up to 1.9.6: answers a duplicate packet with recv_error. */
  readonly complainsAboutReplays?: boolean;
  /** Behaves as Nebula: answers packets that overtake the answer to its handshake with recv_error, and drops them. */
  readonly complainsAboutEarlyPackets?: boolean;
  /** Lighthouses that it asks and does not tell anything; a companion has its own. */
  readonly lighthouses?: readonly IpAddress[];
  /** Called at the start and at every restart. */
  readonly companion?: (node: SimNode) => SimCompanion;
}

export interface Delivery {
  readonly atMs: number;
  readonly from: string;
  readonly text: string;
}

const WAITING_MAX = 100;
const EARLY_MAX = 100;
const allowEverything: RemoteFilter = { allowsUnknown: () => true, allowsAll: () => true };

export class SimNode {
  readonly name: string;
  readonly options: SimNodeOptions;
  readonly random: Random;
  readonly send: (bytes: Uint8Array, to: Endpoint) => void;
  endpoint: Endpoint;
  identity: Identity;
  isUp = true;
  /** How far its wall clock is ahead of the world's. */
  clockErrorMs = 0;
  control: ControlPlane;
  store: MemoryTunnelStore;
  remotes: Remotes;
  readonly delivered: Delivery[] = [];
  companion: SimCompanion | null;
  readonly effects: Effect[] = [];
  readonly dropped: string[] = [];
  #staticHosts: { address: IpAddress; endpoints: readonly Endpoint[] }[] = [];
  #waiting = new Map<string, Uint8Array[]>();
  /** Packets that overtook the answer to a handshake. */
  #early: { readonly bytes: Uint8Array; readonly from: Endpoint }[] = [];

  constructor(options: SimNodeOptions, random: Random, send: (bytes: Uint8Array, to: Endpoint) => void) {
    this.name = options.name;
    this.options = options;
    this.random = random;
    this.send = send;
    this.endpoint = options.endpoint;
    this.identity = options.identity;
    this.store = new MemoryTunnelStore(options.capacity);
    this.remotes = new Remotes();
    this.companion = options.companion?.(this) ?? null;
    this.control = this.#controlPlane();
  }

  get nextMs(): number | null {
    return earliest(this.companion === null ? [this.control] : [this.control, this.companion]);
  }

  get vpnAddress(): IpAddress {
    return this.identity.networks[0].address;
  }

  /** As an entry of `static_host_map`. */
  addStaticHost(address: IpAddress, ...endpoints: readonly Endpoint[]): void {
    this.#staticHosts.push({ address, endpoints });
    this.#applyStaticHosts();
  }

  /** Loses all state, as a process that was killed and started again. */
  restart(): void {
    this.store = new MemoryTunnelStore(this.options.capacity);
    this.remotes = new Remotes();
    this.#waiting.clear();
    this.#early = [];
    this.companion = this.options.companion?.(this) ?? null;
    this.control = this.#controlPlane();
    this.#applyStaticHosts();
  }

  /** The node is up: it begins to look for others. */
  start(now: Now): void {
    this.control.start(now, this.companion?.localAddresses ?? []);
    this.settle(now);
  }

  reloadIdentity(now: Now, identity: Identity): void {
    this.identity = identity;
    this.control.reloadIdentity(identity);
    this.settle(now);
  }

  /** A packet from this node's tun device. */
  sendOverlay(now: Now, to: IpAddress, text: string): void {
    const body = new Uint8Array(Buffer.from(text));
    const row = this.store.hostRow(to);
    if (row !== null) {
      this.#sendData(row, body);
      return;
    }
    const queue = this.#waiting.get(to.text) ?? [];
    this.#waiting.set(to.text, queue);
    if (queue.length < WAITING_MAX) {
      queue.push(body);
    }
    this.control.onMiss(now, to);
    this.settle(now);
  }

  onDatagram(now: Now, bytes: Uint8Array, from: Endpoint): void {
    if (checkHeader(bytes, 0, bytes.length) !== HeaderCheck.Ok) {
      return;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const type = headerType(bytes, 0);
    if (type === MessageType.Handshake) {
      this.control.onHandshake(now, bytes, from);
    } else if (type === MessageType.RecvError) {
      this.control.onRecvError(now, headerRemoteIndex(view, 0), from);
    } else {
      this.#receive(now, bytes, view, from);
    }
    this.settle(now);
  }

  /** The node did not run for a while, and notices. */
  onStandstill(now: Now): void {
    this.control.onStandstill(now);
    this.settle(now);
  }

  onTimer(now: Now): void {
    this.control.onTimer(now);
    this.companion?.onTimer(now);
    this.settle(now);
  }

  /** The messages of one log text, most recent last. */
  logs(message: string): readonly Effect[] {
    return this.effects.filter((effect) => effect.kind === 'log' && effect.message === message);
  }

  counted(metric: string): number {
    return this.effects.reduce(
      (sum, effect) => sum + (effect.kind === 'count' && effect.metric === metric ? effect.n : 0),
      0,
    );
  }

  /** Carries out what the control plane wants, as the shell does. */
  settle(now: Now): void {
    for (const effect of this.control.drain()) {
      this.effects.push(effect);
      this.#carryOut(now, effect);
    }
  }

  /** Seals a message and sends it to `endpoint`, or where the tunnel's packets go. */
  sendSealed(row: MemoryRow, type: number, subtype: number, body: Uint8Array, endpoint: Endpoint | null = null): void {
    const to = endpoint ?? row.endpoint;
    if (to !== null) {
      row.traffic |= Traffic.Out;
      this.send(sealPacket(row, type, subtype, body), to);
    }
  }

  #carryOut(now: Now, effect: Effect): void {
    switch (effect.kind) {
      case 'sendDatagram':
        this.send(effect.bytes, effect.endpoint);
        break;
      case 'sendSealed': {
        const row = this.store.row(effect.slot);
        this.sendSealed(row, effect.type, effect.subtype, effect.body, effect.endpoint);
        break;
      }
      case 'punch':
        this.send(Uint8Array.of(effect.byte), effect.endpoint);
        break;
      case 'hostUp':
        for (const address of effect.addresses) {
          this.#flush(address);
        }
        this.#receiveEarly(now);
        break;
      case 'hostFailed':
        for (const body of this.#waiting.get(effect.address.text) ?? []) {
          this.dropped.push(Buffer.from(body).toString());
        }
        this.#waiting.delete(effect.address.text);
        break;
      case 'tunnelClosed':
        if (effect.farewell) {
          this.sendSealed(this.store.row(effect.slot), MessageType.CloseTunnel, Subtype.None, new Uint8Array(0));
        }
        this.store.remove(effect.slot);
        break;
      case 'resolve':
        this.companion?.resolve(now, effect.request);
        break;
      default:
        break;
    }
  }

  #flush(address: IpAddress): void {
    const row = this.store.hostRow(address);
    const bodies = this.#waiting.get(address.text) ?? [];
    this.#waiting.delete(address.text);
    if (row !== null) {
      for (const body of bodies) {
        this.#sendData(row, body);
      }
    }
  }

  #sendData(row: MemoryRow, body: Uint8Array): void {
    this.sendSealed(row, MessageType.Message, Subtype.None, body);
  }

  #receive(now: Now, bytes: Uint8Array, view: DataView, from: Endpoint): void {
    const row = this.store.byLocalIndex(headerRemoteIndex(view, 0));
    const recvError = headerBytes(MessageType.RecvError, 0, headerRemoteIndex(view, 0), 0);
    if (row === null) {
      const isExpected = this.store.announced.has(headerRemoteIndex(view, 0)) && this.#early.length < EARLY_MAX;
      if (isExpected && this.options.complainsAboutEarlyPackets !== true) {
        this.#early.push({ bytes, from });
      } else {
        this.send(recvError, from);
      }
      return;
    }
    const counter = headerCounterLow(view, 0);
    if (row.received.has(counter)) {
      if (this.options.complainsAboutReplays === true) {
        this.send(recvError, from);
      }
      return;
    }
    const body = openPacket(row, bytes, counter);
    if (body === null) {
      return;
    }
    row.received.add(counter);
    row.traffic |= Traffic.In;
    const isRequest = headerType(bytes, 0) === MessageType.Test && headerSubtype(bytes, 0) === Subtype.TestRequest;
    const isProof = !row.isConfirmed && !(isRequest && row.record.isInitiator);
    if (isProof || (row.isConfirmed && row.endpoint?.text !== from.text)) {
      this.control.onRoam(now, row.slot, row.generation, from);
      this.settle(now);
    }
    this.#dispatch(now, row, bytes, body);
    this.settle(now);
  }

  #receiveEarly(now: Now): void {
    const early = this.#early;
    this.#early = [];
    for (const { bytes, from } of early) {
      this.#receive(now, bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), from);
    }
  }

  #dispatch(now: Now, row: MemoryRow, bytes: Uint8Array, body: Uint8Array): void {
    switch (headerType(bytes, 0)) {
      case MessageType.Message:
        this.delivered.push({ atMs: now.ms, from: row.record.certificate.name, text: Buffer.from(body).toString() });
        break;
      case MessageType.Test:
        if (headerSubtype(bytes, 0) === Subtype.TestRequest && row.endpoint !== null) {
          row.traffic |= Traffic.Out;
          this.send(sealPacket(row, MessageType.Test, Subtype.TestReply, body), row.endpoint);
        }
        break;
      case MessageType.Lighthouse:
        if (this.companion?.takesLighthouseMessage(now, row, body) !== true) {
          this.control.onLighthouseMessage(now, row.slot, row.generation, body);
        }
        break;
      case MessageType.CloseTunnel:
        this.control.onClose(now, row.slot, row.generation);
        break;
      default:
        // Relay control messages: a worker counts and drops them.
        break;
    }
  }

  #controlPlane(): ControlPlane {
    return new ControlPlane({
      store: this.store,
      register: this.companion?.register ?? null,
      remotes: this.remotes,
      remoteFilter: this.options.remoteFilter ?? allowEverything,
      random: (byteCount) => this.random.bytes(byteCount),
      cipher: this.options.cipher ?? Cipher.Aes256Gcm,
      identity: this.identity,
      settings: this.options.settings,
      discovery: this.companion?.settings ?? this.#plainDiscovery(),
    });
  }

  #plainDiscovery(): PeerDiscoverySettings {
    const { lighthouses = [] } = this.options;
    return discoverySettings(this.identity.networks, { client: { lighthouses, intervalMs: 0 } });
  }

  #applyStaticHosts(): void {
    this.remotes.applyStaticHosts(this.#staticHosts.map((host) => host.address));
    for (const { address, endpoints } of this.#staticHosts) {
      this.remotes.report(this.vpnAddress, address, endpoints, []);
    }
  }
}
