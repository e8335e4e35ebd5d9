/**
 * Memory shared by the primary and its workers: one anonymous memfd, mapped by every process.
 *
 * The primary creates it and hands the fd to each worker by stdio; the layout of what is inside belongs to
 * `shared/memory`. The size is sealed, so no process, not even a broken worker, can shrink the file under the others
 * (which would end them with SIGBUS). The mapping is left out of core dumps: session keys are in it.
 */
import { check, Errno, lastErrno, libc, SysError, viewMemory } from './libc.ts';
import { sharedMapping } from './mapping.ts';

export interface SharedMemory {
  /** Close-on-exec here; a child inherits it only where it is named in its stdio. */
  readonly fd: number;
  /** A plain ArrayBuffer; Atomics on typed arrays over it are atomic across processes. Stays valid after fd is closed. */
  readonly buffer: ArrayBuffer;
  readonly address: number;
}

/** Creates zeroed memory of a fixed size. The name is only seen in /proc. Throws SysError. */
export function createSharedMemory(name: string, byteLength: number): SharedMemory {
  const fd = createMemfd(name);
  try {
    check(libc.ftruncate(fd, byteLength), 'ftruncate', `sizing shared memory to ${byteLength} bytes`);
    check(libc.fcntl(fd, AddSeals, SealSeal | SealShrink | SealGrow), 'fcntl(F_ADD_SEALS)');
    return mapSharedMemory(fd, byteLength);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** Maps memory that another process created. Throws SysError, and RangeError when the file is not that large. */
export function mapSharedMemory(fd: number, byteLength: number): SharedMemory {
  const actual = check(libc.lseek(fd, 0, SeekEnd), 'lseek', 'reading the size of shared memory');
  if (actual < byteLength) {
    throw new RangeError(`shared memory has ${actual} bytes where ${byteLength} were expected`);
  }
  const address = sharedMapping(fd, byteLength);
  return { fd, address, buffer: viewMemory(address, byteLength) };
}

/** Kernels from 6.3 on want to be told whether the file may be executed; older ones do not know the flag. */
function createMemfd(name: string): number {
  const flags = CloseOnExec | AllowSealing;
  const fd = libc.memfdCreate(name, flags | NoExecSeal);
  if (fd !== -1) {
    return fd;
  }
  const errno = lastErrno();
  if (errno !== Errno.EINVAL) {
    throw new SysError('memfd_create', errno);
  }
  return check(libc.memfdCreate(name, flags), 'memfd_create');
}

const CloseOnExec = 1;
const AllowSealing = 2;
const NoExecSeal = 8;
const AddSeals = 1033;
const SealSeal = 1;
const SealShrink = 2;
const SealGrow = 4;
const SeekEnd = 2;
