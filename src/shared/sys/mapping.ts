/**
 * Memory mappings: private ones for arenas, shared ones of a memfd. Mappings are kept out of core dumps.
 *
 * Whoever maps owns the address and sees the bytes through `viewMemory`. Nothing is ever unmapped while a view may be
 * in use: a read through a view whose mapping is gone ends the process.
 */
import { check, libc } from './libc.ts';

/** Zeroed private pages; returns their address. */
export function anonymousMapping(byteLength: number): number {
  const address = check(
    libc.mmap(0, byteLength, ProtectRead | ProtectWrite, MapPrivate | MapAnonymous, -1, 0),
    'mmap',
    `reserving ${byteLength} bytes of memory`,
  );
  check(libc.madvise(address, byteLength, AdviseDontDump), 'madvise');
  return address;
}

/** Pages shared with every process that maps the same fd; returns their address. */
export function sharedMapping(fd: number, byteLength: number): number {
  const address = check(
    libc.mmap(0, byteLength, ProtectRead | ProtectWrite, MapShared, fd, 0),
    'mmap',
    `mapping ${byteLength} bytes of shared memory`,
  );
  check(libc.madvise(address, byteLength, AdviseDontDump), 'madvise');
  return address;
}

const ProtectRead = 1;
const ProtectWrite = 2;
const MapShared = 1;
const MapPrivate = 2;
const MapAnonymous = 0x20;
const AdviseDontDump = 16;
