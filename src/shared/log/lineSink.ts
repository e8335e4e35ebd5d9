/**
 * Writes whole lines to a file descriptor at once and without waiting: a reader that stalls must not stall the tunnels,
 * so lines that do not fit, or for which the disk has no room, are dropped and counted, and the count is printed when
 * there is room again. A line that went out in part is finished before anything else. Used by the logger only.
 */
import { writeSync } from 'node:fs';

/** `write(2)`: returns the bytes written or throws an error with a `code`. */
export type WriteCall = (fd: number, bytes: Uint8Array, offset: number) => number;

export class LineSink {
  readonly #fd: number;
  readonly #droppedLine: (count: number) => string;
  readonly #call: WriteCall;
  #pending: Uint8Array = new Uint8Array(0);
  #droppedCount = 0;

  /** `droppedLine` words the line that reports how many were dropped; `call` is replaced by tests. */
  constructor(fd: number, droppedLine: (count: number) => string, call: WriteCall = writeSync) {
    this.#fd = fd;
    this.#droppedLine = droppedLine;
    this.#call = call;
  }

  /** Lines that were dropped and not yet reported. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  write(line: string): void {
    if (!this.#flush()) {
      this.#droppedCount++;
      return;
    }
    const note = this.#droppedCount === 0 ? '' : this.#droppedLine(this.#droppedCount);
    this.#droppedCount = 0;
    this.#pending = Buffer.from(note + line);
    this.#flush();
  }

  /** Whether nothing is left to write. */
  #flush(): boolean {
    while (this.#pending.length > 0) {
      try {
        this.#pending = this.#pending.subarray(this.#call(this.#fd, this.#pending, 0));
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : '';
        if (code === 'EINTR') {
          continue;
        }
        if (code !== 'EAGAIN' && code !== 'ENOSPC') {
          // Nobody reads any more (EPIPE): the node goes on without a log.
          this.#pending = new Uint8Array(0);
        }
        return this.#pending.length === 0;
      }
    }
    return true;
  }
}
