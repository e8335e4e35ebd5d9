/**
 * The worker's event loop: one turn per readiness, one bounded batch per turn, then back to libuv, so that IPC messages,
 * timers and the other direction always get theirs. When nothing is ready it sleeps, but for the beat by which the primary
 * sees that it does not hang.
 *
 * A turn is bracketed in shared memory (`memory/workerTurns.ts`): what is read from rows inside it is not held outside.
 * The clock is read once per turn.
 */
import { METRIC } from '../shared/memory/metrics.ts';
import { BEAT_MS, type WorkerTurns } from '../shared/memory/workerTurns.ts';
import { monotonicSeconds } from '../shared/sys/clock.ts';
import { SysError } from '../shared/sys/libc.ts';
import { FdWatcher } from '../shared/sys/poll.ts';
import type { Inbound } from './datapath/inbound.ts';
import type { Outbound } from './datapath/outbound.ts';
import type { RoutineCache } from './datapath/routineCache.ts';
import type { UdpPort } from './ports/udpPort.ts';
import type { Punts } from './punts.ts';

export interface LoopParts {
  readonly worker: number;
  readonly turns: WorkerTurns;
  readonly tunFd: number | null;
  readonly udpFd: number;
  readonly udp: UdpPort;
  /** null when the node runs without a device. */
  readonly outbound: Outbound | null;
  readonly inbound: Inbound;
  readonly punts: Punts;
  readonly cache: RoutineCache;
  readonly metrics: Float64Array;
  /** An exception inside a turn: a defect or a broken machine, never a packet. The worker ends. */
  readonly onFault: (error: unknown) => void;
}

export class Loop {
  readonly #parts: LoopParts;
  readonly #udpWatcher: FdWatcher;
  readonly #tunWatcher: FdWatcher | null;
  readonly #beat: NodeJS.Timeout;
  /** Monotonic milliseconds of the current turn, of this process. */
  nowMs = 0;
  /** CLOCK_MONOTONIC in whole seconds of the current turn: the same in all processes of the machine. */
  nowSeconds = 0;

  /** Starts to watch; the file descriptors stay the caller's. */
  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#udpWatcher = new FdWatcher(parts.udpFd, (readable) => this.#onUdp(readable), parts.onFault, false);
    this.#tunWatcher =
      parts.tunFd === null ? null : new FdWatcher(parts.tunFd, () => this.#onTun(), parts.onFault, false);
    this.#beat = setInterval(() => parts.turns.beat(parts.worker), BEAT_MS).unref();
  }

  /** Runs `work` as a turn of its own: for messages of the primary that send packets. */
  turn(work: () => void): void {
    this.#begin();
    work();
    this.#end();
  }

  close(): void {
    clearInterval(this.#beat);
    this.#udpWatcher.close();
    this.#tunWatcher?.close();
  }

  #onUdp(readable: boolean): void {
    this.#begin();
    if (readable) {
      const count = this.#parts.inbound.run(this.nowMs, this.nowSeconds);
      if (count < 0) {
        throw new SysError('recvmmsg', -count, 'receiving from the UDP socket');
      }
      // The kernel answers while it takes the packets: its ACKs and echoes wait already, and leave with this turn.
      this.#sendWaiting();
    }
    this.#end();
  }

  #onTun(): void {
    this.#begin();
    this.#sendWaiting();
    this.#end();
  }

  #sendWaiting(): void {
    const count = this.#parts.outbound?.run(this.nowSeconds) ?? 0;
    if (count < 0) {
      throw new SysError('read', -count, 'reading from the tun device', 'was the device deleted?');
    }
  }

  #begin(): void {
    const { turns, worker, punts, cache } = this.#parts;
    turns.begin(worker);
    this.nowMs = performance.now();
    this.nowSeconds = monotonicSeconds(this.nowMs);
    punts.beginTurn(this.nowMs);
    cache.beginBatch(this.nowMs);
  }

  #end(): void {
    const { turns, worker, punts, udp, metrics } = this.#parts;
    const left = udp.flush();
    if (left < 0) {
      throw new SysError('sendmmsg', -left, 'sending on the UDP socket');
    }
    metrics[METRIC['udp.tx.dropped']] = udp.sender.droppedCount;
    punts.flush();
    turns.end(worker);
    this.#udpWatcher.watchWritable(udp.hasBacklog);
  }
}
