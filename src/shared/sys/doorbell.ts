/**
 * A doorbell between two processes: a pipe whose bytes mean nothing but "look".
 *
 * Not an eventfd: its one open file would be shared, so the process that rings could make the other's reads block. The
 * two ends of a pipe are files of their own, and each side's is non-blocking by its own flag.
 */
import { O_CLOEXEC, O_NONBLOCK } from './abi.ts';
import { check, libc } from './libc.ts';
import { scratch } from './scratch.ts';

export interface Doorbell {
  /** Becomes readable when the bell was rung; close-on-exec. */
  readonly listenFd: number;
  /** Close-on-exec here; a child inherits it only where it is named in its stdio. */
  readonly ringFd: number;
}

/** Throws SysError. */
export function openDoorbell(): Doorbell {
  check(libc.pipe2(scratch.address, O_CLOEXEC | O_NONBLOCK), 'pipe2', 'making a doorbell');
  return { listenFd: scratch.view.getInt32(0, true), ringFd: scratch.view.getInt32(4, true) };
}

/** Never blocks. A full pipe is a bell that rings; when nobody is left to hear, the caller learns it elsewhere. */
export function ring(fd: number): void {
  libc.write(fd, scratch.address, 1);
}

/** Takes what was rung so far, or part of it; never blocks. */
export function silence(fd: number): void {
  libc.read(fd, scratch.address, scratch.bytes.length);
}
