/**
 * The structs of recvmmsg and sendmmsg in the arena: one array of mmsghdr with everything it points at, built once.
 *
 *   mmsghdr 64: | name 8 | name length 4+4 | iov 8 | iov count 8 | control 8 | control length 8 | flags 4+4 | length 4+4 |
 *   iovec   16: | base 8 | length 8 |
 *
 * Each header has one iovec, one socket address with the local address behind it, and room for control messages
 * (`controls.ts`). Layouts: the 64-bit Linux ABI, little endian. Used by the two halves of `UdpPort` only.
 */
import { SOL_UDP } from '../../shared/sys/abi.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import {
  CONTROL_BYTES,
  isLocalAddressSet,
  readControl32,
  readLocalAddress,
  writeControls,
} from '../../shared/tunnel/controls.ts';
import {
  localAddressAt,
  SOCKADDR_BYTES,
  type SocketFamily,
  socketAddressLength,
} from '../../shared/tunnel/socketAddress.ts';

export const MESSAGE_BYTES = 64;
const IOVEC_BYTES = 16;

export class Messages {
  /** Arena offset of the mmsghdr array. */
  readonly offset: number;
  readonly #arena: Arena;
  readonly #family: SocketFamily;
  readonly #names: number;
  readonly #iovecs: number;
  readonly #controls: number;

  constructor(arena: Arena, count: number, family: SocketFamily) {
    this.#arena = arena;
    this.#family = family;
    const nameBytes = socketAddressLength(family);
    this.offset = arena.allocate(count * MESSAGE_BYTES, 64);
    this.#names = arena.allocate(count * SOCKADDR_BYTES, 64);
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
    return this.#names + index * SOCKADDR_BYTES;
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

  /** Makes the message carry a segment size (0: none) and come from the local address behind its socket address. */
  setControls(index: number, segmentSize: number): void {
    const local = localAddressAt(this.name(index));
    const length = writeControls(this.#arena, this.#control(index), this.#family, segmentSize, local);
    this.setControlLength(index, length);
  }

  /** Whether the message is to come from a certain address of this machine. */
  hasLocalAddress(index: number): boolean {
    return isLocalAddressSet(this.#arena.view, localAddressAt(this.name(index)));
  }

  /** Puts the address that a received message came to behind its socket address. */
  takeLocalAddress(index: number): void {
    const local = localAddressAt(this.name(index));
    readLocalAddress(this.#arena, this.#control(index), this.controlLength(index), this.#family, local);
  }

  /** The 32-bit value of the UDP control message of this type that came with the message; 0 when there is none. */
  control32(index: number, type: number): number {
    return readControl32(this.#arena, this.#control(index), this.controlLength(index), SOL_UDP, type);
  }

  #control(index: number): number {
    return this.#controls + index * CONTROL_BYTES;
  }
}
