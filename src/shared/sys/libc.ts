/**
 * The one place that declares functions of the C library, each with fixed argument types.
 *
 * Pointers are `uintptr_t` and travel as Numbers: a user-space address fits 47 bits, and a Number costs 39 ns per call
 * where a BigInt costs 58 and a Buffer 69 (2-core x86-64, koffi 3.3, 2026). The variadic ones (`open`, `ioctl`, `fcntl`,
 * `prctl`, `mremap`, `syscall`) are declared with the arguments used here: on the 64-bit Linux ABIs that Node supports, integer
 * arguments behind the `...` travel in the same registers. A function that fails returns -1 and `lastErrno()` says why; it must
 * be asked before anything else is called.
 */
import koffi from 'koffi';
import { O_NONBLOCK } from './abi.ts';
import { SysError } from './sysError.ts';

export { Errno, NEEDS_NET_ADMIN, SysError } from './sysError.ts';

/** Architectures that share the struct layouts, constants and ioctl numbers used in this folder. */
const SUPPORTED_ARCHITECTURES = ['x64', 'arm64', 'riscv64', 'loong64'];

if (process.platform !== 'linux' || !SUPPORTED_ARCHITECTURES.includes(process.arch)) {
  throw new Error(
    `weft runs on Linux on ${SUPPORTED_ARCHITECTURES.join(', ')}, not on ${process.platform} ${process.arch}`,
  );
}

const library = koffi.load(null);

/** Addresses are Numbers; results are Numbers, -1 on failure. */
export const libc = {
  open: declare<(path: string, flags: number, mode: number) => number>('open', 'int', ['str', 'int', 'uint']),
  close: declare<(fd: number) => number>('close', 'int', ['int']),
  read: declare<(fd: number, address: number, length: number) => number>('read', 'intptr_t', [
    'int',
    'uintptr_t',
    'size_t',
  ]),
  write: declare<(fd: number, address: number, length: number) => number>('write', 'intptr_t', [
    'int',
    'uintptr_t',
    'size_t',
  ]),
  writev: declare<(fd: number, iov: number, count: number) => number>('writev', 'intptr_t', [
    'int',
    'uintptr_t',
    'int',
  ]),
  ioctl: declare<(fd: number, request: number, argument: number) => number>('ioctl', 'int', [
    'int',
    'ulong',
    'uintptr_t',
  ]),
  fcntl: declare<(fd: number, command: number, argument: number) => number>('fcntl', 'int', ['int', 'int', 'long']),
  eventfd: declare<(initial: number, flags: number) => number>('eventfd', 'int', ['uint', 'int']),
  pipe2: declare<(fdsAddress: number, flags: number) => number>('pipe2', 'int', ['uintptr_t', 'int']),
  mknod: declare<(path: string, mode: number, device: number) => number>('mknod', 'int', ['str', 'uint', 'uint64_t']),

  unshare: declare<(flags: number) => number>('unshare', 'int', ['int']),
  setns: declare<(fd: number, type: number) => number>('setns', 'int', ['int', 'int']),
  mount: declare<(source: string, target: string, type: string, flags: number, data: number) => number>(
    'mount',
    'int',
    ['str', 'str', 'str', 'ulong', 'uintptr_t'],
  ),
  umount: declare<(target: string, flags: number) => number>('umount2', 'int', ['str', 'int']),

  mmap: declare<
    (address: number, length: number, protection: number, flags: number, fd: number, offset: number) => number
  >('mmap', 'intptr_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']),
  munmap: declare<(address: number, length: number) => number>('munmap', 'int', ['uintptr_t', 'size_t']),
  mremap: declare<(address: number, length: number, newLength: number, flags: number, newAddress: number) => number>(
    'mremap',
    'intptr_t',
    ['uintptr_t', 'size_t', 'size_t', 'int', 'uintptr_t'],
  ),
  madvise: declare<(address: number, length: number, advice: number) => number>('madvise', 'int', [
    'uintptr_t',
    'size_t',
    'int',
  ]),
  memfdCreate: declare<(name: string, flags: number) => number>('memfd_create', 'int', ['str', 'uint']),
  lseek: declare<(fd: number, offset: number, whence: number) => number>('lseek', 'int64_t', ['int', 'int64_t', 'int']),
  ftruncate: declare<(fd: number, length: number) => number>('ftruncate', 'int', ['int', 'int64_t']),

  socket: declare<(domain: number, type: number, protocol: number) => number>('socket', 'int', ['int', 'int', 'int']),
  socketpair: declare<(domain: number, type: number, protocol: number, fds: number) => number>('socketpair', 'int', [
    'int',
    'int',
    'int',
    'uintptr_t',
  ]),
  bind: declare<(fd: number, address: number, length: number) => number>('bind', 'int', ['int', 'uintptr_t', 'uint']),
  listen: declare<(fd: number, backlog: number) => number>('listen', 'int', ['int', 'int']),
  getsockname: declare<(fd: number, address: number, lengthAddress: number) => number>('getsockname', 'int', [
    'int',
    'uintptr_t',
    'uintptr_t',
  ]),
  setsockopt: declare<(fd: number, level: number, name: number, value: number, length: number) => number>(
    'setsockopt',
    'int',
    ['int', 'int', 'int', 'uintptr_t', 'uint'],
  ),
  getsockopt: declare<(fd: number, level: number, name: number, value: number, lengthAddress: number) => number>(
    'getsockopt',
    'int',
    ['int', 'int', 'int', 'uintptr_t', 'uintptr_t'],
  ),
  send: declare<(fd: number, address: number, length: number, flags: number) => number>('send', 'intptr_t', [
    'int',
    'uintptr_t',
    'size_t',
    'int',
  ]),
  sendto: declare<(fd: number, address: number, length: number, flags: number, to: number, toLength: number) => number>(
    'sendto',
    'intptr_t',
    ['int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'uint'],
  ),
  recv: declare<(fd: number, address: number, length: number, flags: number) => number>('recv', 'intptr_t', [
    'int',
    'uintptr_t',
    'size_t',
    'int',
  ]),
  sendmmsg: declare<(fd: number, messages: number, count: number, flags: number) => number>('sendmmsg', 'int', [
    'int',
    'uintptr_t',
    'uint',
    'int',
  ]),
  recvmmsg: declare<(fd: number, messages: number, count: number, flags: number, timeout: number) => number>(
    'recvmmsg',
    'int',
    ['int', 'uintptr_t', 'uint', 'int', 'uintptr_t'],
  ),

  clockGettime: declare<(clock: number, address: number) => number>('clock_gettime', 'int', ['int', 'uintptr_t']),

  setgroups: declare<(count: number, list: number) => number>('setgroups', 'int', ['size_t', 'uintptr_t']),
  setresgid: declare<(real: number, effective: number, saved: number) => number>('setresgid', 'int', [
    'uint',
    'uint',
    'uint',
  ]),
  setresuid: declare<(real: number, effective: number, saved: number) => number>('setresuid', 'int', [
    'uint',
    'uint',
    'uint',
  ]),
  prctl: declare<(option: number, two: number, three: number, four: number, five: number) => number>('prctl', 'int', [
    'int',
    'ulong',
    'ulong',
    'ulong',
    'ulong',
  ]),
  getppid: declare<() => number>('getppid', 'int', []),
  setrlimit: declare<(resource: number, limit: number) => number>('setrlimit', 'int', ['int', 'uintptr_t']),
  capget: declare<(header: number, sets: number) => number>('capget', 'int', ['uintptr_t', 'uintptr_t']),
  capset: declare<(header: number, sets: number) => number>('capset', 'int', ['uintptr_t', 'uintptr_t']),
  /** For calls that the C library has no function for; three arguments are enough for those. */
  syscall: declare<(number: number, one: number, two: number, three: number) => number>('syscall', 'long', [
    'long',
    'long',
    'long',
    'long',
  ]),
} as const;

/** errno of the libc call made just before. */
export function lastErrno(): number {
  return koffi.errno();
}

/** Passes a result through, or throws what the failed call left in errno. */
export function check(result: number, call: string, doing: string = '', remedy: string = ''): number {
  if (result === -1) {
    throw new SysError(call, koffi.errno(), doing, remedy);
  }
  return result;
}

/** Makes an open file non-blocking, for every process that shares it. Throws SysError. */
export function keepNonBlocking(fd: number): void {
  const flags = check(libc.fcntl(fd, GET_STATUS_FLAGS, 0), 'fcntl(F_GETFL)');
  check(libc.fcntl(fd, SET_STATUS_FLAGS, flags | O_NONBLOCK), 'fcntl(F_SETFL)');
}

/** The bytes at an address as an ArrayBuffer without copying. The mapping must stay for as long as the view is used. */
export function viewMemory(address: number, byteLength: number): ArrayBuffer {
  return koffi.view(address, byteLength);
}

/** Where the bytes of a buffer lie. Only for buffers that never move, such as a WebAssembly memory's. */
export function addressOf(buffer: ArrayBuffer): number {
  return Number(koffi.address(buffer));
}

const GET_STATUS_FLAGS = 3;
const SET_STATUS_FLAGS = 4;

function declare<F>(name: string, result: string, parameters: string[]): F {
  return library.func(name, result, parameters) as unknown as F;
}
