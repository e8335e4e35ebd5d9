/**
 * Opening a tun device: one file descriptor per queue, offloads negotiated, nobody else attached.
 *
 * The primary calls it once at start, with privilege (CAP_NET_ADMIN). The device lives as long as one of its fds is
 * open. Facts: Linux `Documentation/networking/tuntap.rst` and `uapi/linux/if_tun.h`; Nebula protocol: opening the tun.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { deviceNameWords, isDeviceName } from './deviceName.ts';
import { check, Errno, lastErrno, libc, NeedsNetAdmin, SysError } from './libc.ts';
import { clearScratch, scratch } from './scratch.ts';

export interface TunRequest {
  /** '' lets the kernel choose; a `%d` in it becomes the first free number. */
  readonly name: string;
  /** Number of queues and so of fds, at least 1. */
  readonly queues: number;
  /** Whether packets shall carry a virtio header and may be super-packets, as far as the kernel can. */
  readonly offloads: boolean;
}

export interface TunOffload {
  /** Every read and write starts with the 10-byte virtio header. False: plain packets. */
  readonly vnetHeader: boolean;
  /** TCP super-packets (IPv4 and IPv6, checksum left to us). */
  readonly tso: boolean;
  /** UDP super-packets (Linux 6.2 and later). */
  readonly uso: boolean;
}

export interface TunQueues {
  /** The name that the kernel gave. */
  readonly name: string;
  /** One per queue, non-blocking, close-on-exec. */
  readonly fds: readonly number[];
  readonly offload: TunOffload;
}

/** Opens all queues or none. Throws SysError (and RangeError for a name or count that cannot be). */
export function openTunQueues(request: TunRequest, devicePath: string = DevicePath): TunQueues {
  if (!isDeviceName(request.name)) {
    throw new RangeError(`tun device name ${JSON.stringify(request.name)}: expected ${deviceNameWords}`);
  }
  if (!Number.isInteger(request.queues) || request.queues < 1 || request.queues > QueuesMax) {
    throw new RangeError(`a tun device has 1 to ${QueuesMax} queues, not ${request.queues}`);
  }
  ensureDeviceNode(devicePath);
  if (request.offloads) {
    const queues = openOffloaded(request, devicePath);
    if (queues !== null) {
      return queues;
    }
  }
  const { name, fds } = openFds(request, 0, devicePath);
  return { name, fds, offload: { vnetHeader: false, tso: false, uso: false } };
}

/** Whether a queue still belongs to a device: not after somebody deleted it. */
export function isTunAttached(fd: number): boolean {
  clearScratch(InterfaceRequestBytes);
  return libc.ioctl(fd, TunGetInterface, scratch.address) === 0;
}

/** Null when the kernel takes none of our offload masks: then nothing is open any more. */
function openOffloaded(request: TunRequest, devicePath: string): TunQueues | null {
  let opened: { name: string; fds: number[] };
  try {
    opened = openFds(request, FlagVnetHeader, devicePath);
  } catch (error) {
    if (error instanceof SysError && error.errno === Errno.EINVAL) {
      return null;
    }
    throw error;
  }
  // One queue with another mask would switch offloads off for the whole device: all take the mask, or none.
  for (const mask of [OffloadTcp | OffloadUdp, OffloadTcp]) {
    if (opened.fds.every((fd) => libc.ioctl(fd, TunSetOffload, mask) === 0)) {
      return { ...opened, offload: { vnetHeader: true, tso: true, uso: (mask & OffloadUdp) !== 0 } };
    }
  }
  closeAll(opened.fds);
  return null;
}

function openFds(request: TunRequest, extraFlags: number, devicePath: string): { name: string; fds: number[] } {
  const fds: number[] = [];
  let name = request.name;
  try {
    for (let queue = 0; queue < request.queues; queue++) {
      const fd = openDevice(devicePath);
      fds.push(fd);
      let flags = FlagTun | FlagNoPacketInfo | extraFlags;
      flags |= request.queues > 1 ? FlagMultiQueue : 0;
      // The first queue must create the device: a second node cannot slip into an existing one.
      flags |= queue === 0 ? FlagExclusive : 0;
      name = attach(fd, name, flags);
    }
    return { name, fds };
  } catch (error) {
    closeAll(fds);
    throw error;
  }
}

function openDevice(devicePath: string): number {
  const fd = libc.open(devicePath, ReadWrite | NonBlocking | CloseOnExec, 0);
  if (fd !== -1) {
    return fd;
  }
  const errno = lastErrno();
  const isForbidden = errno === Errno.EACCES || errno === Errno.EPERM;
  throw new SysError(
    'open',
    errno,
    `opening ${devicePath}`,
    isForbidden ? MayOpenDevice : 'is the tun module loaded (modprobe tun)?',
  );
}

/** TUNSETIFF; returns the device's name. */
function attach(fd: number, name: string, flags: number): string {
  clearScratch(InterfaceRequestBytes);
  new TextEncoder().encodeInto(name, scratch.bytes);
  scratch.view.setUint16(InterfaceNameBytes, flags, true);
  if (libc.ioctl(fd, TunSetInterface, scratch.address) === 0) {
    const end = scratch.bytes.indexOf(0);
    return new TextDecoder().decode(scratch.bytes.subarray(0, Math.min(end, InterfaceNameBytes)));
  }
  const errno = lastErrno();
  throw new SysError('ioctl(TUNSETIFF)', errno, `creating tun device ${name}`, attachRemedy(errno));
}

function attachRemedy(errno: number): string {
  switch (errno) {
    case Errno.EBUSY:
      return 'a device of this name exists: another node uses it, or it was made beforehand; choose another tun.dev';
    case Errno.EPERM:
    case Errno.EACCES:
      return NeedsNetAdmin;
    case Errno.E2BIG:
      return 'the kernel does not allow so many queues; lower routines';
    default:
      return '';
  }
}

/** The device node as the kernel documents it (character device 10:200), made for root only when it is missing. */
function ensureDeviceNode(devicePath: string): void {
  if (existsSync(devicePath)) {
    return;
  }
  try {
    mkdirSync(dirname(devicePath), { mode: 0o755 });
  } catch {
    // The next call says what is wrong, in the words of this file.
  }
  if (libc.mknod(devicePath, CharacterDevice | 0o600, TunDeviceNumber) === -1) {
    const errno = lastErrno();
    if (errno !== Errno.EEXIST) {
      throw new SysError('mknod', errno, `${devicePath} is missing and cannot be made`, MakesDevice);
    }
  }
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) {
    check(libc.close(fd), 'close');
  }
}

const DevicePath = '/dev/net/tun';
const MayOpenDevice = 'this needs root; in a container, start it with --device /dev/net/tun';
const MakesDevice = 'making it needs root and CAP_MKNOD; in a container, start it with --device /dev/net/tun instead';
/** MAX_TAP_QUEUES of the kernel. */
const QueuesMax = 256;

const ReadWrite = 2;
const NonBlocking = 0o4000;
const CloseOnExec = 0o2000000;
const CharacterDevice = 0o020000;
const TunDeviceNumber = (10 << 8) | 200;

/** struct ifreq: 16 bytes of name, then a union. */
const InterfaceRequestBytes = 40;
const InterfaceNameBytes = 16;
const TunSetInterface = 0x400454ca;
const TunGetInterface = 0x800454d2;
const TunSetOffload = 0x400454d0;

const FlagTun = 0x0001;
const FlagNoPacketInfo = 0x1000;
const FlagVnetHeader = 0x4000;
const FlagMultiQueue = 0x0100;
const FlagExclusive = 0x8000;

/** Checksum, TSO4, TSO6, TSO_ECN. */
const OffloadTcp = 0x01 | 0x02 | 0x04 | 0x08;
/** USO4, USO6. */
const OffloadUdp = 0x20 | 0x40;
