/**
 * The receiving half of a UDP port: one recvmmsg per batch, each message a datagram or several that the kernel joined.
 *
 * With UDP_GRO a message holds up to 64 KiB of datagrams of one size from one source (the last may be shorter). What
 * `receive` describes is borrowed until the next `receive`; payload may be changed in place. Nothing is allocated.
 *
 * A call takes 8 messages, or as many as lately came to 256 KiB: a whole batch of joined ones is 4 MiB, and would have
 * left the processor's cache before it is opened (docs/performance.md has the figures).
 */
import { MSG_DONTWAIT, UDP_GRO } from '../../shared/sys/abi.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import { Errno, lastErrno, libc } from '../../shared/sys/libc.ts';
import { CONTROL_BYTES } from '../../shared/tunnel/controls.ts';
import { type SocketFamily, socketAddressLength } from '../../shared/tunnel/socketAddress.ts';
import { Messages } from './messages.ts';

/** Bytes for one datagram without GRO: the largest tunnel MTU with headers. A longer one is dropped. */
const DATAGRAM_BYTES_MAX = 9216;

export class UdpReceiver {
  // Message i of the last `receive`.
  /** Arena offset of the first byte. */
  readonly offsets: Uint32Array;
  /** Bytes of all its datagrams; 0 for an empty one, and for one that was cut because it is too long. */
  readonly lengths: Uint32Array;
  /** Bytes of each datagram in the message, the last one excepted; equal to the length where it is one; 1 if cut. */
  readonly segmentSizes: Uint32Array;
  /** Arena offset of the source's socket address, with the address that the message came to behind it. */
  readonly sources: Uint32Array;

  /** Since the start. */
  callCount = 0;

  readonly #fd: number;
  readonly #arena: Arena;
  readonly #messages: Messages;
  readonly #nameBytes: number;
  readonly #batch: number;
  readonly #isGro: boolean;
  /** Messages that the next call takes at most. */
  #wanted: number;
  #lastCount: number;

  /** Takes batch × 64 KiB of the arena with GRO, batch × 9216 bytes without. */
  constructor(arena: Arena, fd: number, family: SocketFamily, batch: number, isGro: boolean) {
    const stride = isGro ? GRO_BYTES : DATAGRAM_BYTES_MAX;
    const buffers = arena.allocate(batch * stride, 64);
    this.offsets = new Uint32Array(batch);
    this.lengths = new Uint32Array(batch);
    this.segmentSizes = new Uint32Array(batch);
    this.sources = new Uint32Array(batch);
    this.#fd = fd;
    this.#arena = arena;
    this.#nameBytes = socketAddressLength(family);
    this.#messages = new Messages(arena, batch, family);
    this.#batch = batch;
    this.#isGro = isGro;
    this.#wanted = Math.min(batch, WANTED_MIN);
    for (let index = 0; index < batch; index++) {
      this.offsets[index] = buffers + index * stride;
      this.sources[index] = this.#messages.name(index);
      this.#messages.setBuffer(index, this.offsets[index], stride);
    }
    // All headers are made ready by the first call.
    this.#lastCount = batch;
  }

  /**
   * Receives what is there, at most one batch; returns the number of messages, 0 when nothing waits. A broken socket is
   * a negative errno. Errors that belong to an earlier send (ECONNREFUSED and its like) are passed over.
   */
  receive(): number {
    this.#prepare();
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      this.callCount++;
      const count = libc.recvmmsg(this.#fd, this.#arena.address + this.#messages.offset, this.#wanted, MSG_DONTWAIT, 0);
      if (count > 0) {
        this.#describe(count);
        return count;
      }
      const errno = count === 0 ? Errno.EAGAIN : lastErrno();
      if (errno === Errno.EAGAIN) {
        return 0;
      }
      if (errno === Errno.EBADF || errno === Errno.ENOTSOCK || errno === Errno.EFAULT) {
        return -errno;
      }
    }
    return 0;
  }

  #prepare(): void {
    const messages = this.#messages;
    for (let index = 0; index < this.#lastCount; index++) {
      messages.setNameLength(index, this.#nameBytes);
      messages.setControlLength(index, CONTROL_BYTES);
    }
    this.#lastCount = 0;
  }

  #describe(count: number): void {
    const messages = this.#messages;
    let bytes = 0;
    this.#lastCount = count;
    for (let index = 0; index < count; index++) {
      if ((messages.flags(index) & MESSAGE_TRUNCATED) !== 0) {
        this.lengths[index] = 0;
        this.segmentSizes[index] = 1;
        continue;
      }
      messages.takeLocalAddress(index);
      const length = messages.length(index);
      bytes += length;
      const segmentSize = this.#isGro ? messages.control32(index, UDP_GRO) : 0;
      this.lengths[index] = length;
      this.segmentSizes[index] = segmentSize > 0 ? Math.min(segmentSize, length) : length;
    }
    this.#adapt(count, bytes);
  }

  #adapt(count: number, bytes: number): void {
    if (bytes > BYTES_AT_ONCE) {
      this.#wanted = Math.max(this.#wanted >> 1, Math.min(this.#batch, WANTED_MIN));
    } else if (count === this.#wanted && bytes <= BYTES_AT_ONCE / 2) {
      this.#wanted = Math.min(this.#wanted * 2, this.#batch);
    }
  }
}

const GRO_BYTES = 65536;
const ATTEMPTS_MAX = 8;
/** Four joined messages of the largest size. */
const BYTES_AT_ONCE = 4 * GRO_BYTES;
const WANTED_MIN = 8;
const MESSAGE_TRUNCATED = 0x20;
