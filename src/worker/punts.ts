/**
 * What this worker cannot decide alone, written during a turn of the loop into the ring to the primary, and shown to it
 * at the end of the turn.
 *
 * What peers and packets can cause is limited (`puntQuotas.ts`); strangers have been limited before
 * (`datapath/strangers.ts`). What is over a quota, and what the ring has no room for, is dropped and counted, and the
 * peers' retries cover it. The primary kills a worker that writes a frame out of form, so what is not fit for one is
 * dropped here.
 */
import { FrameKind, NO_ADDRESS } from '../shared/ipc/frames.ts';
import { METRIC } from '../shared/memory/metrics.ts';
import type { Arena } from '../shared/sys/arena.ts';
import { copyLocalAddress, copySocketAddress, socketAddressPort } from '../shared/tunnel/socketAddress.ts';
import type { TunnelContext } from '../shared/tunnel/tunnelContext.ts';
import type { PuntSink } from './ports/contracts.ts';
import { PuntQuotas } from './puntQuotas.ts';

const NO_BODY = new Uint8Array(0);

export class Punts {
  readonly #arena: Arena;
  readonly #sink: PuntSink;
  readonly #metrics: Float64Array;
  readonly #local = new Uint8Array(16);
  readonly #address: Uint8Array = new Uint8Array(16);
  readonly #addressView: DataView = new DataView(this.#address.buffer);
  readonly #quotas: PuntQuotas;
  #nowMs = 0;

  /** `tunnels` is the count of slots. */
  constructor(arena: Arena, tunnels: number, metrics: Float64Array, sink: PuntSink) {
    this.#quotas = new PuntQuotas(tunnels, metrics);
    this.#arena = arena;
    this.#metrics = metrics;
    this.#sink = sink;
  }

  /** To be called at the start of a turn, with the turn's monotonic time. */
  beginTurn(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** Shows the primary what was written; to be called at the end of a turn. */
  flush(): void {
    this.#sink.flush();
  }

  /** A handshake datagram, header included, from the socket address at arena offset `source`. */
  handshake(offset: number, length: number, source: number): void {
    const port = this.#endpoint(source);
    if (port !== 0) {
      this.#write(FrameKind.Handshake, 0, 0, port, this.#address, this.#local, offset, length);
    }
  }

  recvError(index: number, source: number): void {
    const port = this.#endpoint(source);
    if (port !== 0) {
      this.#write(FrameKind.RecvError, index, 0, port, this.#address, this.#local, 0, 0);
    }
  }

  /** An authentic packet came from `source`, which is not the tunnel's endpoint, or it proves an unconfirmed tunnel. */
  roam(context: TunnelContext, source: number): void {
    const port = this.#endpoint(source);
    if (port !== 0) {
      this.#write(FrameKind.Roam, context.slot, context.generation, port, this.#address, this.#local, 0, 0);
    }
  }

  close(context: TunnelContext): void {
    if (this.#quotas.close(context.slot, this.#nowMs)) {
      this.#write(FrameKind.Close, context.slot, context.generation, 0, NO_ADDRESS, NO_ADDRESS, 0, 0);
    }
  }

  lighthouse(context: TunnelContext, offset: number, length: number): void {
    if (this.#quotas.lighthouse(context.slot, this.#nowMs)) {
      this.#write(FrameKind.Lighthouse, context.slot, context.generation, 0, NO_ADDRESS, NO_ADDRESS, offset, length);
    }
  }

  /**
   * A lighthouse answer for a host without a tunnel, given as words: it is sent once there is one. `slot` is that of the
   * peer whose request it answers.
   */
  lighthouseAnswer(slot: number, a0: number, a1: number, a2: number, a3: number, offset: number, length: number): void {
    if (this.#quotas.lighthouseAnswer(slot, this.#nowMs)) {
      this.#write(FrameKind.LighthouseAnswer, 0, 0, 0, this.#words(a0, a1, a2, a3), NO_ADDRESS, offset, length);
    }
  }

  test(context: TunnelContext, offset: number, length: number): void {
    if (this.#quotas.test(context.slot, this.#nowMs)) {
      this.#write(FrameKind.Test, context.slot, context.generation, 0, NO_ADDRESS, NO_ADDRESS, offset, length);
    }
  }

  /** The router passed over a gateway that has no tunnel; as words. */
  reportMiss(a0: number, a1: number, a2: number, a3: number): void {
    this.miss(this.#words(a0, a1, a2, a3));
  }

  /** A packet waits for a host (16 bytes, copied); false when the primary does not hear of it. */
  miss(address: Uint8Array): boolean {
    if (address !== this.#address) {
      this.#address.set(address);
    }
    const view = this.#addressView;
    return (
      this.#quotas.miss(view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12), this.#nowMs) &&
      this.#write(FrameKind.Miss, 0, 0, 0, this.#address, NO_ADDRESS, 0, 0)
    );
  }

  /** The body lies in the arena. */
  #write(
    kind: FrameKind,
    indexOrSlot: number,
    generation: number,
    port: number,
    address: Uint8Array,
    local: Uint8Array,
    offset: number,
    length: number,
  ): boolean {
    const source = length === 0 ? NO_BODY : this.#arena.bytes;
    const isWritten = this.#sink.frames.write(
      kind,
      indexOrSlot,
      generation,
      port,
      address,
      local,
      source,
      offset,
      length,
    );
    if (!isWritten) {
      this.#metrics[LOST_METRICS[kind] ?? METRIC['drop.rx.punt_limit']]++;
    }
    return isWritten;
  }

  /** Reads a socket address; returns its port. Nobody can be answered at port 0: such a datagram is dropped. */
  #endpoint(source: number): number {
    const port = socketAddressPort(this.#arena, source);
    copySocketAddress(this.#arena, source, this.#address, 0);
    copyLocalAddress(this.#arena, source, this.#local, 0);
    if (port === 0) {
      this.#metrics[METRIC['drop.rx.source_port']]++;
    }
    return port;
  }

  #words(a0: number, a1: number, a2: number, a3: number): Uint8Array {
    const view = this.#addressView;
    view.setInt32(0, a0);
    view.setInt32(4, a1);
    view.setInt32(8, a2);
    view.setInt32(12, a3);
    return this.#address;
  }
}

const LOST_METRICS: Readonly<Record<number, number>> = {
  [FrameKind.Handshake]: METRIC['punts.lost.handshake'],
  [FrameKind.RecvError]: METRIC['punts.lost.recv_error'],
  [FrameKind.Roam]: METRIC['punts.lost.roam'],
  [FrameKind.Close]: METRIC['punts.lost.close'],
  [FrameKind.Lighthouse]: METRIC['punts.lost.lighthouse'],
  [FrameKind.LighthouseAnswer]: METRIC['punts.lost.lighthouse_answer'],
  [FrameKind.Test]: METRIC['punts.lost.test'],
  [FrameKind.Miss]: METRIC['punts.lost.miss'],
};
