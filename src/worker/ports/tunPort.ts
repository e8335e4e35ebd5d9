/**
 * One tun queue: packets out of the kernel into the arena, packets and super-packets back into it.
 *
 * Owned by one worker; `outbound` receives, `deliveries` writes. Works on a non-blocking fd, with or without virtio
 * headers, and hides which. Packets received are borrowed until the next `receive`. Nothing is allocated, thrown or
 * logged per packet: what cannot be written is counted, and only a broken device is a negative errno.
 */
import type { Arena } from '../../shared/sys/arena.ts';
import { Errno, lastErrno, libc } from '../../shared/sys/libc.ts';
import type { PacketPort } from './contracts.ts';
import {
  VIRTIO_HEADER_BYTES,
  virtioChecksumOffset,
  virtioChecksumStart,
  virtioFlags,
  virtioGsoSize,
  virtioGsoType,
  writePlainVirtioHeader,
  writeVirtioHeader,
} from './virtio.ts';

export interface TunPortOptions {
  readonly fd: number;
  /** Whether the device was opened with virtio headers (`TunOffload.vnetHeader`). */
  readonly vnetHeader: boolean;
  /** Bytes set aside for received packets. Never less than one packet of the largest size. */
  readonly receiveBytes?: number;
}

/** Packets that one `receive` can describe. */
export const TUN_RECEIVE_MAX = 128;

/** Pieces of one gathered packet: 128 segments, the headers, and the virtio header in front. */
export const TUN_PIECES_MAX = 130;

export class TunPort implements PacketPort {
  // Packet i of the last `receive`. Without virtio headers the last five are zero.
  /** Arena offset of the IP header, a multiple of 16. */
  readonly offsets: Uint32Array = new Uint32Array(TUN_RECEIVE_MAX);
  readonly lengths: Uint32Array = new Uint32Array(TUN_RECEIVE_MAX);
  readonly flags: Uint8Array = new Uint8Array(TUN_RECEIVE_MAX);
  readonly gsoTypes: Uint8Array = new Uint8Array(TUN_RECEIVE_MAX);
  readonly gsoSizes: Uint16Array = new Uint16Array(TUN_RECEIVE_MAX);
  readonly checksumStarts: Uint16Array = new Uint16Array(TUN_RECEIVE_MAX);
  readonly checksumOffsets: Uint16Array = new Uint16Array(TUN_RECEIVE_MAX);

  // Counters since start.
  readCount = 0;
  writtenCount = 0;
  /** Packets that the device did not take, and the errno of the last of them. */
  droppedCount = 0;
  lastDropErrno = 0;

  readonly #fd: number;
  readonly #arena: Arena;
  readonly #headerBytes: number;
  readonly #receiveStart: number;
  readonly #receiveEnd: number;
  /** Virtio header of a plain packet: written once, never changed. */
  readonly #plainHeader: number;
  /** Virtio header of a gathered packet. */
  readonly #gatherHeader: number;
  /** iovec array; entry 0 is the virtio header, which is left out on a device without. */
  readonly #pieces: number;
  /** iovec array of a plain packet: virtio header, packet. */
  readonly #plainPieces: number;
  #pieceCount = 1;
  #gatheredBytes = 0;

  constructor(arena: Arena, options: TunPortOptions) {
    this.#fd = options.fd;
    this.#arena = arena;
    this.#headerBytes = options.vnetHeader ? VIRTIO_HEADER_BYTES : 0;
    const receiveBytes = Math.max(options.receiveBytes ?? RECEIVE_BYTES, SLOT_BYTES);
    this.#receiveStart = arena.allocate(receiveBytes, PACKET_ALIGN);
    this.#receiveEnd = this.#receiveStart + receiveBytes;
    this.#plainHeader = arena.allocate(16, 16);
    this.#gatherHeader = arena.allocate(16, 16);
    this.#pieces = arena.allocate(TUN_PIECES_MAX * IOVEC_BYTES, 16);
    this.#plainPieces = arena.allocate(2 * IOVEC_BYTES, 16);
    writePlainVirtioHeader(arena.view, this.#plainHeader);
    this.#writePiece(this.#pieces, this.#gatherHeader, VIRTIO_HEADER_BYTES);
    this.#writePiece(this.#plainPieces, this.#plainHeader, VIRTIO_HEADER_BYTES);
  }

  /**
   * Reads until the queue is empty, `max` packets are there or less than one largest packet's room is left; returns how
   * many. A broken device (deleted, fd closed) is a negative errno.
   */
  receive(max: number): number {
    const limit = Math.min(max, TUN_RECEIVE_MAX);
    const headerBytes = this.#headerBytes;
    let offset = this.#receiveStart + HEADROOM;
    let count = 0;
    let retries = 0;
    let fault = 0;
    while (count < limit && offset + PACKET_BYTES_MAX <= this.#receiveEnd && fault === 0) {
      const start = offset - headerBytes;
      const got = libc.read(this.#fd, this.#arena.address + start, headerBytes + PACKET_BYTES_MAX);
      if (got > headerBytes) {
        this.#describe(count, offset, got - headerBytes);
        count++;
        offset += Math.ceil((got - headerBytes + HEADROOM) / PACKET_ALIGN) * PACKET_ALIGN;
      } else if (got >= 0 || lastErrno() === Errno.EINTR) {
        fault = retries++ < RETRIES_MAX ? 0 : Errno.EAGAIN;
      } else {
        fault = lastErrno();
      }
    }
    this.readCount += count;
    // What was read before a fault is handled first; the fault is still there at the next call.
    return count > 0 || fault === Errno.EAGAIN ? count : -fault;
  }

  /** Writes the packet at an arena offset: 0, also when the device did not take it (counted), or a negative errno. */
  write(offset: number, length: number): number {
    const { address } = this.#arena;
    if (this.#headerBytes === 0) {
      return this.#finish(libc.write(this.#fd, address + offset, length));
    }
    this.#writePiece(this.#plainPieces + IOVEC_BYTES, offset, length);
    return this.#finish(libc.writev(this.#fd, address + this.#plainPieces, 2));
  }

  /** Starts a packet that is collected from pieces of the arena. */
  beginGather(): void {
    this.#pieceCount = 1;
    this.#gatheredBytes = 0;
  }

  /** Adds the next bytes of the packet; they must stay unchanged until it is finished. False when the list is full. */
  addPiece(offset: number, length: number): boolean {
    if (this.#pieceCount >= TUN_PIECES_MAX) {
      return false;
    }
    this.#writePiece(this.#pieces + this.#pieceCount * IOVEC_BYTES, offset, length);
    this.#pieceCount++;
    this.#gatheredBytes += length;
    return true;
  }

  /** Bytes collected since `beginGather`. */
  get gatheredBytes(): number {
    return this.#gatheredBytes;
  }

  /** Writes what was collected, in one call, behind this virtio header. Same result as `write`. */
  finishGather(
    flags: number,
    gsoType: number,
    headerLength: number,
    gsoSize: number,
    checksumStart: number,
    checksumOffset: number,
  ): number {
    const { address, view } = this.#arena;
    if (this.#headerBytes === 0) {
      return this.#finish(libc.writev(this.#fd, address + this.#pieces + IOVEC_BYTES, this.#pieceCount - 1));
    }
    writeVirtioHeader(view, this.#gatherHeader, flags, gsoType, headerLength, gsoSize, checksumStart, checksumOffset);
    return this.#finish(libc.writev(this.#fd, address + this.#pieces, this.#pieceCount));
  }

  #describe(index: number, offset: number, length: number): void {
    this.offsets[index] = offset;
    this.lengths[index] = length;
    if (this.#headerBytes !== 0) {
      const { view } = this.#arena;
      const header = offset - VIRTIO_HEADER_BYTES;
      this.flags[index] = virtioFlags(view, header);
      this.gsoTypes[index] = virtioGsoType(view, header);
      this.gsoSizes[index] = virtioGsoSize(view, header);
      this.checksumStarts[index] = virtioChecksumStart(view, header);
      this.checksumOffsets[index] = virtioChecksumOffset(view, header);
    }
  }

  #writePiece(entry: number, offset: number, length: number): void {
    this.#arena.writePointer(entry, offset);
    this.#arena.view.setUint32(entry + 8, length, true);
  }

  /** A tun write is not retried: the packet is one of many, and the flow above notices the loss. */
  #finish(result: number): number {
    if (result >= 0) {
      this.writtenCount++;
      return 0;
    }
    const errno = lastErrno();
    this.droppedCount++;
    this.lastDropErrno = errno;
    return errno === Errno.EBADFD || errno === Errno.EBADF || errno === Errno.EFAULT ? -errno : 0;
  }
}

const IOVEC_BYTES = 16;
const RETRIES_MAX = 16;
/** The IP header of every packet is aligned to this, for word-wise checksums; the virtio header lies before it. */
const PACKET_ALIGN = 16;
const HEADROOM = 16;
/** The longest IPv4 packet; IPv6 jumbograms do not exist on tun. */
const PACKET_BYTES_MAX = 65_536;
const SLOT_BYTES = PACKET_BYTES_MAX + HEADROOM;
/** Room for several super-packets of one burst, or 128 packets of 2 KB. */
const RECEIVE_BYTES = 8 * SLOT_BYTES;
