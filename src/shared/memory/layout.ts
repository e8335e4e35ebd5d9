/**
 * Where each table lies in the shared memory, and the header that lets a process check that it maps what it expects.
 *
 * The only file that places regions. Capacities are fixed when the memory is made, stand in the header and bound every
 * table; pages are backed when touched, so generous capacities cost nothing. Every region starts on its own cache line.
 */
import { firewallCounterCells } from '../firewall/firewallCounters.ts';
import { alignToLine } from './buckets.ts';
import { ConntrackTable } from './conntrackTable.ts';
import { HostTable } from './hostTable.ts';
import { IndexTable } from './indexTable.ts';
import { LighthouseTable } from './lighthouseTable.ts';
import { Metrics } from './metrics.ts';
import { TunnelTable } from './tunnelTable.ts';
import { WorkerTurns } from './workerTurns.ts';

/** Raised whenever a table's rows or the order of regions change. */
export const LAYOUT_VERSION = 1;

const MAGIC = 0x74666577;
const HEADER_BYTES = 4096;

export interface Capacities {
  readonly workers: number;
  readonly tunnels: number;
  /** `firewall.conntrack.max_connections`. */
  readonly flows: number;
  /** `lighthouse.max_hosts` of a lighthouse; 1 for any other node, whose table stays empty. */
  readonly lighthouseHosts: number;
}

/** All tables of one node, as one process sees them. */
export interface SharedTables {
  readonly capacities: Capacities;
  readonly tunnels: TunnelTable;
  readonly indexes: IndexTable;
  readonly hosts: HostTable;
  readonly metrics: Metrics;
  readonly turns: WorkerTurns;
  readonly conntrack: ConntrackTable;
  /** The firewall's counters of each worker. */
  readonly firewallCounters: readonly Float64Array[];
  readonly lighthouse: LighthouseTable;
}

/** Columns of two workers share no cache line. */
const FIREWALL_COLUMN_BYTES: number = alignToLine(firewallCounterCells() * 8);

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
  header[4] = capacities.flows;
  header[5] = capacities.lighthouseHosts;
  Atomics.store(header, 0, MAGIC);
  return openShared(buffer, capacities.workers);
}

/**
 * Opens memory that another process initialized, as process `self`: a worker's number, or the count of workers for the
 * primary. Throws when the memory was made by a build with another layout.
 */
export function openShared(buffer: ArrayBufferLike, self: number): SharedTables {
  const header = new Int32Array(buffer, 0, HEADER_BYTES / 4);
  if (Atomics.load(header, 0) !== MAGIC || header[1] !== LAYOUT_VERSION) {
    throw new Error(`shared memory has layout version ${header[1]}, this build needs ${LAYOUT_VERSION}; restart weft`);
  }
  const capacities: Capacities = {
    workers: header[2],
    tunnels: header[3],
    flows: header[4],
    lighthouseHosts: header[5],
  };
  const at = place(capacities);
  return {
    capacities,
    turns: new WorkerTurns(buffer, at.turns, capacities.workers),
    metrics: new Metrics(buffer, at.metrics, capacities.workers + 1),
    indexes: new IndexTable(buffer, at.indexes, capacities.tunnels),
    hosts: new HostTable(buffer, at.hosts, capacities.tunnels * HOSTS_PER_TUNNEL),
    tunnels: new TunnelTable(buffer, at.tunnels, capacities.tunnels),
    conntrack: new ConntrackTable(buffer, at.conntrack, capacities.flows, ownerOf(self)),
    firewallCounters: Array.from(
      { length: capacities.workers },
      (_, worker) => new Float64Array(buffer, at.firewall + worker * FIREWALL_COLUMN_BYTES, firewallCounterCells()),
    ),
    lighthouse: new LighthouseTable(buffer, at.lighthouse, capacities.lighthouseHosts),
  };
}

/** The number under which a process holds locks: positive, and the same for a worker's successor. */
export function ownerOf(self: number): number {
  return self + 1;
}

type Region = 'turns' | 'metrics' | 'firewall' | 'indexes' | 'hosts' | 'tunnels' | 'conntrack' | 'lighthouse' | 'end';

function place(capacities: Capacities): Record<Region, number> {
  const { workers, tunnels: tunnelCount, flows } = capacities;
  const turns = HEADER_BYTES;
  const metrics = alignToLine(turns + WorkerTurns.byteLength(workers));
  const firewall = alignToLine(metrics + Metrics.byteLength(workers + 1));
  const indexes = alignToLine(firewall + workers * FIREWALL_COLUMN_BYTES);
  const hosts = alignToLine(indexes + IndexTable.byteLength(tunnelCount));
  const tunnels = alignToLine(hosts + HostTable.byteLength(tunnelCount * HOSTS_PER_TUNNEL));
  const conntrack = alignToLine(tunnels + TunnelTable.byteLength(tunnelCount));
  const lighthouse = alignToLine(conntrack + ConntrackTable.byteLength(flows));
  const end = alignToLine(lighthouse + LighthouseTable.byteLength(capacities.lighthouseHosts));
  return { turns, metrics, firewall, indexes, hosts, tunnels, conntrack, lighthouse, end };
}
