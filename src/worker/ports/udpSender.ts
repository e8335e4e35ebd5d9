/**
 * The sending half of a UDP port: datagrams are built in place, joined into runs, and sent with one call per batch.
 *
 *   reserve(n) → write at the offset → commit(length, destination) → … → flush()
 *
 * A run is consecutive datagrams of one size to one destination (the last may be shorter); it goes out as one message
 * with UDP_SEGMENT. What the socket does not take now stays (`backlog`) and goes first at the next flush; when the area
 * is full of it, `reserve` refuses. Limits: 65,507 bytes and 64 segments per run; from Linux 4.18 on. A run that the
 * kernel refuses is sent again as single datagrams, EIO (no checksum offload on the route) ends segmentation for good,
 * and one unreachable destination drops nothing but its own run. Nothing is allocated, thrown or logged per datagram.
 */
import { MSG_DONTWAIT } from '../../shared/sys/abi.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import { Errno, lastErrno, libc } from '../../shared/sys/libc.ts';
import {
  clearLocalAddress,
  localAddressAt,
  type SocketFamily,
  socketAddressLength,
} from '../../shared/tunnel/socketAddress.ts';
import { MESSAGE_BYTES, Messages } from './messages.ts';

/** The system call and its errno, so that a test can play the kernel. */
export interface SendCalls {
  sendmmsg(fd: number, messages: number, count: number, flags: number): number;
  lastErrno(): number;
}

export class UdpSender {
  // Counters since start, in datagrams unless named otherwise.
  callCount = 0;
  runCount = 0;
  sentCount = 0;
  droppedCount = 0;
  lastDropErrno = 0;
  /** Runs that the kernel refused and that went out as single datagrams. */
  splitCount = 0;
  /** Whether runs are segmented by the kernel; goes false for good on EIO. */
  isSegmenting: boolean;

  readonly #fd: number;
  readonly #arena: Arena;
  readonly #calls: SendCalls;
  readonly #messages: Messages;
  /** For the datagrams of a run that must go out one by one. */
  readonly #singles: Messages;
  readonly #nameBytes: number;
  readonly #areaStart: number;
  readonly #areaEnd: number;
  #segmentCountMax = SEGMENTS_MAX;

  // Queued runs [#first, #total); runs below #prepared have their message structs written.
  readonly #offsets = new Uint32Array(RUNS_MAX);
  readonly #lengths = new Uint32Array(RUNS_MAX);
  readonly #segmentSizes = new Uint32Array(RUNS_MAX);
  readonly #counts = new Uint32Array(RUNS_MAX);
  readonly #isRefused = new Uint8Array(RUNS_MAX);
  #first = 0;
  #prepared = 0;
  #total = 0;
  #cursor: number;
  #isRunOpen = false;
  #runDestination = -1;

  /** `areaBytes` of the arena hold queued datagrams; at least one run's worth is taken. */
  constructor(
    arena: Arena,
    fd: number,
    family: SocketFamily,
    areaBytes: number,
    isSegmenting: boolean,
    calls: SendCalls = KERNEL,
  ) {
    const bytes = Math.max(areaBytes, RUN_BYTES_MAX + 1);
    this.#areaStart = arena.allocate(bytes, 64);
    this.#areaEnd = this.#areaStart + bytes;
    this.#cursor = this.#areaStart;
    this.#fd = fd;
    this.#arena = arena;
    this.#calls = calls;
    this.#nameBytes = socketAddressLength(family);
    this.#messages = new Messages(arena, RUNS_MAX, family);
    this.#singles = new Messages(arena, SEGMENTS_MAX, family);
    this.isSegmenting = isSegmenting;
  }

  /** Arena offset where the next datagram of up to `bytes` may be written; -1 when the backlog leaves no room. */
  reserve(bytes: number): number {
    if (this.#cursor + bytes > this.#areaEnd || this.#total === RUNS_MAX) {
      this.flush();
      if (this.#cursor + bytes > this.#areaEnd || this.#total === RUNS_MAX) {
        return -1;
      }
    }
    return this.#cursor;
  }

  /**
   * Queues the `length` bytes at the offset last reserved. `destination` is the arena offset of a socket address of the
   * socket's family; it is copied when a run begins, and the same offset means the same destination until `endRun`.
   */
  commit(length: number, destination: number): void {
    const last = this.#total - 1;
    if (
      this.#isRunOpen &&
      destination === this.#runDestination &&
      length <= this.#segmentSizes[last] &&
      length > 0 &&
      this.#counts[last] < this.#segmentCountMax &&
      this.#lengths[last] + length <= RUN_BYTES_MAX
    ) {
      this.#lengths[last] += length;
      this.#counts[last]++;
      this.#isRunOpen = length === this.#segmentSizes[last];
    } else {
      this.#beginRun(length, destination);
    }
    this.#cursor += length;
  }

  /** The next datagram starts a run of its own: for a changed socket address, or to keep flow labels apart. */
  endRun(): void {
    this.#isRunOpen = false;
  }

  /** Runs that the socket has not taken yet. */
  get backlog(): number {
    return this.#total - this.#first;
  }

  /** Sends what is queued; returns the number of runs left over (0: all gone), or a negative errno: the socket is broken. */
  flush(): number {
    this.#isRunOpen = false;
    this.#prepareRuns();
    let retries = 0;
    let isBlocked = false;
    while (this.#first < this.#total && !isBlocked) {
      const before = this.#first;
      const errno = this.#mustSplit(before) ? this.#sendSplit() : this.#sendRuns();
      if (errno === 0) {
        retries = 0;
      } else if (errno === Errno.EAGAIN) {
        isBlocked = true;
      } else if (isBroken(errno)) {
        this.#dropAll(errno);
        return -errno;
      } else if (!isTransient(errno) || retries++ >= RETRIES_MAX) {
        retries = 0;
        this.#refuse(errno);
      }
    }
    if (this.#first === this.#total) {
      this.#first = 0;
      this.#prepared = 0;
      this.#total = 0;
      this.#cursor = this.#areaStart;
    }
    return this.#total - this.#first;
  }

  #beginRun(length: number, destination: number): void {
    const run = this.#total++;
    this.#offsets[run] = this.#cursor;
    this.#lengths[run] = length;
    this.#segmentSizes[run] = length;
    this.#counts[run] = 1;
    this.#isRefused[run] = 0;
    this.#copyName(destination, this.#messages.name(run));
    this.#runDestination = destination;
    this.#isRunOpen = this.isSegmenting && length > 0;
  }

  #prepareRuns(): void {
    for (let run = this.#prepared; run < this.#total; run++) {
      this.#messages.setBuffer(run, this.#offsets[run], this.#lengths[run]);
      this.#setControls(run);
    }
    this.#prepared = this.#total;
  }

  #mustSplit(run: number): boolean {
    return this.#counts[run] > 1 && (!this.isSegmenting || this.#isRefused[run] === 1);
  }

  /** Sends as many whole runs as one call takes; 0 or an errno that belongs to the first of them. */
  #sendRuns(): number {
    let end = this.#first + 1;
    while (end < this.#total && !this.#mustSplit(end)) {
      end++;
    }
    const sent = this.#send(this.#messages, this.#first, end - this.#first);
    if (sent < 0) {
      return -sent;
    }
    for (let index = 0; index < sent; index++) {
      this.sentCount += this.#counts[this.#first];
      this.runCount++;
      this.#first++;
    }
    return 0;
  }

  /** Sends the first run's datagrams one by one (one call for all); what was sent is taken off the run. */
  #sendSplit(): number {
    const run = this.#first;
    const singles = this.#singles;
    const count = Math.min(this.#counts[run], SEGMENTS_MAX);
    const size = this.#segmentSizes[run];
    for (let index = 0; index < count; index++) {
      const start = index * size;
      singles.setBuffer(index, this.#offsets[run] + start, Math.min(size, this.#lengths[run] - start));
      this.#copyName(this.#messages.name(run), singles.name(index));
      singles.setControls(index, 0);
    }
    const sent = this.#send(singles, 0, count);
    if (sent < 0) {
      return -sent;
    }
    this.sentCount += sent;
    this.#shorten(run, sent);
    return 0;
  }

  /** Takes the first `count` datagrams off a run; an empty run is done. */
  #shorten(run: number, count: number): void {
    const bytes = Math.min(count * this.#segmentSizes[run], this.#lengths[run]);
    this.#offsets[run] += bytes;
    this.#lengths[run] -= bytes;
    this.#counts[run] -= count;
    if (this.#counts[run] === 0) {
      this.runCount++;
      this.#first++;
    } else {
      // One datagram left is a plain message again.
      this.#messages.setBuffer(run, this.#offsets[run], this.#lengths[run]);
      this.#messages.setControls(run, 0);
    }
  }

  #setControls(run: number): void {
    this.#messages.setControls(run, this.#counts[run] > 1 ? this.#segmentSizes[run] : 0);
  }

  /** Number of messages sent, or a negative errno. */
  #send(messages: Messages, first: number, count: number): number {
    this.callCount++;
    const table = this.#arena.address + messages.offset + first * MESSAGE_BYTES;
    const sent = this.#calls.sendmmsg(this.#fd, table, count, MSG_DONTWAIT);
    return sent > 0 ? sent : sent === 0 ? -Errno.EAGAIN : -this.#calls.lastErrno();
  }

  /** The kernel will not take the first run as it is: split it, or drop the run, or the datagram at its head. */
  #refuse(errno: number): void {
    const run = this.#first;
    const isRun = this.#counts[run] > 1 && !this.#mustSplit(run);
    if (errno !== Errno.EIO && errno !== Errno.EMSGSIZE && this.#messages.hasLocalAddress(run)) {
      // Perhaps this machine has that address no more: whichever the kernel chooses is better than none.
      clearLocalAddress(this.#arena, this.#messages.name(run));
      this.#setControls(run);
    } else if (isRun && errno === Errno.EIO) {
      this.isSegmenting = false;
      this.splitCount++;
    } else if (isRun && (errno === Errno.EINVAL || errno === Errno.EMSGSIZE)) {
      // Datagrams longer than the path's MTU must be fragmented, which segmentation cannot; or an older kernel counts
      // the headers against 64 segments.
      if (this.#counts[run] > SEGMENTS_MAX_OLD_KERNEL) {
        this.#segmentCountMax = SEGMENTS_MAX_OLD_KERNEL;
      }
      this.#isRefused[run] = 1;
      this.splitCount++;
    } else {
      const count = isRun ? this.#counts[run] : 1;
      this.droppedCount += count;
      this.lastDropErrno = errno;
      this.#shorten(run, count);
    }
  }

  #dropAll(errno: number): void {
    while (this.#first < this.#total) {
      this.droppedCount += this.#counts[this.#first];
      this.#first++;
    }
    this.lastDropErrno = errno;
    this.#first = 0;
    this.#prepared = 0;
    this.#total = 0;
    this.#cursor = this.#areaStart;
  }

  #copyName(from: number, to: number): void {
    const { view } = this.#arena;
    for (let index = 0; index < this.#nameBytes; index += 4) {
      view.setUint32(to + index, view.getUint32(from + index));
    }
    for (let index = 0; index < 16; index += 4) {
      view.setUint32(localAddressAt(to) + index, view.getUint32(localAddressAt(from) + index));
    }
  }
}

const KERNEL: SendCalls = { sendmmsg: libc.sendmmsg, lastErrno };

/** Worth another try at once: memory that comes back, or an error left behind by an earlier datagram. */
function isTransient(errno: number): boolean {
  return errno === Errno.EINTR || errno === Errno.ENOBUFS || errno === Errno.ENOMEM || errno === Errno.ECONNREFUSED;
}

function isBroken(errno: number): boolean {
  return errno === Errno.EBADF || errno === Errno.ENOTSOCK || errno === Errno.EFAULT;
}

const RUNS_MAX = 128;
const RUN_BYTES_MAX = 65_507;
const SEGMENTS_MAX = 64;
const SEGMENTS_MAX_OLD_KERNEL = 63;
const RETRIES_MAX = 3;
