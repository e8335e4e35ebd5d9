/**
 * A worker's end of its channel to the primary: frames go into the ring, and the doorbell is rung. Nothing here blocks
 * or waits.
 */

import { FrameWriter } from '../shared/ipc/frameRing.ts';
import { FrameKind, NO_ADDRESS, REASON_BYTES_MAX } from '../shared/ipc/frames.ts';
import { ring } from '../shared/sys/doorbell.ts';
import { mapSharedMemory } from '../shared/sys/sharedMemory.ts';

export class PrimaryLink {
  /** What is written here goes out with `flush`. */
  readonly frames: FrameWriter;
  readonly #bellFd: number;

  /** Takes the inherited descriptors. Throws SysError or RangeError. */
  constructor(memoryFd: number, bellFd: number) {
    this.frames = new FrameWriter(mapSharedMemory(memoryFd).buffer);
    this.#bellFd = bellFd;
  }

  /** Shows the primary what was written since, and wakes it if it may sleep. */
  flush(): void {
    if (this.frames.publish()) {
      ring(this.#bellFd);
    }
  }

  awake(): void {
    this.#say(FrameKind.Awake, '');
  }

  ready(): void {
    this.#say(FrameKind.Ready, '');
  }

  failed(reason: string): void {
    this.#say(FrameKind.Failed, reason);
  }

  #say(kind: FrameKind, text: string): void {
    const body = new TextEncoder().encode(text).subarray(0, REASON_BYTES_MAX);
    this.frames.write(kind, 0, 0, 0, NO_ADDRESS, NO_ADDRESS, body, 0, body.length);
    this.flush();
  }
}
