/**
 * Counters: one column per process, so each cell has one writer and adding is a plain store.
 *
 * Cells are doubles: exact to 2^53 and written in one piece. The sum over the columns is what metrics and the CLI show.
 * Column 0 is the primary's, column n + 1 worker n's, in memory that no other worker has. What a worker writes there is
 * shown only where it can be a count (`countOf`).
 */
import { LIGHTHOUSE_METRIC_NAMES } from './lighthouseMetrics.ts';
import type { Region } from './region.ts';

/** Metrics of the data path and the control plane; the name is the one Nebula exports where it has the same. */
const NODE_METRIC_NAMES = [
  'messages.rx.message',
  'messages.rx.handshake_ixpsk0',
  'messages.rx.recv_error',
  'messages.rx.lighthouse',
  'messages.rx.test_request',
  'messages.rx.test_response',
  'messages.rx.close_tunnel',
  'messages.rx.control',
  'messages.rx.punch',
  'messages.rx.relay',
  'messages.tx.message',
  'messages.tx.handshake_ixpsk0',
  'messages.tx.recv_error',
  'messages.tx.lighthouse',
  'messages.tx.test_request',
  'messages.tx.test_response',
  'messages.tx.close_tunnel',
  'messages.tx.punchy',
  'messages.tx.holepunch',
  'messages.tx.exhausted',
  'drop.rx.too_short',
  'drop.rx.too_long',
  'drop.rx.version',
  'drop.rx.type',
  'drop.rx.own_network',
  'drop.rx.unknown_index',
  'drop.rx.replay',
  'drop.rx.too_old',
  'drop.rx.not_authentic',
  'drop.rx.inner_malformed',
  /** Datagrams without a tunnel that the primary does not hear of: what they claim cannot be, or is not for us. */
  'drop.rx.handshake_malformed',
  'drop.rx.handshake_unknown_ca',
  'drop.rx.handshake_unexpected',
  /** ... their host or address has used up its quota, or all together the quota of their kind. */
  'drop.rx.host_limit',
  'drop.rx.source_limit',
  'drop.rx.punt_limit',
  'drop.rx.source_port',
  'drop.rx.tun_full',
  'drop.tx.malformed',
  'drop.tx.own_address',
  'drop.tx.own_datagram',
  'drop.tx.multicast',
  'drop.tx.broadcast',
  'drop.tx.no_route',
  'drop.tx.waiting_full',
  'drop.tx.handshake_timeout',
  'drop.tx.no_endpoint',
  'drop.tx.exhausted',
  'drop.tx.offload_header',
  'drop.tx.socket_full',
  'udp.tx.dropped',
  'tun.rx.packets',
  'tun.rx.bytes',
  'tun.tx.packets',
  'tun.tx.bytes',
  'udp.rx.packets',
  'udp.rx.bytes',
  'udp.tx.packets',
  'udp.tx.bytes',
  'network.packets.lost',
  /** Authentic packets that another process claimed first, or made too old. A plain replay is `drop.rx.replay`. */
  'network.packets.duplicate',
  'network.packets.out_of_window',
  'hostinfo.cached_packets.sent',
  'hostinfo.cached_packets.dropped',
  'handshake_manager.initiated',
  'handshake_manager.timed_out',
  'handshakes.completed',
  /** An address of a peer that found the host table full: packets to it have no tunnel. */
  'hostmap.refused',
  'worker.restarts',
  /** Locks of shared tables that nobody would have released. */
  'memory.locks_broken',
  /** Workers that made no turn and were killed for it. */
  'workers.hung',
  /** A worker wrote what none may write, and was killed. */
  'worker.protocol_faults',
  /** The primary had something to say to a worker that does not listen. */
  'worker.messages_lost',
  /** A peer asked for more than its quota of a kind; or packets wait for a host that was reported just now. */
  'punts.limited.test',
  'punts.limited.close',
  'punts.limited.lighthouse',
  'punts.limited.lighthouse_answer',
  'punts.limited.miss',
  /** The ring to the primary had no room, by what was to be said. */
  'punts.lost.handshake',
  'punts.lost.recv_error',
  'punts.lost.roam',
  'punts.lost.close',
  'punts.lost.lighthouse',
  'punts.lost.lighthouse_answer',
  'punts.lost.test',
  'punts.lost.miss',
] as const;

/** Every metric, in the order of its cells. */
export const METRIC_NAMES = [...LIGHTHOUSE_METRIC_NAMES, ...NODE_METRIC_NAMES] as const;

export type MetricName = (typeof METRIC_NAMES)[number];

/** Cells reserved per column, so that a newer build with more metrics keeps the layout. */
const COLUMN_CELLS = 256;

/** Cell number of each metric by name; look it up once, never per packet. */
export const METRIC: { readonly [name in MetricName]: number } = Object.fromEntries(
  METRIC_NAMES.map((name, index) => [name, index]),
) as { [name in MetricName]: number };

export class Metrics {
  readonly #columns: readonly Float64Array[];

  /** Of one worker's column. */
  static byteLength(): number {
    return COLUMN_CELLS * 8;
  }

  /** One region per worker. The primary's column is in its private memory; elsewhere it stays zero. */
  constructor(workers: readonly Region[]) {
    this.#columns = [
      new Float64Array(COLUMN_CELLS),
      ...workers.map(({ buffer, byteOffset }) => new Float64Array(buffer, byteOffset, COLUMN_CELLS)),
    ];
  }

  /** The cells of one process, indexed by `METRIC[...]`; only that process adds to them. */
  column(index: number): Float64Array {
    return this.#columns[index];
  }

  /** A metric of each process, the primary's first. */
  counts(name: MetricName): number[] {
    return this.#columns.map((column) => countOf(column[METRIC[name]]));
  }

  /** The lighthouse's cells of one process, indexed by `LIGHTHOUSE_METRIC[...]`. */
  lighthouseColumn(index: number): Float64Array {
    return this.column(index).subarray(0, LIGHTHOUSE_METRIC_NAMES.length);
  }

  /** The sum of a metric over all processes. */
  total(name: MetricName): number {
    return this.counts(name).reduce((sum, count) => sum + count, 0);
  }
}

/** What a worker's cell counts; 0 when it holds no count at all, as only a broken or hostile worker leaves it. */
export function countOf(cell: number | undefined): number {
  return cell !== undefined && cell >= 0 && cell <= Number.MAX_SAFE_INTEGER ? cell : 0;
}
