/** Both ends of a data path in memory: a tun queue and a UDP socket that allocate nothing per packet. */
import { parseAddress, writeMapped } from '../../src/shared/ip/address.ts';
import type { Arena } from '../../src/shared/sys/arena.ts';
import { SOCKADDR_BYTES, SocketFamily, writeSocketAddress } from '../../src/shared/tunnel/socketAddress.ts';
import type { DatagramPort, PacketPort } from '../../src/worker/ports/contracts.ts';
import { VirtioFlag } from '../../src/worker/ports/virtio.ts';

const SLOTS = 128;
const SLOT_BYTES = 70_000;

/** A tun queue in memory. */
export class MemoryTun implements PacketPort {
  readonly offsets: Uint32Array = new Uint32Array(SLOTS);
  readonly lengths: Uint32Array = new Uint32Array(SLOTS);
  readonly flags: Uint8Array = new Uint8Array(SLOTS);
  readonly gsoTypes: Uint8Array = new Uint8Array(SLOTS);
  readonly gsoSizes: Uint16Array = new Uint16Array(SLOTS);
  readonly checksumStarts: Uint16Array = new Uint16Array(SLOTS);
  readonly checksumOffsets: Uint16Array = new Uint16Array(SLOTS);
  readonly droppedCount = 0;
  /** Packets of this host that wait to be read. */
  queuedCount = 0;
  /** What was written: every packet is kept while `keeps`. */
  readonly written: Uint8Array[] = [];
  keeps = true;
  writeCount = 0;
  readonly #arena: Arena;
  readonly #base: number;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#base = arena.allocate(SLOTS * SLOT_BYTES, 64);
  }

  /** Puts a packet into the queue, as the host's stack would. */
  send(packet: Uint8Array): void {
    const index = this.queuedCount++;
    this.offsets[index] = this.#base + index * SLOT_BYTES;
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
  readonly offsets: Uint32Array = new Uint32Array(SLOTS);
  readonly lengths: Uint32Array = new Uint32Array(SLOTS);
  readonly segmentSizes: Uint32Array = new Uint32Array(SLOTS);
  readonly sources: Uint32Array = new Uint32Array(SLOTS);
  readonly droppedCount = 0;
  readonly #arena: Arena;
  readonly #receiveBase: number;
  readonly #sendBase: number;
  readonly #source: number;
  readonly #sentOffsets = new Uint32Array(SLOTS);
  readonly #sentLengths = new Uint32Array(SLOTS);
  readonly #sentTo = new Uint32Array(SLOTS);
  #sentCount = 0;
  #receivedCount = 0;

  constructor(arena: Arena, peerAddress: string) {
    this.#arena = arena;
    this.#receiveBase = arena.allocate(SLOTS * SLOT_BYTES, 64);
    this.#sendBase = arena.allocate(SLOTS * SLOT_BYTES, 64);
    this.#source = arena.allocate(SOCKADDR_BYTES, 64);
    this.setSource(peerAddress, 4242);
  }

  /** Where received datagrams seem to come from. */
  setSource(address: string, port: number): void {
    const mapped = new Uint8Array(16);
    writeMapped(parseAddress(address)!, mapped, 0);
    writeSocketAddress(this.#arena, this.#source, SocketFamily.Ipv4, mapped, 0, port);
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
    return this.#sentCount === SLOTS ? -1 : this.#sendBase + this.#sentCount * SLOT_BYTES;
  }

  commit(length: number, destination: number): void {
    this.#sentOffsets[this.#sentCount] = this.#sendBase + this.#sentCount * SLOT_BYTES;
    this.#sentLengths[this.#sentCount] = length;
    this.#sentTo[this.#sentCount] = destination;
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
    this.offsets[index] = this.#receiveBase + index * SLOT_BYTES;
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
    const taken = Array.from({ length: this.#sentCount }, (_, index) =>
      this.#arena.bytes.slice(this.#sentOffsets[index], this.#sentOffsets[index] + this.#sentLengths[index]),
    );
    this.#sentCount = 0;
    return taken;
  }

  /** Moves everything sent into the other socket's receive queue, without allocating. */
  transfer(other: MemoryUdp): void {
    for (let index = 0; index < this.#sentCount; index++) {
      const target = other.#receiveBase + index * SLOT_BYTES;
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
