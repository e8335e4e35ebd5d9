/**
 * The primary's end of one worker's channel: the memory with the ring, the doorbell, and the loop that reads frames.
 *
 * Opened once per queue and used by one worker after another, like the queue's other descriptors. Nothing in it is
 * believed: frames are copied, decoded and checked before anybody sees them, and the first one out of form is reported
 * and the last one read. A bounded number is handled per turn, so that workers get theirs in turns.
 */

import { CHANNEL_BYTES, FrameReader } from '../../shared/ipc/frameRing.ts';
import { decodeFrame } from '../../shared/ipc/frames.ts';
import type { FromWorker } from '../../shared/ipc/messages.ts';
import { type Doorbell, openDoorbell, silence } from '../../shared/sys/doorbell.ts';
import { libc } from '../../shared/sys/libc.ts';
import { FdWatcher } from '../../shared/sys/poll.ts';
import { createSharedMemory } from '../../shared/sys/sharedMemory.ts';

/** The worst of them, a handshake, takes half a millisecond. */
const FRAMES_PER_TURN = 32;

export interface ChannelEvents {
  readonly onFrame: (frame: FromWorker) => void;
  /** The worker wrote something that none may write; nothing more of it is read. */
  readonly onFault: (reason: string) => void;
  /** An exception in one of the others: a defect. Reading goes on. */
  readonly onError: (error: unknown) => void;
}

export class WorkerChannel {
  /** For the worker. */
  readonly memoryFd: number;
  readonly #bell: Doorbell;
  readonly #reader: FrameReader;
  readonly #tunnels: number;
  #events: ChannelEvents | null = null;
  #watcher: FdWatcher | null = null;
  #isScheduled = false;

  /** `tunnels` is the count of slots. Throws SysError, with nothing left open. */
  constructor(tunnels: number) {
    const memory = createSharedMemory('weft-channel', CHANNEL_BYTES);
    try {
      this.#bell = openDoorbell();
    } catch (error) {
      libc.close(memory.fd);
      throw error;
    }
    this.memoryFd = memory.fd;
    this.#reader = new FrameReader(memory.buffer);
    this.#tunnels = tunnels;
  }

  /** For the worker. */
  get bellFd(): number {
    return this.#bell.ringFd;
  }

  /** Empties the ring and listens to a new worker; the old one must be dead. */
  begin(events: ChannelEvents): void {
    this.#reader.reset();
    this.#events = events;
    this.#watcher ??= new FdWatcher(
      this.#bell.listenFd,
      () => this.#onBell(),
      (error) => this.#events?.onError(error),
    );
  }

  /** Hears nothing more of this worker, whatever it still writes. */
  ignore(): void {
    this.#events = null;
  }

  /**
   * The worker is dead: hears nothing more of it, and returns the reason that it gave for its end, or ''. What else it
   * had to say is dropped: packets that peers send again.
   */
  end(): string {
    const isHeard = this.#events !== null;
    this.#events = null;
    for (;;) {
      const frame = isHeard ? this.#next() : null;
      if (frame === null || typeof frame === 'string') {
        return '';
      }
      if (frame.kind === 'failed') {
        return frame.reason;
      }
    }
  }

  close(): void {
    this.#events = null;
    this.#watcher?.close();
    this.#watcher = null;
    libc.close(this.memoryFd);
    libc.close(this.#bell.listenFd);
    libc.close(this.#bell.ringFd);
  }

  #onBell(): void {
    silence(this.#bell.listenFd);
    if (!this.#isScheduled) {
      this.#readTurn();
    }
  }

  /** The worker rings only when its ring was empty: whoever stops before that must come back by himself. */
  #readTurn(): void {
    for (let count = 0; count < FRAMES_PER_TURN; count++) {
      if (this.#events === null) {
        return;
      }
      const frame = this.#next();
      if (frame === null) {
        return;
      }
      if (typeof frame === 'string') {
        this.#guard((events) => events.onFault(frame));
        this.#events = null;
        return;
      }
      this.#guard((events) => events.onFrame(frame));
    }
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#readTurn();
    });
  }

  #next(): FromWorker | null | string {
    const bytes = this.#reader.read();
    return bytes === null || typeof bytes === 'string' ? bytes : decodeFrame(bytes, this.#tunnels);
  }

  #guard(work: (events: ChannelEvents) => void): void {
    const events = this.#events;
    try {
      if (events !== null) {
        work(events);
      }
    } catch (error) {
      events?.onError(error);
    }
  }
}
