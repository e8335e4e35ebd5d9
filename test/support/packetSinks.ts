/** A tun device in memory: takes what the coalescer writes and cuts super-packets as the kernel would. */
import { GsoType, VirtioFlag } from '../../src/worker/ports/virtio.ts';
import {
  concat,
  cutPacket,
  fixChecksums,
  get16,
  isSound,
  leavePartialChecksum,
  transportStart,
} from './innerPackets.ts';

export class RecordingSink {
  /** Packets as the host's stack sees them, in order. */
  readonly packets: Uint8Array[] = [];
  /** Segments per write: 1 for a plain packet. */
  readonly writes: number[] = [];
  /** What is wrong with super-packets written so far. */
  readonly faults: string[] = [];
  readonly #bytes: Uint8Array;
  #pieces: Uint8Array[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  write(offset: number, length: number): number {
    this.packets.push(this.#bytes.slice(offset, offset + length));
    this.writes.push(1);
    return 0;
  }

  beginGather(): void {
    this.#pieces = [];
  }

  addPiece(offset: number, length: number): boolean {
    this.#pieces.push(this.#bytes.slice(offset, offset + length));
    return true;
  }

  finishGather(
    flags: number,
    gsoType: number,
    headerLength: number,
    gsoSize: number,
    checksumStart: number,
    checksumOffset: number,
  ): number {
    const packet = concat(this.#pieces);
    this.#check(packet, [flags, gsoType, headerLength, checksumStart, checksumOffset]);
    const segments = cutPacket(packet, gsoSize);
    if (segments.length !== this.#pieces.length) {
      this.faults.push(`${this.#pieces.length} pieces make ${segments.length} segments`);
    }
    this.packets.push(...segments);
    this.writes.push(segments.length);
    return 0;
  }

  #check(packet: Uint8Array, fields: readonly number[]): void {
    const isIpv4 = packet[0] >> 4 === 4;
    const isTcp = packet[isIpv4 ? 9 : 6] === 6;
    const start = transportStart(packet);
    const type = isTcp ? (isIpv4 ? GsoType.Tcp4 : GsoType.Tcp6) : GsoType.Udp;
    const head = start + (isTcp ? (packet[start + 12] >> 4) * 4 : 8);
    const wanted = [VirtioFlag.NeedsChecksum, type, head, start, isTcp ? 16 : 6];
    if (wanted.join() !== fields.join()) {
      this.faults.push(`virtio fields ${fields.join()}, wanted ${wanted.join()}`);
    }
    if (packet.length > 65535) {
      this.faults.push(`${packet.length} bytes`);
    }
    const partial = packet.slice();
    fixChecksums(partial);
    if (!isSound(partial)) {
      this.faults.push('lengths are wrong');
    }
    leavePartialChecksum(partial);
    if (get16(partial, start + wanted[4]) !== get16(packet, start + wanted[4])) {
      this.faults.push('the checksum field is not the sum of the pseudo-header');
    }
    if (isIpv4 && get16(partial, 10) !== get16(packet, 10)) {
      this.faults.push('the IPv4 checksum is wrong');
    }
  }
}
