/**
 * A worker's whole data path with both ends in memory, for tests that follow packets from tun to tun without a kernel.
 * The doubles allocate nothing per packet, so that what a test measures is the data path's own.
 */
import { Cipher } from '../../src/shared/crypto/aead.ts';
import type { ProviderName } from '../../src/shared/crypto/providerNames.ts';
import { tryLoad } from '../../src/shared/crypto/providers.ts';
import { OwnIdentity } from '../../src/shared/firewall/identity.ts';
import { addressFromBytes, parseAddress, writeMapped } from '../../src/shared/ip/address.ts';
import { networkWords } from '../../src/shared/ip/networkWords.ts';
import { PacketTuple } from '../../src/shared/ip/packetTuple.ts';
import { CHANNEL_BYTES, FrameReader, FrameWriter } from '../../src/shared/ipc/frameRing.ts';
import { decodeFrame } from '../../src/shared/ipc/frames.ts';
import type { Punt, RouteSetting } from '../../src/shared/ipc/messages.ts';
import { initializeShared, type SharedTables } from '../../src/shared/memory/layout.ts';
import { resetSendCounter } from '../../src/shared/memory/sendCounter.ts';
import { Arena } from '../../src/shared/sys/arena.ts';
import type { TunOffload } from '../../src/shared/sys/tun.ts';
import { SocketFamily } from '../../src/shared/tunnel/socketAddress.ts';
import { TunnelContexts } from '../../src/shared/tunnel/tunnelContext.ts';
import { Firewall } from '../../src/worker/datapath/firewall.ts';
import { FlowLabel } from '../../src/worker/datapath/flowLabel.ts';
import { Inbound, type InboundRules } from '../../src/worker/datapath/inbound.ts';
import { Outbound } from '../../src/worker/datapath/outbound.ts';
import { Peers } from '../../src/worker/datapath/peers.ts';
import { RecvErrors } from '../../src/worker/datapath/recvErrors.ts';
import { Rejects } from '../../src/worker/datapath/rejects.ts';
import { Router } from '../../src/worker/datapath/router.ts';
import { RoutineCache } from '../../src/worker/datapath/routineCache.ts';
import { Sender } from '../../src/worker/datapath/sender.ts';
import { Strangers } from '../../src/worker/datapath/strangers.ts';
import { Waiting } from '../../src/worker/datapath/waiting.ts';
import { Deliveries } from '../../src/worker/offload/deliveries.ts';
import { Segmenter } from '../../src/worker/offload/segment.ts';
import { type PuntSink, Punts } from '../../src/worker/punts.ts';
import { rulesOf } from '../shared/firewall/certificates.ts';

import type { TestHost } from './certificates.ts';
import { privateMemories } from './memories.ts';
import { MemoryTun, MemoryUdp } from './memoryPorts.ts';

export interface DataPlaneOptions {
  readonly host: TestHost;
  readonly underlay: string;
  readonly peerUnderlay: string;
  readonly inbound?: readonly Record<string, unknown>[];
  readonly outbound?: readonly Record<string, unknown>[];
  readonly routes?: readonly RouteSetting[];
  readonly routineCacheMs?: number;
  /** `node-evp` without it. */
  readonly provider?: ProviderName;
  /** What the device takes; nothing without it. */
  readonly offload?: TunOffload;
  readonly flowLabels?: boolean;
  /** No lighthouse without it. */
  readonly lighthouse?: InboundRules['lighthouse'];
  /** One of its own without it. */
  readonly arena?: Arena;
}

/** What a data plane takes of an arena. */
export const DATA_PLANE_ARENA_BYTES: number = 32 * 1024 * 1024;

const ANY = [{ port: 'any', proto: 'any', host: 'any' }];

/** One node's worker over tables of its own; `connect` joins two by a tunnel as a handshake would leave it. */
export class DataPlane {
  readonly host: TestHost;
  readonly tables: SharedTables;
  readonly tun: MemoryTun;
  readonly udp: MemoryUdp;
  readonly arena: Arena;
  readonly contexts: TunnelContexts;
  readonly outbound: Outbound;
  readonly inbound: Inbound;
  readonly punts: Punts;
  readonly strangers: Strangers;
  readonly sender: Sender;
  readonly metrics: Float64Array;
  readonly cache: RoutineCache;
  /** Everything punted so far. */
  readonly reported: Punt[] = [];
  readonly underlay: string;

  constructor(options: DataPlaneOptions) {
    const capacities = { workers: 1, tunnels: 16, flows: 1024, lighthouseHosts: 1 };
    this.host = options.host;
    this.underlay = options.underlay;
    this.tables = initializeShared(privateMemories(capacities), capacities);
    this.arena = options.arena ?? new Arena(DATA_PLANE_ARENA_BYTES);
    this.metrics = this.tables.metrics.column(1);
    this.udp = new MemoryUdp(this.arena, options.peerUnderlay);
    this.tun = new MemoryTun(this.arena);
    const provider = tryLoad(options.provider ?? 'node-evp').provider!;
    this.contexts = new TunnelContexts(
      this.arena,
      this.tables.tunnels,
      this.tables.indexes,
      () => provider,
      SocketFamily.Ipv4,
    );
    this.punts = new Punts(this.arena, capacities.tunnels, this.metrics, this.#sink(capacities.tunnels));
    this.cache = new RoutineCache(options.routineCacheMs ?? 0);
    this.strangers = new Strangers({
      arena: this.arena,
      family: SocketFamily.Ipv4,
      contexts: this.contexts,
      hosts: this.tables.hosts,
      metrics: this.metrics,
      seed: 1,
      workers: 1,
      keyBytes: 32,
    });
    const tuple = new PacketTuple();
    const sender = new Sender(this.contexts, this.udp, this.metrics);
    this.sender = sender;
    const rejects = new Rejects(this.arena, this.tun, sender, tuple, { inbound: true, outbound: true });
    const rules = this.#rules(options);
    const common = { arena: this.arena, contexts: this.contexts, sender, punts: this.punts, rejects };
    const parts = { ...common, metrics: this.metrics };
    this.outbound = new Outbound(
      {
        ...parts,
        tun: this.tun,
        waiting: new Waiting(),
        segmenter: new Segmenter(this.arena, 9001),
      },
      rules,
      tuple,
    );
    const offload = options.offload ?? { vnetHeader: false, tso: false, uso: false };
    this.inbound = new Inbound(
      {
        ...parts,
        udp: this.udp,
        family: SocketFamily.Ipv4,
        strangers: this.strangers,
        overlay: new Deliveries(this.arena, this.tun, offload, this.metrics),
      },
      rules,
      tuple,
    );
  }

  /** One turn of the loop in each direction. */
  turn(nowMs = 1000): void {
    this.punts.beginTurn(nowMs);
    this.outbound.run(Math.floor(nowMs / 1000));
    this.inbound.run(nowMs, Math.floor(nowMs / 1000));
    this.punts.flush();
  }

  /** A ring whose other end takes everything at once, as strictly as the primary does. */
  #sink(tunnels: number): PuntSink {
    const memory = new ArrayBuffer(CHANNEL_BYTES);
    const reader = new FrameReader(memory);
    const frames = new FrameWriter(memory);
    const flush = (): void => {
      frames.publish();
      for (let bytes = reader.read(); bytes !== null; bytes = reader.read()) {
        const frame = typeof bytes === 'string' ? bytes : decodeFrame(bytes, tunnels);
        if (typeof frame === 'string') {
          throw new Error(frame);
        }
        this.reported.push(frame as Punt);
      }
    };
    return { frames, flush };
  }

  #rules(
    options: DataPlaneOptions,
  ): ConstructorParameters<typeof Inbound>[1] & ConstructorParameters<typeof Outbound>[1] {
    const own = new OwnIdentity(this.host.certificate, new Map());
    return {
      router: new Router(
        {
          networks: this.host.certificate.networks,
          routes: options.routes ?? [],
          dropsMulticast: false,
          dropsLocalBroadcast: false,
          ownPort: 0,
        },
        this.tables.hosts,
        this.punts,
      ),
      firewall: new Firewall({
        own,
        rules: rulesOf({ inbound: options.inbound ?? ANY, outbound: options.outbound ?? ANY }),
        timeouts: { tcpMs: 60_000, udpMs: 60_000, defaultMs: 60_000 },
        conntrack: this.tables.conntrack,
        cache: this.cache,
        counters: this.tables.firewallCounters[0],
      }),
      peers: new Peers(this.tables.tunnels, own),
      labels: options.flowLabels ? new FlowLabel(new Uint8Array(16).fill(7)) : null,
      ownNetworks: networkWords(this.host.certificate.networks),
      recvErrors: new RecvErrors(this.arena, this.udp, this.metrics, 'always'),
      lighthouse: options.lighthouse ?? null,
    };
  }
}

export interface TestTunnel {
  /** Local index of the left side, of the right side; the slot is added to both. */
  readonly indexes: readonly [number, number];
  /** The last counter sent, on both sides; the receivers begin with 3. */
  readonly lastCounter: number;
  readonly cipher: Cipher;
}

const FRESH_TUNNEL: TestTunnel = { indexes: [1000, 2000], lastCounter: 2, cipher: Cipher.Aes256Gcm };

/** Writes the rows of one tunnel on both sides, published in both host tables. */
export function connect(left: DataPlane, right: DataPlane, slot: number, tunnel: TestTunnel = FRESH_TUNNEL): void {
  connectSide(left, right, slot, 'left', tunnel);
  connectSide(right, left, slot, 'right', tunnel);
}

/** One side of the same: the tunnel as `plane` has it, which is the left or the right one of the two. */
export function connectSide(
  plane: DataPlane,
  peer: DataPlane,
  slot: number,
  side: 'left' | 'right',
  tunnel: TestTunnel = FRESH_TUNNEL,
): void {
  const keys = [new Uint8Array(32).fill(slot + 1), new Uint8Array(32).fill(slot + 101)];
  const indexes = [tunnel.indexes[0] + slot, tunnel.indexes[1] + slot];
  const [own, other] = side === 'left' ? [0, 1] : [1, 0];
  const { lastCounter, cipher } = tunnel;
  write(plane, peer, slot, {
    index: indexes[own],
    peerIndex: indexes[other],
    sendKey: keys[own],
    receiveKey: keys[other],
    lastCounter,
    cipher,
  });
}

function write(
  plane: DataPlane,
  peer: DataPlane,
  slot: number,
  tunnel: {
    index: number;
    peerIndex: number;
    sendKey: Uint8Array;
    receiveKey: Uint8Array;
    lastCounter: number;
    cipher: Cipher;
  },
): void {
  const { tunnels, indexes, hosts } = plane.tables;
  const { certificate } = peer.host;
  const addresses = certificate.networks.map(({ address }) => {
    const mapped = new Uint8Array(16);
    writeMapped(address, mapped, 0);
    return mapped;
  });
  tunnels.write(slot, 2, {
    localIndex: tunnel.index,
    remoteIndex: tunnel.peerIndex,
    cipher: tunnel.cipher,
    sendKey: tunnel.sendKey,
    receiveKey: tunnel.receiveKey,
    certificate: certificate.encoded,
    certificateVersion: certificate.version,
    vpnAddresses: addresses,
    ordinal: slot + 1,
    lastCounter: 2,
  });
  resetSendCounter(tunnels.cells, tunnels.counterCell(slot), tunnel.lastCounter);
  const endpoint = new Uint8Array(16);
  writeMapped(parseAddress(peer.underlay)!, endpoint, 0);
  tunnels.writeEndpoint(slot, endpoint, 4242);
  indexes.insert(tunnel.index, slot);
  for (const address of addresses) {
    const view = new DataView(address.buffer);
    hosts.set(view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12), slot);
  }
}

/** The address of a punt as text. */
export function textOf(address: Uint8Array): string {
  return addressFromBytes(address).text;
}
