/**
 * A worker with tables of its own and one peer, for tests that follow packets from tun to tun without a kernel. The ports
 * allocate nothing per packet, so that what a test measures is the data path's own.
 */
import { Cipher } from '../../src/shared/crypto/aead.ts';
import type { ProviderName } from '../../src/shared/crypto/providerNames.ts';
import { addressFromBytes, parseAddress, writeMapped } from '../../src/shared/ip/address.ts';
import type { Punt, RouteSetting } from '../../src/shared/ipc/messages.ts';
import { initializeShared, type SharedTables } from '../../src/shared/memory/layout.ts';
import { resetSendCounter } from '../../src/shared/memory/sendCounter.ts';
import { Arena } from '../../src/shared/sys/arena.ts';
import type { TunOffload } from '../../src/shared/sys/tun.ts';
import type { ToDataPlane } from '../../src/worker/dataPlane.ts';
import type { WorkerParts } from '../../src/worker/parts.ts';

import type { TestHost } from './certificates.ts';
import { LocalWorker } from './localWorker.ts';
import { privateMemories } from './memories.ts';

import { type FirewallWishes, firewallSettings, workerSettings } from './workerSettings.ts';

export interface MemoryWorkerOptions extends FirewallWishes {
  readonly host: TestHost;
  readonly underlay: string;
  readonly peerUnderlay: string;
  readonly routes?: readonly RouteSetting[];
  /** `node-evp` without it. */
  readonly provider?: ProviderName;
  /** What the device takes; nothing without it. */
  readonly offload?: TunOffload;
  readonly flowLabels?: boolean;
  /** False: as with `tun.disabled`. */
  readonly hasDevice?: boolean;
  /** One of its own without it. */
  readonly arena?: Arena;
}

/** What such a worker takes of an arena. */
export const MEMORY_WORKER_ARENA_BYTES: number = 32 * 1024 * 1024;

const UNDERLAY_PORT = 4242;
const CAPACITIES = { workers: 1, tunnels: 16, flows: 1024, lighthouseHosts: 1 };

/** One node's only worker; `connect` joins two by a tunnel as a handshake would leave it. */
export class MemoryWorker extends LocalWorker {
  readonly host: TestHost;
  /** As the primary has them. */
  readonly tables: SharedTables;
  /** Everything punted so far. */
  readonly reported: Punt[] = [];
  readonly underlay: string;

  constructor(options: MemoryWorkerOptions) {
    const { host, underlay, peerUnderlay, routes = [], provider = 'node-evp', offload, hasDevice = true } = options;
    const settings = workerSettings(host, {
      aesProvider: provider,
      chachaProvider: provider,
      firewall: firewallSettings(options),
      hasDevice,
      labelKey: options.flowLabels === true ? new Uint8Array(16).fill(7) : null,
      routes,
      ...(offload === undefined ? {} : { tunOffload: offload }),
    });
    const memories = privateMemories(CAPACITIES);
    const tables = initializeShared(memories, CAPACITIES);
    super(settings, memories, options.arena ?? new Arena(MEMORY_WORKER_ARENA_BYTES));
    this.udp.setSource(peerUnderlay, UNDERLAY_PORT);
    this.host = host;
    this.underlay = underlay;
    this.tables = tables;
  }

  get parts(): WorkerParts {
    return this.plane.parts;
  }

  get metrics(): Float64Array {
    return this.plane.parts.metrics;
  }

  override turn(nowMs: number = 1000): void {
    super.turn(nowMs);
    this.takePunts(this.reported);
  }

  override tell(message: ToDataPlane, nowMs: number = 1000): void {
    super.tell(message, nowMs);
    this.takePunts(this.reported);
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
export function connect(
  left: MemoryWorker,
  right: MemoryWorker,
  slot: number,
  tunnel: TestTunnel = FRESH_TUNNEL,
): void {
  connectSide(left, right, slot, 'left', tunnel);
  connectSide(right, left, slot, 'right', tunnel);
}

/** One side of the same: the tunnel as `plane` has it, which is the left or the right one of the two. */
export function connectSide(
  plane: MemoryWorker,
  peer: MemoryWorker,
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
  plane: MemoryWorker,
  peer: MemoryWorker,
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
    ordinal: slot + 1,
    lastCounter: 2,
  });
  resetSendCounter(tunnels.cells, tunnels.counterCell(slot), tunnel.lastCounter);
  const endpoint = new Uint8Array(16);
  writeMapped(parseAddress(peer.underlay)!, endpoint, 0);
  tunnels.writeEndpoint(slot, endpoint, UNDERLAY_PORT, new Uint8Array(16));
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
