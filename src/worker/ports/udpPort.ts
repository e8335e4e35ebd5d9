/**
 * One worker's UDP socket: batches in, runs out, offloads as far as the kernel has them.
 *
 * Owned by one worker; `inbound` receives, `sender` reserves and commits, `dataPlane` flushes once per turn; `loop` waits
 * for writability while something is left over. See the two halves for their contracts.
 */
import { release } from 'node:os';
import { SOL_UDP, UDP_GRO, UDP_SEGMENT } from '../../shared/sys/abi.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import { libc } from '../../shared/sys/libc.ts';
import type { SocketFamily } from '../../shared/tunnel/socketAddress.ts';
import type { DatagramPort } from './contracts.ts';
import { UdpReceiver } from './udpReceiver.ts';
import { UdpSender } from './udpSender.ts';

export interface UdpPortOptions {
  readonly fd: number;
  readonly family: SocketFamily;
  /** Messages per receive call (`listen.batch`). */
  readonly batch: number;
  /** Whether to use UDP_SEGMENT and UDP_GRO where the kernel has them (`listen.udp_offloads`). */
  readonly offloads: boolean;
}

export class UdpPort implements DatagramPort {
  readonly receiver: UdpReceiver;
  readonly sender: UdpSender;
  /** Whether the kernel joins received datagrams. */
  readonly isGro: boolean;
  // The receiver's arrays, see there.
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  readonly segmentSizes: Uint32Array;
  readonly sources: Uint32Array;

  constructor(arena: Arena, options: UdpPortOptions) {
    const { fd, family } = options;
    // A batch of one is the operator's wish for the plainest path.
    this.isGro = options.offloads && options.batch > 1 && enableGro(arena, fd);
    this.receiver = new UdpReceiver(arena, fd, family, options.batch, this.isGro);
    const isSegmenting = options.offloads && canSegment(arena, fd);
    this.sender = new UdpSender(arena, fd, family, SEND_BYTES, isSegmenting);
    this.offsets = this.receiver.offsets;
    this.lengths = this.receiver.lengths;
    this.segmentSizes = this.receiver.segmentSizes;
    this.sources = this.receiver.sources;
  }

  receive(): number {
    return this.receiver.receive();
  }

  reserve(bytes: number): number {
    return this.sender.reserve(bytes);
  }

  commit(length: number, destination: number): void {
    this.sender.commit(length, destination);
  }

  endRun(): void {
    this.sender.endRun();
  }

  flush(): number {
    return this.sender.flush();
  }

  get droppedCount(): number {
    return this.sender.droppedCount;
  }

  get isSegmenting(): boolean {
    return this.sender.isSegmenting;
  }
}

/** Setting the default segment size to 0 changes nothing and fails where the option is unknown. */
function canSegment(arena: Arena, fd: number): boolean {
  return setUdpOption(arena, fd, UDP_SEGMENT, 0);
}

/** Kernels before 5.12 have the option, but other users of it met defects there: they are left alone. */
function enableGro(arena: Arena, fd: number): boolean {
  return isKernelSince(release(), 5, 12) && setUdpOption(arena, fd, UDP_GRO, 1);
}

function setUdpOption(arena: Arena, fd: number, name: number, value: number): boolean {
  const offset = arena.allocate(4, 4);
  arena.view.setInt32(offset, value, true);
  return libc.setsockopt(fd, SOL_UDP, name, arena.address + offset, 4) === 0;
}

/** Whether a release such as `6.1.0-18-amd64` is at least major.minor. */
export function isKernelSince(text: string, major: number, minor: number): boolean {
  const match = /^(\d+)\.(\d+)/.exec(text);
  const found = match === null ? 0 : Number(match[1]) * 1000 + Number(match[2]);
  return found >= major * 1000 + minor;
}

/** Eight full runs: more than one turn of the loop produces. */
const SEND_BYTES = 8 * 65_536;
