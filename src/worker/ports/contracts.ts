/**
 * What the data path asks of its ends, and nothing more: `UdpPort`, `TunPort` and `PrimaryLink` have it, and so have the
 * in-memory doubles of the tests. Memory is named by arena offset; results are numbers.
 */
import type { FrameWriter } from '../../shared/ipc/frameRing.ts';
import type { TunnelContext } from '../../shared/tunnel/tunnelContext.ts';

/** The underlay end, receiving. Arrays describe the messages of the last `receive` and are borrowed until the next. */
export interface DatagramSource {
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  /** Messages may be several datagrams of this size, the last one shorter. 1 with length 0: one too long, dropped. */
  readonly segmentSizes: Uint32Array;
  /** Arena offsets of the senders' socket addresses. */
  readonly sources: Uint32Array;
  /** Number of messages, 0 when nothing waits, or a negative errno: the socket is broken. */
  receive(): number;
}

/** The underlay end, sending. */
export interface DatagramSink {
  /** Where the next datagram of up to `bytes` may be written, or -1 when there is no room. */
  reserve(bytes: number): number;
  /** Queues `length` bytes at the offset last reserved, for the socket address at `destination`. */
  commit(length: number, destination: number): void;
  /** The next datagram must not travel in one run with those before. */
  endRun(): void;
}

/** The underlay end as a whole. */
export interface DatagramPort extends DatagramSource, DatagramSink {
  /** Datagrams that were queued and not sent, since the start. */
  readonly droppedCount: number;
  /** Sends what is queued; how much is left over, or a negative errno: the socket is broken. */
  flush(): number;
}

/** The overlay end, receiving: packets and super-packets that this host sends into the overlay. */
export interface PacketSource {
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  readonly flags: Uint8Array;
  readonly gsoTypes: Uint8Array;
  readonly gsoSizes: Uint16Array;
  readonly checksumStarts: Uint16Array;
  readonly checksumOffsets: Uint16Array;
  /** Number of packets, 0 when nothing waits, or a negative errno: the device is broken. */
  receive(max: number): number;
}

/** The overlay end, sending: plain packets, and super-packets gathered from pieces. */
export interface PacketSink {
  readonly droppedCount: number;
  /** 0, also when the device did not take the packet (counted), or a negative errno: the device is broken. */
  write(offset: number, length: number): number;
  beginGather(): void;
  /** False when the list is full. */
  addPiece(offset: number, length: number): boolean;
  finishGather(
    flags: number,
    gsoType: number,
    headerLength: number,
    gsoSize: number,
    checksumStart: number,
    checksumOffset: number,
  ): number;
}

/** The overlay end as a whole. */
export interface PacketPort extends PacketSource, PacketSink {}

/** Where the packets go that came through a tunnel and passed. Their memory stays as it is until `flush` returns. */
export interface Overlay {
  /** The inner packet of `length` bytes at `offset`, opened from the packet whose header is at `header`. */
  add(context: TunnelContext, header: number, offset: number, length: number): void;
  /** The batch is complete. */
  flush(): void;
}

/** The way to the primary: the ring of frames, and a bell. */
export interface PuntSink {
  readonly frames: Pick<FrameWriter, 'write'>;
  /** Shows the primary what was written since. */
  flush(): void;
}
