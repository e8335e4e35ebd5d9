/** Both ends of a data path in memory: a tun queue and a UDP socket that allocate nothing per packet. */
import { addressFromBytes, type Endpoint, endpointOf, parseAddress, writeMapped } from '../../src/shared/ip/address.ts';
import type { Arena } from '../../src/shared/sys/arena.ts';
import {
  copySocketAddress,
  SOCKADDR_BYTES,
  type SocketFamily,
  socketAddressPort,
  writeSocketAddress,
} from '../../src/shared/tunnel/socketAddress.ts';
import type { DatagramPort, PacketPort } from '../../src/worker/ports/contracts.ts';
import { VirtioFlag } from '../../src/worker/ports/virtio.ts';

/** How much a port takes of the arena. */
export interface PortSizes {
  /** Packets that one turn may receive, and send. */
  readonly slots: number;
  /** Of the longest packet, and a word. */
  readonly slotBytes: number;
}

const LARGE_PORTS: PortSizes = { slots: 128, slotBytes: 70_000 };

/** A tun queue in memory. */
export class MemoryTun implements PacketPort {
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  readonly flags: Uint8Array;
  readonly gsoTypes: Uint8Array;
  readonly gsoSizes: Uint16Array;
  readonly checksumStarts: Uint16Array;
  readonly checksumOffsets: Uint16Array;
  readonly droppedCount = 0;
  /** Packets of this host that wait to be read. */
  queuedCount = 0;
  /** What was written: every packet is kept while `keeps`. */
  readonly written: Uint8Array[] = [];
  keeps = true;
  writeCount = 0;
  readonly #arena: Arena;
  readonly #base: number;
  readonly #slotBytes: number;

  constructor(arena: Arena, { slots, slotBytes }: PortSizes = LARGE_PORTS) {
    this.#arena = arena;
    this.#base = arena.allocate(slots * slotBytes, 64);
    this.#slotBytes = slotBytes;
    this.offsets = new Uint32Array(slots);
    this.lengths = new Uint32Array(slots);
    this.flags = new Uint8Array(slots);
    this.gsoTypes = new Uint8Array(slots);
    this.gsoSizes = new Uint16Array(slots);
    this.checksumStarts = new Uint16Array(slots);
    this.checksumOffsets = new Uint16Array(slots);
  }

  /** Puts a packet into the queue, as the host's stack would. */
  send(packet: Uint8Array): void {
    const index = this.queuedCount++;
    this.offsets[index] = this.#base + index * this.#slotBytes;
    this.lengths[index] = packet.length;
    this.#arena.bytes.set(packet, this.offsets[index]);
  }

  /** The same for a super-packet, with the fields of its virtio header. */
  sendSuper(packet: Uint8Array, type: number, size: number, checksumStart: number, checksumOffset: number): void {
    const index = this.queuedCount;
    this.flags[index] = VirtioFlag.NeedsChecksum;
    this.gsoTypes[index] = type;
    this.gsoSizes[index] = size;
    this.checksumStarts[index] = checksumStart;
    this.checksumOffsets[index] = checksumOffset;
    this.send(packet);
  }

  receive(max: number): number {
    const count = Math.min(max, this.queuedCount);
    this.queuedCount = 0;
    return count;
  }

  write(offset: number, length: number): number {
    this.writeCount++;
    if (this.keeps) {
      this.written.push(this.#arena.bytes.slice(offset, offset + length));
    }
    return 0;
  }

  beginGather(): void {
    this.writeCount++;
  }

  addPiece(): boolean {
    return true;
  }

  finishGather(): number {
    return 0;
  }
}

/** A UDP socket in memory; `transfer` is the wire. */
export class MemoryUdp implements DatagramPort {
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  readonly segmentSizes: Uint32Array;
  readonly sources: Uint32Array;
  readonly droppedCount = 0;
  readonly #arena: Arena;
  readonly #receiveBase: number;
  readonly #sendBase: number;
  readonly #source: number;
  readonly #family: SocketFamily;
  readonly #slotBytes: number;
  readonly #sentOffsets: Uint32Array;
  readonly #sentLengths: Uint32Array;
  /** One socket address per sent datagram, as it was when it was queued. */
  readonly #destinations: number;
  #sentCount = 0;
  #receivedCount = 0;

  constructor(arena: Arena, family: SocketFamily, { slots, slotBytes }: PortSizes = LARGE_PORTS) {
    this.#arena = arena;
    this.#family = family;
    this.#slotBytes = slotBytes;
    this.#receiveBase = arena.allocate(slots * slotBytes, 64);
    this.#sendBase = arena.allocate(slots * slotBytes, 64);
    this.#source = arena.allocate(SOCKADDR_BYTES, 64);
    this.#destinations = arena.allocate(slots * SOCKADDR_BYTES, 64);
    this.offsets = new Uint32Array(slots);
    this.lengths = new Uint32Array(slots);
    this.segmentSizes = new Uint32Array(slots);
    this.sources = new Uint32Array(slots);
    this.#sentOffsets = new Uint32Array(slots);
    this.#sentLengths = new Uint32Array(slots);
  }

  /** Where received datagrams seem to come from. */
  setSource(address: string, port: number): void {
    const mapped = new Uint8Array(16);
    writeMapped(parseAddress(address)!, mapped, 0);
    writeSocketAddress(this.#arena, this.#source, this.#family, mapped, 0, port);
  }

  get sentCount(): number {
    return this.#sentCount;
  }

  receive(): number {
    const count = this.#receivedCount;
    this.#receivedCount = 0;
    return count;
  }

  reserve(): number {
    const isFull = this.#sentCount === this.#sentOffsets.length;
    return isFull ? -1 : this.#sendBase + this.#sentCount * this.#slotBytes;
  }

  commit(length: number, destination: number): void {
    const { view } = this.#arena;
    const copy = this.#destinations + this.#sentCount * SOCKADDR_BYTES;
    for (let at = 0; at < SOCKADDR_BYTES; at += 4) {
      view.setInt32(copy + at, view.getInt32(destination + at));
    }
    this.#sentOffsets[this.#sentCount] = this.#sendBase + this.#sentCount * this.#slotBytes;
    this.#sentLengths[this.#sentCount] = length;
    this.#sentCount++;
  }

  endRun(): void {
    // Every datagram is its own here.
  }

  flush(): number {
    // What was sent stays for `take` and `transfer`.
    return 0;
  }

  /** Hands one datagram to this socket, as the underlay would. */
  deliver(datagram: Uint8Array): void {
    const index = this.#receivedCount++;
    this.offsets[index] = this.#receiveBase + index * this.#slotBytes;
    this.lengths[index] = datagram.length;
    this.segmentSizes[index] = datagram.length;
    this.sources[index] = this.#source;
    this.#arena.bytes.set(datagram, this.offsets[index]);
  }

  /** As the receiver describes a datagram that was longer than its buffer. */
  deliverCut(): void {
    this.deliver(new Uint8Array(0));
    this.segmentSizes[this.#receivedCount - 1] = 1;
  }

  /** Copies of what was sent since the last take; the queue is empty afterwards. */
  take(): Uint8Array[] {
    return this.takeAddressed().map(({ bytes }) => bytes);
  }

  /** The same, with where each was sent to. */
  takeAddressed(): { readonly bytes: Uint8Array; readonly to: Endpoint }[] {
    const taken = Array.from({ length: this.#sentCount }, (_, index) => {
      const start = this.#sentOffsets[index];
      return {
        bytes: this.#arena.bytes.slice(start, start + this.#sentLengths[index]),
        to: endpointAt(this.#arena, this.#destinations + index * SOCKADDR_BYTES),
      };
    });
    this.#sentCount = 0;
    return taken;
  }

  /** Moves everything sent into the other socket's receive queue, without allocating. */
  transfer(other: MemoryUdp): void {
    for (let index = 0; index < this.#sentCount; index++) {
      const target = other.#receiveBase + index * other.#slotBytes;
      const from = this.#sentOffsets[index];
      const length = this.#sentLengths[index];
      // Whole words; the slot has room for what comes with the last one.
      for (let at = 0; at < length; at += 4) {
        other.#arena.view.setInt32(target + at, this.#arena.view.getInt32(from + at));
      }
      other.offsets[index] = target;
      other.lengths[index] = length;
      other.segmentSizes[index] = length;
      other.sources[index] = other.#source;
    }
    other.#receivedCount = this.#sentCount;
    this.#sentCount = 0;
  }
}

/** What the socket address at an arena offset names. */
export function endpointAt(arena: Arena, offset: number): Endpoint {
  const mapped = new Uint8Array(16);
  copySocketAddress(arena, offset, mapped, 0);
  return endpointOf(addressFromBytes(mapped), socketAddressPort(arena, offset));
}
