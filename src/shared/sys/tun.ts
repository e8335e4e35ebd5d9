/**
 * Opening a tun device: one file descriptor per queue, offloads negotiated, nobody else attached.
 *
 * The primary calls it once at start, with privilege (CAP_NET_ADMIN). The device lives as long as one of its fds is
 * open. Facts: Linux `Documentation/networking/tuntap.rst` and `uapi/linux/if_tun.h`; Nebula protocol: opening the tun.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { O_CLOEXEC, O_NONBLOCK, O_RDWR } from './abi.ts';
import { DEVICE_NAME_WORDS, isDeviceName } from './deviceName.ts';
import { check, Errno, lastErrno, libc, NEEDS_NET_ADMIN, SysError } from './libc.ts';
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
export function openTunQueues(request: TunRequest, devicePath: string = DEVICE_PATH): TunQueues {
  if (!isDeviceName(request.name)) {
    throw new RangeError(`tun device name ${JSON.stringify(request.name)}: expected ${DEVICE_NAME_WORDS}`);
  }
  if (!Number.isInteger(request.queues) || request.queues < 1 || request.queues > QUEUES_MAX) {
    throw new RangeError(`a tun device has 1 to ${QUEUES_MAX} queues, not ${request.queues}`);
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
  clearScratch(INTERFACE_REQUEST_BYTES);
  return libc.ioctl(fd, TUN_GET_INTERFACE, scratch.address) === 0;
}

/** Null when the kernel takes none of our offload masks: then nothing is open any more. */
function openOffloaded(request: TunRequest, devicePath: string): TunQueues | null {
  let opened: { name: string; fds: number[] };
  try {
    opened = openFds(request, FLAG_VNET_HEADER, devicePath);
  } catch (error) {
    if (error instanceof SysError && error.errno === Errno.EINVAL) {
      return null;
    }
    throw error;
  }
  // One queue with another mask would switch offloads off for the whole device: all take the mask, or none.
  for (const mask of [OFFLOAD_TCP | OFFLOAD_UDP, OFFLOAD_TCP]) {
    if (opened.fds.every((fd) => libc.ioctl(fd, TUN_SET_OFFLOAD, mask) === 0)) {
      return { ...opened, offload: { vnetHeader: true, tso: true, uso: (mask & OFFLOAD_UDP) !== 0 } };
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
      let flags = FLAG_TUN | FLAG_NO_PACKET_INFO | extraFlags;
      flags |= request.queues > 1 ? FLAG_MULTI_QUEUE : 0;
      // The first queue must create the device: a second node cannot slip into an existing one.
      flags |= queue === 0 ? FLAG_EXCLUSIVE : 0;
      name = attach(fd, name, flags);
    }
    return { name, fds };
  } catch (error) {
    closeAll(fds);
    throw error;
  }
}

function openDevice(devicePath: string): number {
  const fd = libc.open(devicePath, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd !== -1) {
    return fd;
  }
  const errno = lastErrno();
  const isForbidden = errno === Errno.EACCES || errno === Errno.EPERM;
  throw new SysError(
    'open',
    errno,
    `opening ${devicePath}`,
    isForbidden ? MAY_OPEN_DEVICE : 'is the tun module loaded (modprobe tun)?',
  );
}

/** TUNSETIFF; returns the device's name. */
function attach(fd: number, name: string, flags: number): string {
  clearScratch(INTERFACE_REQUEST_BYTES);
  new TextEncoder().encodeInto(name, scratch.bytes);
  scratch.view.setUint16(INTERFACE_NAME_BYTES, flags, true);
  if (libc.ioctl(fd, TUN_SET_INTERFACE, scratch.address) === 0) {
    const end = scratch.bytes.indexOf(0);
    return new TextDecoder().decode(scratch.bytes.subarray(0, Math.min(end, INTERFACE_NAME_BYTES)));
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
      return NEEDS_NET_ADMIN;
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
  if (libc.mknod(devicePath, CHARACTER_DEVICE | 0o600, TUN_DEVICE_NUMBER) === -1) {
    const errno = lastErrno();
    if (errno !== Errno.EEXIST) {
      throw new SysError('mknod', errno, `${devicePath} is missing and cannot be made`, MAKES_DEVICE);
    }
  }
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) {
    check(libc.close(fd), 'close');
  }
}

const DEVICE_PATH = '/dev/net/tun';
const MAY_OPEN_DEVICE = 'this needs root; in a container, start it with --device /dev/net/tun';
const MAKES_DEVICE = 'making it needs root and CAP_MKNOD; in a container, start it with --device /dev/net/tun instead';
/** MAX_TAP_QUEUES of the kernel. */
const QUEUES_MAX = 256;

const CHARACTER_DEVICE = 0o020000;
const TUN_DEVICE_NUMBER = (10 << 8) | 200;

/** struct ifreq: 16 bytes of name, then a union. */
const INTERFACE_REQUEST_BYTES = 40;
const INTERFACE_NAME_BYTES = 16;
const TUN_SET_INTERFACE = 0x400454ca;
const TUN_GET_INTERFACE = 0x800454d2;
const TUN_SET_OFFLOAD = 0x400454d0;

const FLAG_TUN = 0x0001;
const FLAG_NO_PACKET_INFO = 0x1000;
const FLAG_VNET_HEADER = 0x4000;
const FLAG_MULTI_QUEUE = 0x0100;
const FLAG_EXCLUSIVE = 0x8000;

/** Checksum, TSO4, TSO6, TSO_ECN. */
const OFFLOAD_TCP = 0x01 | 0x02 | 0x04 | 0x08;
/** USO4, USO6. */
const OFFLOAD_UDP = 0x20 | 0x40;
