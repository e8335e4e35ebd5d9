/**
 * Opened packets on their way to the tun queue: joined into super-packets where the device takes them.
 *
 * `inbound` adds the packets of one receive batch and flushes at its end; until then their memory stays as it is. Counts
 * packets, not writes: what the device refuses for want of room is lost as on any interface, and counted as a drop.
 */
import { METRIC } from '../../shared/memory/metrics.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import type { TunOffload } from '../../shared/sys/tun.ts';
import type { TunnelContext } from '../../shared/tunnel/tunnelContext.ts';
import { headerCounterHigh, headerCounterLow } from '../../shared/wire/header.ts';
import type { Overlay, PacketSink } from '../ports/contracts.ts';
import { Coalescer } from './coalesce.ts';

/** Packets of one receive batch that are ordered and joined together. */
const BATCH_PACKETS = 4096;

export class Deliveries implements Overlay {
  readonly #view: DataView;
  readonly #tun: PacketSink;
  readonly #coalescer: Coalescer;
  readonly #metrics: Float64Array;

  constructor(arena: Arena, tun: PacketSink, offload: TunOffload, metrics: Float64Array) {
    this.#view = arena.view;
    this.#tun = tun;
    this.#metrics = metrics;
    this.#coalescer = new Coalescer(arena, tun, {
      capacity: BATCH_PACKETS,
      joinsTcp: offload.tso,
      joinsUdp: offload.uso,
    });
  }

  add(context: TunnelContext, header: number, offset: number, length: number): void {
    const high = headerCounterHigh(this.#view, header);
    this.#coalescer.add(offset, length, context.ordinal, high, headerCounterLow(this.#view, header) | 0);
    this.#metrics[METRIC['tun.tx.packets']]++;
    this.#metrics[METRIC['tun.tx.bytes']] += length;
  }

  flush(): void {
    this.#coalescer.flush();
    this.#metrics[METRIC['drop.rx.tun_full']] = this.#tun.droppedCount;
  }
}
