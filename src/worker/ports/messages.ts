/**
 * The structs of recvmmsg and sendmmsg in the arena: one array of mmsghdr with everything it points at, built once.
 *
 *   mmsghdr 64: | name 8 | name length 4+4 | iov 8 | iov count 8 | control 8 | control length 8 | flags 4+4 | length 4+4 |
 *   iovec   16: | base 8 | length 8 |
 *   control 24: | length 8 | level 4 | type 4 | value 4+4 |
 *
 * Each header has one iovec, one socket address and room for one control message of the UDP level. Layouts: the 64-bit
 * Linux ABI, little endian. Used by the two halves of `UdpPort` only.
 */
import type { Arena } from '../../shared/sys/arena.ts';

export const MESSAGE_BYTES = 64;
export const CONTROL_BYTES = 24;
const SOCKADDR_STRIDE = 32;
const IOVEC_BYTES = 16;
const CONTROL_HEADER_BYTES = 16;

export const UDP_LEVEL = 17;

export class Messages {
  /** Arena offset of the mmsghdr array. */
  readonly offset: number;
  readonly #arena: Arena;
  readonly #names: number;
  readonly #iovecs: number;
  readonly #controls: number;

  /** `nameBytes`: the length of the socket family's address. */
  constructor(arena: Arena, count: number, nameBytes: number) {
    this.#arena = arena;
    this.offset = arena.allocate(count * MESSAGE_BYTES, 64);
    this.#names = arena.allocate(count * SOCKADDR_STRIDE, 64);
    this.#iovecs = arena.allocate(count * IOVEC_BYTES, 64);
    this.#controls = arena.allocate(count * CONTROL_BYTES, 64);
    for (let index = 0; index < count; index++) {
      const header = this.header(index);
      arena.writePointer(header, this.name(index));
      arena.view.setUint32(header + 8, nameBytes, true);
      arena.writePointer(header + 16, this.#iovecs + index * IOVEC_BYTES);
      arena.view.setUint32(header + 24, 1, true);
      arena.writePointer(header + 32, this.#control(index));
    }
  }

  header(index: number): number {
    return this.offset + index * MESSAGE_BYTES;
  }

  /** Arena offset of the message's socket address. */
  name(index: number): number {
    return this.#names + index * SOCKADDR_STRIDE;
  }

  setBuffer(index: number, offset: number, length: number): void {
    const iovec = this.#iovecs + index * IOVEC_BYTES;
    this.#arena.writePointer(iovec, offset);
    this.#arena.view.setUint32(iovec + 8, length, true);
  }

  setNameLength(index: number, length: number): void {
    this.#arena.view.setUint32(this.header(index) + 8, length, true);
  }

  setControlLength(index: number, length: number): void {
    this.#arena.view.setUint32(this.header(index) + 40, length, true);
  }

  controlLength(index: number): number {
    return this.#arena.view.getUint32(this.header(index) + 40, true);
  }

  flags(index: number): number {
    return this.#arena.view.getUint32(this.header(index) + 48, true);
  }

  /** Bytes received. */
  length(index: number): number {
    return this.#arena.view.getUint32(this.header(index) + 56, true);
  }

  /** Writes a control message with a 16-bit value and makes the message carry it. */
  setControl16(index: number, type: number, value: number): void {
    const { view } = this.#arena;
    const control = this.#control(index);
    view.setUint32(control, CONTROL_HEADER_BYTES + 2, true);
    view.setUint32(control + 8, UDP_LEVEL, true);
    view.setUint32(control + 12, type, true);
    view.setUint16(control + CONTROL_HEADER_BYTES, value, true);
    this.setControlLength(index, CONTROL_BYTES);
  }

  /** The 32-bit value of the control message of this type that came with the message; 0 when there is none. */
  control32(index: number, type: number): number {
    const { view } = this.#arena;
    const control = this.#control(index);
    const isThere =
      this.controlLength(index) >= CONTROL_HEADER_BYTES + 4 &&
      view.getUint32(control + 8, true) === UDP_LEVEL &&
      view.getUint32(control + 12, true) === type;
    return isThere ? view.getUint32(control + CONTROL_HEADER_BYTES, true) : 0;
  }

  #control(index: number): number {
    return this.#controls + index * CONTROL_BYTES;
  }
}
