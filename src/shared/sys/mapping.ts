/**
 * Memory mappings: low ones for arenas, shared ones of a memfd, and a second mapping of the same pages elsewhere.
 * Mappings are kept out of core dumps.
 *
 * Whoever maps owns the address and sees the bytes through `viewMemory`. Nothing is ever unmapped while a view may be
 * in use: a read through a view whose mapping is gone ends the process.
 */
import { randomInt } from 'node:crypto';
import { check, libc } from './libc.ts';

/**
 * Zeroed lazy pages of this process below 2^31 where there is room, else anywhere; returns their address.
 *
 * Below 2^31 an address is an integer that V8 keeps in a register. A larger one is a double, which each foreign call
 * boxes: 16 bytes of garbage and about 4 ns per argument, 64–134 bytes and 30–40 ns per packet (Node 20, x86-64, 2026).
 * The first place tried is random, as the addresses of untrusted bytes should not be known. The pages count as shared,
 * so that `mapAgain` can show them at a second address; no other process sees them.
 */
export function lowMapping(byteLength: number): number {
  const flags = MAP_SHARED | MAP_ANONYMOUS;
  const highest = LOW_LIMIT - byteLength;
  const start = highest - randomInt(SPREAD_BYTES / GRANULE) * GRANULE;
  for (let hint = start - (start % GRANULE); hint >= LOW_FLOOR; hint -= STEP_BYTES) {
    const address = libc.mmap(hint, byteLength, READ_WRITE, flags | FIXED_NO_REPLACE, -1, 0);
    if (address === hint) {
      return withoutDump(address, byteLength);
    }
    if (address !== -1) {
      // Kernels before 4.17 take the flag for nothing and the address for a wish.
      libc.munmap(address, byteLength);
    }
  }
  const doing = `reserving ${byteLength} bytes of memory`;
  return withoutDump(check(libc.mmap(0, byteLength, READ_WRITE, flags, -1, 0), 'mmap', doing), byteLength);
}

/**
 * Shows the pages of a `lowMapping` at `target` too, in place of what is mapped there; false when the kernel refuses,
 * and then nothing may be mapped there. (mremap(2): an old size of zero makes a new mapping of the same shared pages.)
 */
export function mapAgain(address: number, byteLength: number, target: number): boolean {
  if (libc.mremap(address, 0, byteLength, MAY_MOVE | REMAP_FIXED, target) !== target) {
    return false;
  }
  withoutDump(target, byteLength);
  return true;
}

/**
 * Frees the whole pages of a `lowMapping` between two addresses; they are zero afterwards. Pages that count as shared are
 * not freed by MADV_DONTNEED, only by a hole in them. A kernel that refuses keeps them.
 */
export function giveBackPages(start: number, end: number): void {
  const first = Math.ceil(start / GRANULE) * GRANULE;
  const last = Math.floor(end / GRANULE) * GRANULE;
  if (first < last) {
    libc.madvise(first, last - first, ADVISE_REMOVE);
  }
}

/** Pages shared with every process that maps the same fd; returns their address. */
export function sharedMapping(fd: number, byteLength: number, isWritable: boolean): number {
  const address = check(
    libc.mmap(0, byteLength, isWritable ? READ_WRITE : READ_ONLY, MAP_SHARED, fd, 0),
    'mmap',
    `mapping ${byteLength} bytes of shared memory`,
  );
  return withoutDump(address, byteLength);
}

function withoutDump(address: number, byteLength: number): number {
  check(libc.madvise(address, byteLength, ADVISE_DONT_DUMP), 'madvise');
  return address;
}

/** The last address is left out, so that the end of a mapping is below 2^31 too. */
const LOW_LIMIT = 0x7fff_0000;
/** Where executables that are not position-independent lie, and the heap behind them begins to grow. */
const LOW_FLOOR = 0x1000_0000;
const SPREAD_BYTES = 0x1000_0000;
const STEP_BYTES = 0x0200_0000;
/** The largest page size of the supported architectures. */
const GRANULE = 0x1_0000;

const READ_ONLY = 1;
const READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_ANONYMOUS = 0x20;
const FIXED_NO_REPLACE = 0x10_0000;
const MAY_MOVE = 1;
const REMAP_FIXED = 2;
const ADVISE_REMOVE = 9;
const ADVISE_DONT_DUMP = 16;
