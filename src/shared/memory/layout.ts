/**
 * Where each table lies in the shared memories, and the header that lets a process check that it maps what it expects.
 *
 *   facts    written by the primary; workers can only read it
 *   common   written by every worker; the primary believes nothing in it
 *   own      one per worker, which alone writes it; no other worker has it; the primary believes nothing in it either
 *
 * The only file that places regions. Capacities are fixed when the memory is made, stand in the header of `facts` and
 * bound every table; pages are backed when touched, so generous capacities cost nothing. Every region starts on its own
 * cache line.
 */

import { alignToLine } from './buckets.ts';
import { ConntrackTable } from './conntrackTable.ts';
import { firewallCounterCells } from './firewallCounters.ts';
import { HostTable } from './hostTable.ts';
import { IndexTable } from './indexTable.ts';
import { LighthouseTable } from './lighthouseTable.ts';
import { Metrics } from './metrics.ts';
import type { Region } from './region.ts';
import { TunnelTable } from './tunnelTable.ts';
import { TunnelTrafficColumn } from './tunnelTraffic.ts';
import { WorkerTurns } from './workerTurns.ts';

/** Raised whenever a table's rows or the order of regions change. */
export const LAYOUT_VERSION = 3;

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

/** The memories of one node. A worker has no other's `own`: private zeros stand in their place (`openShared`). */
export interface SharedMemories {
  readonly facts: ArrayBufferLike;
  readonly common: ArrayBufferLike;
  readonly own: readonly ArrayBufferLike[];
}

/** Their sizes in bytes; of each worker's own memory it is the same. */
export interface SharedSizes {
  readonly facts: number;
  readonly common: number;
  readonly own: number;
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
  /** What each worker carried by tunnel: the cells of a `TunnelTrafficColumn` each. */
  readonly traffic: readonly Float64Array[];
  readonly lighthouse: LighthouseTable;
}

/** A peer has one index per tunnel and rarely more than a few addresses. */
const HOSTS_PER_TUNNEL = 2;

export function sharedSizes(capacities: Capacities): SharedSizes {
  const places = place(capacities);
  return { facts: places.facts.end, common: places.common.end, own: places.own.end };
}

/** Writes the header into fresh, zeroed memories; the primary calls it once, before any worker maps them. */
export function initializeShared(memories: SharedMemories, capacities: Capacities): SharedTables {
  const header = new Int32Array(memories.facts, 0, HEADER_BYTES / 4);
  header[1] = LAYOUT_VERSION;
  header[2] = capacities.workers;
  header[3] = capacities.tunnels;
  header[4] = capacities.flows;
  header[5] = capacities.lighthouseHosts;
  Atomics.store(header, 0, MAGIC);
  return openShared(memories, capacities.workers);
}

/**
 * Opens memories that another process initialized, as process `self`: a worker's number, or the count of workers for the
 * primary. Throws when the memory was made by a build with another layout, and RangeError when it is too small.
 */
export function openShared(memories: SharedMemories, self: number): SharedTables {
  const capacities = readCapacities(memories.facts);
  const { facts, common, own } = place(capacities);
  const inFacts = (byteOffset: number): Region => ({ buffer: memories.facts, byteOffset });
  const inCommon = (byteOffset: number): Region => ({ buffer: memories.common, byteOffset });
  const inOwn = (byteOffset: number): Region[] => memories.own.map((buffer) => ({ buffer, byteOffset }));
  return {
    capacities,
    indexes: new IndexTable(memories.facts, facts.indexes, capacities.tunnels),
    hosts: new HostTable(memories.facts, facts.hosts, capacities.tunnels * HOSTS_PER_TUNNEL),
    tunnels: new TunnelTable(inFacts(facts.tunnels), inCommon(common.tunnels), capacities.tunnels),
    lighthouse: new LighthouseTable(inFacts(facts.lighthouse), inCommon(common.lighthouse), capacities.lighthouseHosts),
    conntrack: new ConntrackTable(memories.common, common.conntrack, capacities.flows, ownerOf(self)),
    turns: new WorkerTurns(inOwn(own.turns)),
    metrics: new Metrics(inOwn(own.metrics)),
    firewallCounters: inOwn(own.firewall).map(
      ({ buffer, byteOffset }) => new Float64Array(buffer, byteOffset, firewallCounterCells()),
    ),
    traffic: inOwn(own.traffic).map(
      ({ buffer, byteOffset }) =>
        new Float64Array(buffer, byteOffset, TunnelTrafficColumn.cellCount(capacities.tunnels)),
    ),
  };
}

/** The same for worker `self`, which has the facts, the common memory and its own. */
export function openAsWorker(
  facts: ArrayBufferLike,
  common: ArrayBufferLike,
  own: ArrayBufferLike,
  self: number,
): SharedTables {
  const { workers } = readCapacities(facts);
  const others = new ArrayBuffer(own.byteLength);
  const all = Array.from({ length: workers }, (_, worker) => (worker === self ? own : others));
  return openShared({ facts, common, own: all }, self);
}

/** The number under which a process holds locks: positive, and the same for a worker's successor. */
export function ownerOf(self: number): number {
  return self + 1;
}

function readCapacities(facts: ArrayBufferLike): Capacities {
  const header = new Int32Array(facts, 0, HEADER_BYTES / 4);
  if (Atomics.load(header, 0) !== MAGIC || header[1] !== LAYOUT_VERSION) {
    throw new Error(`shared memory has layout version ${header[1]}, this build needs ${LAYOUT_VERSION}; restart weft`);
  }
  return { workers: header[2], tunnels: header[3], flows: header[4], lighthouseHosts: header[5] };
}

interface Places {
  readonly facts: Readonly<Record<'indexes' | 'hosts' | 'tunnels' | 'lighthouse' | 'end', number>>;
  readonly common: Readonly<Record<'tunnels' | 'conntrack' | 'lighthouse' | 'end', number>>;
  readonly own: Readonly<Record<'turns' | 'metrics' | 'firewall' | 'traffic' | 'end', number>>;
}

function place({ tunnels: tunnelCount, flows, lighthouseHosts }: Capacities): Places {
  const facts = new Placing(HEADER_BYTES);
  const common = new Placing(0);
  const own = new Placing(0);
  return {
    facts: {
      indexes: facts.next(IndexTable.byteLength(tunnelCount)),
      hosts: facts.next(HostTable.byteLength(tunnelCount * HOSTS_PER_TUNNEL)),
      tunnels: facts.next(TunnelTable.rowsByteLength(tunnelCount)),
      lighthouse: facts.next(LighthouseTable.factsByteLength(lighthouseHosts)),
      end: facts.next(0),
    },
    common: {
      tunnels: common.next(TunnelTable.cellsByteLength(tunnelCount)),
      conntrack: common.next(ConntrackTable.byteLength(flows)),
      lighthouse: common.next(LighthouseTable.reportsByteLength(lighthouseHosts)),
      end: common.next(0),
    },
    own: {
      turns: own.next(WorkerTurns.byteLength()),
      metrics: own.next(Metrics.byteLength()),
      firewall: own.next(firewallCounterCells() * 8),
      traffic: own.next(TunnelTrafficColumn.byteLength(tunnelCount)),
      end: own.next(0),
    },
  };
}

/** Puts one region behind the other, each at the start of a cache line. */
class Placing {
  #end: number;

  constructor(start: number) {
    this.#end = start;
  }

  next(byteLength: number): number {
    const start = alignToLine(this.#end);
    this.#end = start + byteLength;
    return start;
  }
}
