/**
 * The primary's own way onto the underlay: it sends on its copy of socket 0, one datagram a call.
 *
 * For handshakes, punches and the primary's sealed messages only; data never passes here. A datagram that cannot be
 * sent is counted, never retried: the state machine behind it has its own timers. No call waits: the socket is shared
 * with a worker, which may have made it blocking.
 */
import type { Endpoint } from '../../shared/ip/address.ts';
import { writeMapped } from '../../shared/ip/address.ts';
import { MSG_DONTWAIT } from '../../shared/sys/abi.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import { Errno, lastErrno, libc } from '../../shared/sys/libc.ts';
import { CONTROL_BYTES, isLocalAddressSet, writeControls } from '../../shared/tunnel/controls.ts';
import { SEAL_OVERHEAD_BYTES } from '../../shared/tunnel/seal.ts';
import {
  localAddressAt,
  SOCKADDR_BYTES,
  type SocketFamily,
  socketAddressLength,
  writeLocalAddress,
  writeSocketAddress,
} from '../../shared/tunnel/socketAddress.ts';
import { HEADER_BYTES } from '../../shared/wire/header.ts';

/** The largest UDP payload over IPv4. */
const PAYLOAD_BYTES_MAX = 65507;

/** Knows to which endpoints no datagram may be sent. */
export interface EndpointGuard {
  /** Whether the machine would send to it through the overlay itself. */
  isLoop(endpoint: Endpoint): boolean;
}

/** The system calls and their errno, so that a test can play the kernel. */
export interface SendCall {
  sendto(fd: number, bytes: number, length: number, flags: number, name: number, nameLength: number): number;
  sendmmsg(fd: number, messages: number, count: number, flags: number): number;
  lastErrno(): number;
}

export class Underlay {
  readonly arena: Arena;
  /** Arena offset of `PAYLOAD_BYTES_MAX` bytes in which a caller may build a packet for `sendBuilt`. */
  readonly buffer: number;
  readonly #fd: number;
  readonly #family: SocketFamily;
  readonly #destination: number;
  /** One mmsghdr, its iovec and its control messages (layouts: `worker/ports/messages.ts`). */
  readonly #message: number;
  readonly #mapped = new Uint8Array(16);
  readonly #guard: EndpointGuard | null;
  readonly #call: SendCall;

  /** `guard` is asked before each datagram to an endpoint. */
  constructor(
    fd: number,
    family: SocketFamily,
    arena: Arena,
    guard: EndpointGuard | null = null,
    call: SendCall = KERNEL,
  ) {
    this.#guard = guard;
    this.arena = arena;
    this.#call = call;
    this.#fd = fd;
    this.#family = family;
    this.buffer = arena.allocate(PAYLOAD_BYTES_MAX, 64);
    this.#destination = arena.allocate(SOCKADDR_BYTES, 64);
    this.#message = arena.allocate(MESSAGE_BYTES + IOVEC_BYTES + CONTROL_BYTES, 64);
  }

  /** Sends a copy of `bytes`; returns 0 or an errno. */
  send(endpoint: Endpoint, bytes: Uint8Array): number {
    return this.arena.copyIn(bytes, this.buffer, PAYLOAD_BYTES_MAX)
      ? this.sendBuilt(endpoint, bytes.length)
      : Errno.EMSGSIZE;
  }

  /** Puts a body where `sealPacket` finds it, behind a header at `buffer`; false when it is longer than any packet. */
  placeBody(body: Uint8Array): boolean {
    return this.arena.copyIn(body, this.buffer + HEADER_BYTES, PAYLOAD_BYTES_MAX - SEAL_OVERHEAD_BYTES);
  }

  /** Sends `length` bytes that the caller built at `buffer`; returns 0 or an errno. */
  sendBuilt(endpoint: Endpoint, length: number): number {
    if (this.#guard?.isLoop(endpoint) === true) {
      return Errno.ELOOP;
    }
    const destination = this.address(endpoint);
    return destination < 0 ? UNREACHABLE_FAMILY : this.sendTo(destination, length);
  }

  /**
   * Sends `length` bytes at `buffer` to the socket address at arena offset `destination`, from the local address behind
   * it; from any when this machine has that one no more. Returns 0 or an errno.
   */
  sendTo(destination: number, length: number): number {
    if (isLocalAddressSet(this.arena.view, localAddressAt(destination)) && this.#sendFrom(destination, length)) {
      return 0;
    }
    const { address } = this.arena;
    const sent = this.#call.sendto(
      this.#fd,
      address + this.buffer,
      length,
      MSG_DONTWAIT,
      address + destination,
      socketAddressLength(this.#family),
    );
    return sent < 0 ? this.#call.lastErrno() : 0;
  }

  /** With the local address as a control message: a single message of sendmmsg. */
  #sendFrom(destination: number, length: number): boolean {
    const { arena } = this;
    const message = this.#message;
    const iovec = message + MESSAGE_BYTES;
    const control = iovec + IOVEC_BYTES;
    const controlLength = writeControls(arena, control, this.#family, 0, localAddressAt(destination));
    arena.writePointer(message, destination);
    arena.view.setUint32(message + 8, socketAddressLength(this.#family), true);
    arena.writePointer(message + 16, iovec);
    arena.view.setUint32(message + 24, 1, true);
    arena.writePointer(message + 32, control);
    arena.view.setUint32(message + 40, controlLength, true);
    arena.writePointer(iovec, this.buffer);
    arena.view.setUint32(iovec + 8, length, true);
    return this.#call.sendmmsg(this.#fd, arena.address + message, 1, MSG_DONTWAIT) === 1;
  }

  /** Arena offset of the endpoint's socket address, valid until the next call; -1 when the socket cannot reach it. */
  address(endpoint: Endpoint): number {
    writeMapped(endpoint.address, this.#mapped, 0);
    const isReachable = writeSocketAddress(this.arena, this.#destination, this.#family, this.#mapped, 0, endpoint.port);
    if (endpoint.local !== undefined) {
      writeMapped(endpoint.local, this.#mapped, 0);
      writeLocalAddress(this.arena, this.#destination, this.#mapped, 0);
    }
    return isReachable ? this.#destination : -1;
  }
}

const KERNEL: SendCall = { sendto: libc.sendto, sendmmsg: libc.sendmmsg, lastErrno };
const MESSAGE_BYTES = 64;
const IOVEC_BYTES = 16;

/** EAFNOSUPPORT: an IPv6 endpoint from an IPv4 socket. */
const UNREACHABLE_FAMILY = 97;
