/**
 * The worker's event loop: one turn per readiness, one bounded batch per turn, then back to libuv, so that IPC messages,
 * timers and the other direction always get theirs. When nothing is ready it sleeps, but for the beat by which the primary
 * sees that it does not hang.
 *
 * What a turn does is the data plane's (`dataPlane.ts`); here are the descriptors, and the clock, which is read once per
 * turn.
 */
import { BEAT_MS } from '../shared/memory/workerTurns.ts';
import { monotonicSeconds } from '../shared/sys/clock.ts';
import { SysError } from '../shared/sys/libc.ts';
import { FdWatcher } from '../shared/sys/poll.ts';
import type { DataPlane } from './dataPlane.ts';

export interface LoopParts {
  readonly plane: DataPlane;
  /** null when the node runs without a device. */
  readonly tunFd: number | null;
  readonly udpFd: number;
  /** An exception inside a turn: a defect or a broken machine, never a packet. The worker ends. */
  readonly onFault: (error: unknown) => void;
}

export class Loop {
  readonly #plane: DataPlane;
  readonly #udpWatcher: FdWatcher;
  readonly #tunWatcher: FdWatcher | null;
  readonly #beat: NodeJS.Timeout;

  /** Starts to watch; the file descriptors stay the caller's. */
  constructor(parts: LoopParts) {
    const { plane } = parts;
    this.#plane = plane;
    this.#udpWatcher = new FdWatcher(parts.udpFd, (readable) => this.#onUdp(readable), parts.onFault, false);
    this.#tunWatcher =
      parts.tunFd === null ? null : new FdWatcher(parts.tunFd, () => this.#onTun(), parts.onFault, false);
    this.#beat = setInterval(() => plane.beat(), BEAT_MS).unref();
  }

  /** Runs `work` as a turn of its own: for messages of the primary. */
  turn(work: () => number): number {
    this.#begin();
    const result = work();
    this.#end();
    return result;
  }

  close(): void {
    clearInterval(this.#beat);
    this.#udpWatcher.close();
    this.#tunWatcher?.close();
  }

  #onUdp(readable: boolean): void {
    this.#begin();
    if (readable) {
      const count = this.#plane.receive();
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
    const count = this.#plane.send();
    if (count < 0) {
      throw new SysError('read', -count, 'reading from the tun device', 'was the device deleted?');
    }
  }

  #begin(): void {
    const nowMs = performance.now();
    this.#plane.begin(nowMs, monotonicSeconds(nowMs));
  }

  #end(): void {
    const left = this.#plane.end();
    if (left < 0) {
      throw new SysError('sendmmsg', -left, 'sending on the UDP socket');
    }
    this.#udpWatcher.watchWritable(left > 0);
  }
}
