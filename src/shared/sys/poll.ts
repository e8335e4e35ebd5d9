/**
 * Readiness of a file descriptor on Node's event loop: no CPU when idle, level-triggered when busy.
 *
 * The worker's loop and the netlink monitor watch their fds with it. Contract of the callback: do a bounded amount of
 * work and return; what is left over makes the fd ready again on the next turn, after timers, IPC messages and the
 * other fds had theirs. An exception in a callback is handed to `onError` (the layer below would swallow it).
 *
 * From Node 26 on, what a callback leaves to promises and ticks waits for the next event of the loop; a watcher therefore
 * makes one, unless its owner has no use for it.
 */
import koffi from 'koffi';

/** Receives what the fd is ready for. Both may be true. */
export type ReadyCallback = (readable: boolean, writable: boolean) => void;

interface Handle {
  start(options: { readable: boolean; writable: boolean }, callback: unknown): void;
  stop(): void;
  close(): void;
  unref(): void;
}

/** Open watchers: a handle that nothing refers to would be collected and would silently close itself. */
const open = new Set<FdWatcher>();

export class FdWatcher {
  readonly #fd: number;
  readonly #onReady: ReadyCallback;
  readonly #usesPromises: boolean;
  readonly #onError: (error: unknown) => void;
  readonly #callback: (status: number, events: { readable: boolean; writable: boolean }) => void;
  #handle: Handle | null;
  #isWriteWanted: boolean;
  #failureCount: number;

  /**
   * Starts watching for readability. The fd stays the caller's, must stay open until `close()`, becomes non-blocking,
   * and must have no other watcher in this process. `usesPromises` false saves an allocation per callback: right for a
   * callback that leaves nothing to promises or ticks.
   */
  constructor(fd: number, onReady: ReadyCallback, onError: (error: unknown) => void, usesPromises: boolean = true) {
    this.#fd = fd;
    this.#usesPromises = usesPromises;
    this.#onReady = onReady;
    this.#onError = onError;
    this.#isWriteWanted = false;
    this.#failureCount = 0;
    this.#callback = (status, events) => this.#dispatch(status, events.readable, events.writable);
    // koffi's typings leave the status argument of the callback out.
    this.#handle = koffi.node.poll(fd, { readable: true, writable: false }, this.#callback as never) as Handle;
    open.add(this);
  }

  /** Cheap when nothing changes: safe to call after every flush. */
  watchWritable(isWanted: boolean): void {
    if (isWanted !== this.#isWriteWanted) {
      this.#isWriteWanted = isWanted;
      this.#arm();
    }
  }

  /** Lets the process end while this is the only thing open. */
  unref(): void {
    this.#handle?.unref();
  }

  /** Stops for good; may be called twice and from inside the callback. To be called before the fd is closed. */
  close(): void {
    this.#handle?.close();
    this.#handle = null;
    open.delete(this);
  }

  #arm(): void {
    this.#handle?.start({ readable: true, writable: this.#isWriteWanted }, this.#callback);
  }

  #dispatch(status: number, readable: boolean, writable: boolean): void {
    try {
      if (status < 0) {
        this.#handleFailure(status);
      } else {
        this.#failureCount = 0;
        this.#onReady(readable, writable);
      }
    } catch (error) {
      this.#onError(error);
    }
    if (this.#usesPromises) {
      setImmediate(nothing);
    }
  }

  /**
   * The kernel reports an error on the fd, and libuv has stopped watching. A pending socket error is cleared by the
   * next system call, so the reader is called and watching goes on; an fd that stays broken is given up.
   */
  #handleFailure(status: number): void {
    this.#failureCount++;
    if (this.#failureCount > FAILURE_COUNT_MAX) {
      this.close();
      throw new Error(`fd ${this.#fd} stays in an error state (poll status ${status})`);
    }
    this.#arm();
    this.#onReady(true, this.#isWriteWanted);
  }
}

function nothing(): void {
  // The event itself is all that is wanted.
}

/** Enough for every pending error of a socket, few enough that a dead device costs nothing. */
const FAILURE_COUNT_MAX = 16;
