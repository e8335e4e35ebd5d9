/**
 * What a simulated node has around its control core: the shared tables in plain memory, what carries out the core's
 * effects, and workers with the product's data path. The way between primary and workers is the real one: frames in a
 * ring, messages as structured clones; only the moments of delivery are the simulation's.
 */
import type { HostRegister } from '../../src/primary/control/tunnels/hostRegister.ts';
import { LighthouseHosts } from '../../src/primary/lighthouse/hosts.ts';
import { type SendCall, Underlay } from '../../src/primary/machine/underlay.ts';
import { Performer } from '../../src/primary/performer.ts';
import type { Identity } from '../../src/primary/pki/identity.ts';
import { workerSettingsOf } from '../../src/primary/settings.ts';
import { TunnelRows } from '../../src/primary/tables/tunnelRows.ts';
import { NODE_PROVIDER_NAME } from '../../src/shared/crypto/providerNames.ts';
import { loadProvider } from '../../src/shared/crypto/providers.ts';
import type { Endpoint } from '../../src/shared/ip/address.ts';
import { FLOW_KEY_BYTES, type Punt, type WorkerSettings } from '../../src/shared/ipc/messages.ts';
import { createLogger } from '../../src/shared/log/logger.ts';
import { initializeShared, type SharedMemories, type SharedTables } from '../../src/shared/memory/layout.ts';
import { METRIC, type MetricName } from '../../src/shared/memory/metrics.ts';
import type { Arena } from '../../src/shared/sys/arena.ts';
import { SOCKADDR_BYTES, SocketFamily } from '../../src/shared/tunnel/socketAddress.ts';
import { TunnelContext, TunnelContexts } from '../../src/shared/tunnel/tunnelContext.ts';
import { headerRemoteIndex, headerReserved } from '../../src/shared/wire/header.ts';
import type { ToDataPlane } from '../../src/worker/dataPlane.ts';
import { configOf } from '../primary/config/support.ts';
import { LocalWorker } from '../support/localWorker.ts';
import { privateMemories } from '../support/memories.ts';
import { endpointAt } from '../support/memoryPorts.ts';
import type { Random } from '../support/random.ts';
import { plainArena } from './plainArena.ts';

export interface MachineWishes {
  readonly identity: Identity;
  readonly amLighthouse: boolean;
  /** Rows for tunnels. */
  readonly capacity: number;
  readonly workers: number;
  readonly random: Random;
  readonly send: (bytes: Uint8Array, to: Endpoint) => void;
}

/** Room for what is under way in one turn: the packets that waited for one host, each with a small payload. */
const PORTS = { slots: 128, slotBytes: 2560 };
const WORKER_ARENA_BYTES = 3 * PORTS.slots * PORTS.slotBytes + 256 * 1024;
const PRIMARY_ARENA_BYTES = 128 * 1024;
const LIGHTHOUSE_HOSTS = 1024;

const everythingPasses = configOf(`
firewall:
  inbound: [{port: any, proto: any, host: any}]
  outbound: [{port: any, proto: any, host: any}]
`);
const provider = loadProvider(NODE_PROVIDER_NAME);
const silence = createLogger({ level: 'error', format: 'text', disableTimestamp: true, write: () => undefined });

export class SimMachine {
  /** As the primary has them. */
  readonly tables: SharedTables;
  readonly rows: WatchedRows;
  /** On a lighthouse: the table that its workers answer from. */
  readonly hosts: (LighthouseHosts & HostRegister) | null;
  readonly workers: LocalWorker[];
  readonly performer: Performer;
  /** Inner packets that reached the host since they were last taken out. */
  readonly delivered: Uint8Array[] = [];
  readonly #wishes: MachineWishes;
  readonly #memories: SharedMemories;
  readonly #labelKey: Uint8Array;
  readonly #messages: ToDataPlane[] = [];
  readonly #punts: Punt[] = [];

  constructor(wishes: MachineWishes) {
    const { workers, capacity, amLighthouse, random, identity } = wishes;
    const lighthouseHosts = amLighthouse ? LIGHTHOUSE_HOSTS : 1;
    const capacities = { workers, tunnels: capacity, flows: 1024, lighthouseHosts };
    const memories = privateMemories(capacities);
    const tables = initializeShared(memories, capacities);
    tables.conntrack.initialize(random.u32());
    this.#wishes = wishes;
    this.#memories = memories;
    this.#labelKey = random.bytes(FLOW_KEY_BYTES);
    this.tables = tables;
    this.rows = new WatchedRows(tables);
    this.hosts = amLighthouse ? new LighthouseHosts(tables.lighthouse, tables.turns) : null;
    this.performer = this.#performer();
    this.workers = Array.from({ length: workers }, (_, worker) => this.#worker(worker, identity));
  }

  /** A worker died, and its successor has started: with the same memories, and nothing that the other one knew. */
  replaceWorker(worker: number, identity: Identity): void {
    this.tables.turns.abandon(worker);
    this.workers[worker] = this.#worker(worker, identity);
  }

  /** The tun device has a packet of the host, whose flow the kernel gives to one queue. */
  sendOverlay(nowMs: number, packet: Uint8Array): void {
    const worker = this.workers[packet[packet[0] >> 4 === 4 ? 19 : 39] % this.workers.length];
    worker.tun.send(packet);
    worker.turn(nowMs);
    this.#collect(worker);
  }

  /** A datagram arrived, at the socket that steering chooses. */
  receive(nowMs: number, bytes: Uint8Array, from: Endpoint): void {
    const worker = this.workers[this.#steer(bytes)];
    worker.udp.setSource(from.address.text, from.port);
    worker.udp.deliver(bytes);
    worker.turn(nowMs);
    this.#collect(worker);
  }

  /** As a reload: every worker gets its settings anew. */
  applyIdentity(nowMs: number, identity: Identity): void {
    for (const [number, worker] of this.workers.entries()) {
      worker.tell({ type: 'settings', settings: this.#settings(number, identity) }, nowMs);
      this.#collect(worker);
    }
  }

  /** Lets the workers hear what the core has told them; the next of their reports, or null when there is none. */
  nextPunt(nowMs: number): Punt | null {
    for (let message = this.#messages.shift(); message !== undefined; message = this.#messages.shift()) {
      for (const worker of this.workers) {
        worker.tell(message, nowMs);
        this.#collect(worker);
      }
    }
    return this.#punts.shift() ?? null;
  }

  /** Of all workers and the primary. */
  metric(name: MetricName): number {
    return this.workers.reduce(
      (sum, _, worker) => sum + this.tables.metrics.column(worker + 1)[METRIC[name]],
      this.tables.metrics.column(0)[METRIC[name]],
    );
  }

  #worker(worker: number, identity: Identity): LocalWorker {
    const arena = plainArena(WORKER_ARENA_BYTES + this.#wishes.capacity * SOCKADDR_BYTES);
    return new LocalWorker(this.#settings(worker, identity), this.#memories, arena, PORTS);
  }

  #collect(worker: LocalWorker): void {
    for (const { bytes, to } of worker.udp.takeAddressed()) {
      this.#wishes.send(bytes, to);
    }
    this.delivered.push(...worker.tun.written.splice(0));
    worker.takePunts(this.#punts);
  }

  /** As the kernel's program does: by the flow label, else by the tunnel's index. */
  #steer(bytes: Uint8Array): number {
    if (bytes.length < 8) {
      return 0;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return (headerReserved(view, 0) || headerRemoteIndex(view, 0)) % this.workers.length;
  }

  #settings(worker: number, identity: Identity): WorkerSettings {
    const { lighthouse } = everythingPasses;
    const config = { ...everythingPasses, lighthouse: { ...lighthouse, amLighthouse: this.#wishes.amLighthouse } };
    return workerSettingsOf(worker, config, identity, {
      providers: { aes: NODE_PROVIDER_NAME, chacha: NODE_PROVIDER_NAME },
      offload: { vnetHeader: false, tso: false, uso: false },
      family: 6,
      ownPort: 4242,
      labelKey: this.#labelKey,
      rulesVersion: 1,
    });
  }

  #performer(): Performer {
    const { tunnels, indexes, metrics } = this.tables;
    const arena = plainArena(PRIMARY_ARENA_BYTES + tunnels.capacity * SOCKADDR_BYTES);
    return new Performer({
      rows: this.rows,
      contexts: new TunnelContexts(arena, tunnels, indexes, () => provider, SocketFamily.Ipv6, TunnelContext),
      underlay: new Underlay(-1, SocketFamily.Ipv6, arena, null, this.#network(arena)),
      metrics: metrics.column(0),
      workers: { broadcast: (message) => this.#messages.push(message as ToDataPlane) },
      names: { onHostUp: () => undefined, onHostGone: () => undefined },
      // The network takes every datagram.
      troubles: { notSent: () => 1 },
      log: silence,
    });
  }

  /** The system call with which the primary sends. */
  #network(arena: Arena): SendCall {
    const { send } = this.#wishes;
    return {
      sendto: (_fd, address, length, _flags, name) => {
        const start = address - arena.address;
        send(arena.bytes.slice(start, start + length), endpointAt(arena, name - arena.address));
        return length;
      },
      sendmmsg: () => -1,
      lastErrno: () => 0,
    };
  }
}

/** The product's rows, and which indexes are announced in them. */
export class WatchedRows extends TunnelRows {
  readonly #tables: SharedTables;
  readonly #everAnnounced = new Set<number>();

  constructor(tables: SharedTables) {
    super(tables);
    this.#tables = tables;
  }

  override announceIndex(index: number): boolean {
    this.#everAnnounced.add(index);
    return super.announceIndex(index);
  }

  /** Indexes of handshakes that wait for their answer. */
  get announcedCount(): number {
    return [...this.#everAnnounced].filter((index) => this.#tables.indexes.isAnnounced(index)).length;
  }
}
