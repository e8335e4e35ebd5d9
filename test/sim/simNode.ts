/**
 * A whole node in the simulation: the real control core, and around it a machine (`simMachine.ts`) with the real tables and
 * the workers' real data path. What is not here is processes, descriptors and clocks: all nodes run in one process, each
 * event to its end before the next.
 */
import { ControlPlane } from '../../src/primary/control/controlPlane.ts';
import type { LocalAddress } from '../../src/primary/control/discovery/localAddresses.ts';
import type { PeerDiscoverySettings } from '../../src/primary/control/discovery/peerDiscovery.ts';
import { Remotes } from '../../src/primary/control/discovery/remotes.ts';
import type { Effect, ResolveRequest } from '../../src/primary/control/effects.ts';
import { earliest, type Now } from '../../src/primary/control/now.ts';
import type { ControlSettings, RemoteFilter } from '../../src/primary/control/tunnels/context.ts';
import type { LighthouseHosts } from '../../src/primary/lighthouse/hosts.ts';
import type { Identity } from '../../src/primary/pki/identity.ts';
import { mappedBytes } from '../../src/primary/tables/tunnelRows.ts';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import { addressFromBytes, type Endpoint, endpointOf, type IpAddress } from '../../src/shared/ip/address.ts';
import type { Origin } from '../../src/shared/ipc/messages.ts';
import type { MetricName } from '../../src/shared/memory/metrics.ts';
import { resetSendCounter } from '../../src/shared/memory/sendCounter.ts';
import { MessageType } from '../../src/shared/wire/header.ts';
import { discoverySettings } from '../support/discoverySettings.ts';
import type { Random } from '../support/random.ts';
import type { Nat } from './network.ts';
import { Complaints, type OldHabits } from './oldHabits.ts';
import { headerBytes } from './packets.ts';
import { SimMachine, type WatchedRows } from './simMachine.ts';
import { readTextPacket, textPacket } from './simPackets.ts';

/** What a node has of a machine beside its network: a resolver, the kernel's addresses. */
export interface SimCompanion {
  readonly settings: PeerDiscoverySettings;
  readonly localAddresses: readonly LocalAddress[];
  readonly nextMs: number | null;
  onTimer(now: Now): void;
  resolve(now: Now, request: ResolveRequest): void;
}

export interface SimNodeOptions extends OldHabits {
  readonly name: string;
  readonly identity: Identity;
  readonly endpoint: Endpoint;
  readonly settings: ControlSettings;
  readonly cipher?: Cipher;
  readonly nat?: Nat;
  readonly remoteFilter?: RemoteFilter;
  readonly capacity?: number;
  /** Two on a lighthouse and one on any other node without it. */
  readonly workers?: number;
  /** Lighthouses that it asks and does not tell anything; a companion has its own. */
  readonly lighthouses?: readonly IpAddress[];
  /** Called at the start and at every restart. */
  readonly companion?: (node: SimNode) => SimCompanion;
}

export interface Delivery {
  readonly atMs: number;
  /** The name of the host whose address the packet has. */
  readonly from: string;
  readonly text: string;
}

/** Rows for tunnels: memory is what a simulated node costs most. Hosts come to a lighthouse all at once. */
const TUNNELS = 256;
const LIGHTHOUSE_TUNNELS = 1024;
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
  machine: SimMachine;
  remotes: Remotes;
  readonly delivered: Delivery[] = [];
  companion: SimCompanion | null;
  readonly effects: Effect[] = [];
  #staticHosts: { address: IpAddress; endpoints: readonly Endpoint[] }[] = [];
  #complaints: Complaints;

  constructor(options: SimNodeOptions, random: Random, send: (bytes: Uint8Array, to: Endpoint) => void) {
    this.name = options.name;
    this.options = options;
    this.random = random;
    this.send = send;
    this.endpoint = options.endpoint;
    this.identity = options.identity;
    this.machine = this.#machine();
    this.remotes = new Remotes();
    this.#complaints = new Complaints(options);
    this.companion = options.companion?.(this) ?? null;
    this.control = this.#controlPlane();
  }

  get nextMs(): number | null {
    return earliest(this.companion === null ? [this.control] : [this.control, this.companion]);
  }

  get vpnAddress(): IpAddress {
    return this.identity.networks[0].address;
  }

  get store(): WatchedRows {
    return this.machine.rows;
  }

  /** On a lighthouse: whom it can be asked for. */
  get hosts(): LighthouseHosts | null {
    return this.machine.hosts;
  }

  /** Packets that waited for a host and were dropped. */
  get droppedCount(): number {
    return this.metric('drop.tx.handshake_timeout') + this.metric('drop.tx.waiting_full');
  }

  /** As an entry of `static_host_map`. */
  addStaticHost(address: IpAddress, ...endpoints: readonly Endpoint[]): void {
    this.#staticHosts.push({ address, endpoints });
    this.#applyStaticHosts();
  }

  /** Loses all state, as a process that was killed and started again. */
  restart(): void {
    this.machine = this.#machine();
    this.remotes = new Remotes();
    this.#complaints = new Complaints(this.options);
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
    this.machine.applyIdentity(now.ms, identity);
    this.settle(now);
  }

  /** A packet from this node's host. */
  sendOverlay(now: Now, to: IpAddress, text: string): void {
    const own = this.identity.networks.map(({ address }) => address).find(({ family }) => family === to.family);
    if (own === undefined) {
      throw new Error(`${this.name} has no address to send from to ${to.text}`);
    }
    this.machine.sendOverlay(now.ms, textPacket(own, to, text));
    this.settle(now);
  }

  onDatagram(now: Now, bytes: Uint8Array, from: Endpoint): void {
    const index = this.#complaints.about(bytes, this.machine.tables.indexes);
    if (index === null) {
      this.machine.receive(now.ms, bytes, from);
    } else {
      this.send(headerBytes(MessageType.RecvError, 0, index, 0), from);
    }
    this.settle(now);
  }

  /** A first message or an answer as a worker reports it, past its quotas for strangers. */
  reportHandshake(now: Now, bytes: Uint8Array, from: Endpoint): void {
    this.control.onPunt(now, { kind: 'handshake', bytes: bytes.slice(), ...originOf(from) });
    this.settle(now);
  }

  /** A recv_error as a worker reports it, past its quotas for strangers. */
  reportRecvError(now: Now, index: number, from: Endpoint): void {
    this.control.onPunt(now, { kind: 'recvError', index, ...originOf(from) });
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

  /** What the control core has counted. */
  counted(metric: string): number {
    return this.effects.reduce(
      (sum, effect) => sum + (effect.kind === 'count' && effect.metric === metric ? effect.n : 0),
      0,
    );
  }

  /** What primary and workers have counted in shared memory. */
  metric(name: MetricName): number {
    return this.machine.metric(name);
  }

  /** Carries out what the control core wants and hands it what workers report, as the shell does, until nothing is left. */
  settle(now: Now): void {
    for (;;) {
      for (const effect of this.control.drain()) {
        this.effects.push(effect);
        this.#carryOut(now, effect);
      }
      const punt = this.machine.nextPunt(now.ms);
      if (punt === null) {
        break;
      }
      this.control.onPunt(now, punt);
    }
    for (const packet of this.machine.delivered.splice(0)) {
      const { source, text } = readTextPacket(packet);
      this.delivered.push({ atMs: now.ms, from: this.#nameOf(source), text });
    }
  }

  /** Seals a message of the primary and sends it where the tunnel's packets go. */
  sendSealed(slot: number, type: MessageType, subtype: number, body: Uint8Array): void {
    this.machine.performer.carryOut({ kind: 'sendSealed', slot, type, subtype, body, endpoint: null });
  }

  /** Where the packets of the tunnel in this slot go, as workers see it. */
  endpointAt(slot: number): Endpoint | null {
    const { tunnels } = this.machine.tables;
    const address = new Uint8Array(16);
    tunnels.copyEndpointAddress(slot, address, 0);
    const port = tunnels.endpointPort(slot);
    return port === 0 ? null : endpointOf(addressFromBytes(address), port);
  }

  /** As if so many messages had been sent through the tunnel in this slot. */
  setSendCount(slot: number, count: number): void {
    const { tunnels } = this.machine.tables;
    resetSendCounter(tunnels.cells, tunnels.counterCell(slot), count);
  }

  #carryOut(now: Now, effect: Effect): void {
    if (effect.kind === 'resolve') {
      this.companion?.resolve(now, effect.request);
    } else {
      this.machine.performer.carryOut(effect);
    }
  }

  #nameOf(address: IpAddress): string {
    return this.control.primary(address)?.peer.certificate.name ?? address.text;
  }

  #machine(): SimMachine {
    const { amLighthouse } = this.options.settings;
    const { capacity = amLighthouse ? LIGHTHOUSE_TUNNELS : TUNNELS } = this.options;
    return new SimMachine({
      identity: this.identity,
      amLighthouse,
      capacity,
      workers: this.options.workers ?? (amLighthouse ? 2 : 1),
      random: this.random,
      send: this.send,
    });
  }

  #controlPlane(): ControlPlane {
    return new ControlPlane({
      store: this.machine.rows,
      register: this.machine.hosts,
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

function originOf({ address, port }: Endpoint): Origin {
  return { address: mappedBytes(address), port, local: new Uint8Array(16) };
}
