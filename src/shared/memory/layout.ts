/**
 * Where each table lies in the shared memory, and the header that lets a process check that it maps what it expects.
 *
 * The only file that places regions. Capacities are fixed when the memory is made, stand in the header and bound every
 * table; pages are backed when touched, so generous capacities cost nothing. Every region starts on its own cache line.
 */
import { HostTable } from './hostTable.ts';
import { IndexTable } from './indexTable.ts';
import { Metrics } from './metrics.ts';
import { TunnelTable } from './tunnelTable.ts';
import { WorkerTurns } from './workerTurns.ts';

/** Raised whenever a table's rows or the order of regions change. */
export const LAYOUT_VERSION = 1;

const MAGIC = 0x74666577;
const HEADER_BYTES = 4096;
const ALIGN_BYTES = 64;

export interface Capacities {
  readonly workers: number;
  readonly tunnels: number;
}

/** All tables of one node, as one process sees them. */
export interface SharedTables {
  readonly capacities: Capacities;
  readonly tunnels: TunnelTable;
  readonly indexes: IndexTable;
  readonly hosts: HostTable;
  readonly metrics: Metrics;
  readonly turns: WorkerTurns;
}

/** A peer has one index per tunnel and rarely more than a few addresses. */
const HOSTS_PER_TUNNEL = 2;

/** Size of the whole mapping in bytes. */
export function sharedByteLength(capacities: Capacities): number {
  return place(capacities).end;
}

/** Writes the header into fresh, zeroed memory; the primary calls it once, before any worker maps the memory. */
export function initializeShared(buffer: ArrayBufferLike, capacities: Capacities): SharedTables {
  const header = new Int32Array(buffer, 0, HEADER_BYTES / 4);
  header[1] = LAYOUT_VERSION;
  header[2] = capacities.workers;
  header[3] = capacities.tunnels;
  Atomics.store(header, 0, MAGIC);
  return openShared(buffer);
}

/** Opens memory that another process initialized. Throws when it was made by a build with another layout. */
export function openShared(buffer: ArrayBufferLike): SharedTables {
  const header = new Int32Array(buffer, 0, HEADER_BYTES / 4);
  if (Atomics.load(header, 0) !== MAGIC || header[1] !== LAYOUT_VERSION) {
    throw new Error(`shared memory has layout version ${header[1]}, this build needs ${LAYOUT_VERSION}; restart weft`);
  }
  const capacities: Capacities = { workers: header[2], tunnels: header[3] };
  const at = place(capacities);
  return {
    capacities,
    turns: new WorkerTurns(buffer, at.turns, capacities.workers),
    metrics: new Metrics(buffer, at.metrics, capacities.workers + 1),
    indexes: new IndexTable(buffer, at.indexes, capacities.tunnels),
    hosts: new HostTable(buffer, at.hosts, capacities.tunnels * HOSTS_PER_TUNNEL),
    tunnels: new TunnelTable(buffer, at.tunnels, capacities.tunnels),
  };
}

function place(capacities: Capacities): Record<'turns' | 'metrics' | 'indexes' | 'hosts' | 'tunnels' | 'end', number> {
  const turns = HEADER_BYTES;
  const metrics = align(turns + WorkerTurns.byteLength(capacities.workers));
  const indexes = align(metrics + Metrics.byteLength(capacities.workers + 1));
  const hosts = align(indexes + IndexTable.byteLength(capacities.tunnels));
  const tunnels = align(hosts + HostTable.byteLength(capacities.tunnels * HOSTS_PER_TUNNEL));
  const end = align(tunnels + TunnelTable.byteLength(capacities.tunnels));
  return { turns, metrics, indexes, hosts, tunnels, end };
}

function align(offset: number): number {
  return Math.ceil(offset / ALIGN_BYTES) * ALIGN_BYTES;
}
