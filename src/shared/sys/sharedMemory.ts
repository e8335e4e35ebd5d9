/**
 * Memory shared by the primary and its workers: anonymous memfds, mapped by those processes that are handed the fd.
 *
 * The primary creates one and hands the fd to workers by stdio; the layout of what is inside belongs to `shared/memory`.
 * The size is sealed, so no process, not even a broken worker, can shrink the file under the others (which would end
 * them with SIGBUS). What only the primary may write is sealed against every later writer (Linux 5.1): its own mapping
 * stays, any other can only be read, and a write through it ends the writer with SIGSEGV. Mappings are left out of core
 * dumps: session keys are in them.
 */
import { check, Errno, lastErrno, libc, SysError, viewMemory } from './libc.ts';
import { sharedMapping } from './mapping.ts';

export interface SharedMemory {
  /** Close-on-exec here; a child inherits it only where it is named in its stdio. */
  readonly fd: number;
  readonly byteLength: number;
  /** A plain ArrayBuffer; Atomics on typed arrays over it are atomic across processes. Stays valid after fd is closed. */
  readonly buffer: ArrayBuffer;
  readonly address: number;
}

/** Creates zeroed memory of a fixed size that every holder of the fd may write. The name is only seen in /proc. Throws SysError. */
export function createSharedMemory(name: string, byteLength: number): SharedMemory {
  return create(name, byteLength, SEAL_SEAL | SEAL_SHRINK | SEAL_GROW);
}

/**
 * The same, but only the mapping that comes back can be written, by this process; `isSealed` says whether the kernel can
 * do that, else it is as writable as any.
 */
export function createSealedMemory(name: string, byteLength: number): SharedMemory & { readonly isSealed: boolean } {
  try {
    return { ...create(name, byteLength, SEAL_SEAL | SEAL_SHRINK | SEAL_GROW | SEAL_FUTURE_WRITE), isSealed: true };
  } catch (error) {
    if (error instanceof SysError && error.errno === Errno.EINVAL) {
      return { ...createSharedMemory(name, byteLength), isSealed: false };
    }
    throw error;
  }
}

/** Maps the whole of a memory that another process created. Throws SysError: EPERM when it is sealed against writing. */
export function mapSharedMemory(fd: number): SharedMemory {
  return map(fd, true);
}

/** The same for reading. A write to the buffer ends this process. */
export function mapReadOnly(fd: number): SharedMemory {
  return map(fd, false);
}

function create(name: string, byteLength: number, seals: number): SharedMemory {
  const fd = createMemfd(name);
  try {
    check(libc.ftruncate(fd, byteLength), 'ftruncate', `sizing shared memory to ${byteLength} bytes`);
    // Mapped first: a seal against future writers spares the mappings that there are.
    const memory = map(fd, true);
    check(libc.fcntl(fd, ADD_SEALS, seals), 'fcntl(F_ADD_SEALS)');
    return memory;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function map(fd: number, isWritable: boolean): SharedMemory {
  const byteLength = check(libc.lseek(fd, 0, SEEK_END), 'lseek', 'reading the size of shared memory');
  const address = sharedMapping(fd, byteLength, isWritable);
  return { fd, byteLength, address, buffer: viewMemory(address, byteLength) };
}

/** Kernels from 6.3 on want to be told whether the file may be executed; older ones do not know the flag. */
function createMemfd(name: string): number {
  const flags = MFD_CLOEXEC | ALLOW_SEALING;
  const fd = libc.memfdCreate(name, flags | NO_EXEC_SEAL);
  if (fd !== -1) {
    return fd;
  }
  const errno = lastErrno();
  if (errno !== Errno.EINVAL) {
    throw new SysError('memfd_create', errno);
  }
  return check(libc.memfdCreate(name, flags), 'memfd_create');
}

const MFD_CLOEXEC = 1;
const ALLOW_SEALING = 2;
const NO_EXEC_SEAL = 8;
const ADD_SEALS = 1033;
const SEAL_SEAL = 1;
const SEAL_SHRINK = 2;
const SEAL_GROW = 4;
const SEAL_FUTURE_WRITE = 16;
const SEEK_END = 2;
