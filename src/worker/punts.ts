/**
 * What this worker cannot decide alone, collected during a turn of the loop and reported to the primary in one message.
 *
 * Bytes are copied here: what is punted outlives the buffers it lay in. Everything that a stranger can provoke
 * (handshakes, recv_errors) is limited per turn and per second; what is over the limit is dropped and counted, and the
 * peers' retries cover it.
 */
import type { Punt } from '../shared/ipc/messages.ts';
import { METRIC } from '../shared/memory/metrics.ts';
import type { Arena } from '../shared/sys/arena.ts';
import { copySocketAddress, socketAddressPort } from '../shared/tunnel/socketAddress.ts';
import type { TunnelContext } from '../shared/tunnel/tunnelContext.ts';

/** Datagrams of strangers per turn, and per second. A handshake costs the primary about half a millisecond. */
const STRANGERS_PER_TURN = 64;
const STRANGERS_PER_SECOND = 1000;

export class Punts {
  readonly #arena: Arena;
  readonly #report: (punts: readonly Punt[]) => void;
  readonly #metrics: Float64Array;
  #punts: Punt[] = [];
  #strangersInTurn = 0;
  #strangersInSecond = 0;
  #secondStartMs = 0;

  constructor(arena: Arena, metrics: Float64Array, report: (punts: readonly Punt[]) => void) {
    this.#arena = arena;
    this.#metrics = metrics;
    this.#report = report;
  }

  /** To be called at the start of a turn, with the turn's monotonic time. */
  beginTurn(nowMs: number): void {
    this.#strangersInTurn = 0;
    if (nowMs - this.#secondStartMs >= 1000) {
      this.#secondStartMs = nowMs;
      this.#strangersInSecond = 0;
    }
  }

  /** Sends what was collected; to be called at the end of a turn. */
  flush(): void {
    if (this.#punts.length > 0) {
      const punts = this.#punts;
      this.#punts = [];
      this.#report(punts);
    }
  }

  /** A handshake datagram, header included, from the socket address at arena offset `source`. */
  handshake(offset: number, length: number, source: number): void {
    if (this.#admitStranger()) {
      const bytes = this.#arena.bytes.slice(offset, offset + length);
      this.#punts.push({ kind: 'handshake', bytes, ...this.#endpoint(source) });
    }
  }

  recvError(index: number, source: number): void {
    if (this.#admitStranger()) {
      this.#punts.push({ kind: 'recvError', index, ...this.#endpoint(source) });
    }
  }

  /** An authentic packet came from `source`, which is not the tunnel's endpoint. */
  roam(context: TunnelContext, source: number): void {
    this.#punts.push({ kind: 'roam', ...tunnelOf(context), ...this.#endpoint(source) });
  }

  close(context: TunnelContext): void {
    this.#punts.push({ kind: 'close', ...tunnelOf(context) });
  }

  lighthouse(context: TunnelContext, offset: number, length: number): void {
    const body = this.#arena.bytes.slice(offset, offset + length);
    this.#punts.push({ kind: 'lighthouse', ...tunnelOf(context), body });
  }

  /** A lighthouse answer for a host without a tunnel, given as words: it is sent once there is one. */
  lighthouseAnswer(a0: number, a1: number, a2: number, a3: number, offset: number, length: number): void {
    const body = this.#arena.bytes.slice(offset, offset + length);
    this.#punts.push({ kind: 'lighthouseAnswer', address: addressOf(a0, a1, a2, a3), body });
  }

  test(context: TunnelContext, offset: number, length: number): void {
    const body = this.#arena.bytes.slice(offset, offset + length);
    this.#punts.push({ kind: 'test', ...tunnelOf(context), body });
  }

  /** The router passed over a gateway that has no tunnel; as words. */
  reportMiss(a0: number, a1: number, a2: number, a3: number): void {
    this.miss(addressOf(a0, a1, a2, a3));
  }

  /** `address` is copied. */
  miss(address: Uint8Array): void {
    this.#punts.push({ kind: 'miss', address: address.slice() });
  }

  #endpoint(source: number): { readonly address: Uint8Array; readonly port: number } {
    const address = new Uint8Array(16);
    copySocketAddress(this.#arena, source, address, 0);
    return { address, port: socketAddressPort(this.#arena, source) };
  }

  #admitStranger(): boolean {
    if (this.#strangersInTurn >= STRANGERS_PER_TURN || this.#strangersInSecond >= STRANGERS_PER_SECOND) {
      this.#metrics[METRIC['drop.rx.punt_limit']]++;
      return false;
    }
    this.#strangersInTurn++;
    this.#strangersInSecond++;
    return true;
  }
}

function addressOf(a0: number, a1: number, a2: number, a3: number): Uint8Array {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setInt32(0, a0);
  view.setInt32(4, a1);
  view.setInt32(8, a2);
  view.setInt32(12, a3);
  return address;
}

function tunnelOf(context: TunnelContext): { readonly slot: number; readonly generation: number } {
  return { slot: context.slot, generation: context.generation };
}
