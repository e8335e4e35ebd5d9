/** Looks for bytes in the private memory of a running process: where a secret must not be. Needs root. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const CHUNK_BYTES = 1024 * 1024;

/** How often each text of bytes stands in the writable private memory of `pid`. */
export function findInMemory(pid: number, needles: readonly Uint8Array[]): number[] {
  const counts = needles.map(() => 0);
  const overlap = Math.max(...needles.map((needle) => needle.length)) - 1;
  const chunk = Buffer.alloc(CHUNK_BYTES + overlap);
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const { start, end } of writableRegions(pid)) {
      for (let at = start; at < end; at += CHUNK_BYTES) {
        const length = readAt(fd, chunk, at, Math.min(chunk.length, end - at));
        for (const [index, needle] of needles.entries()) {
          counts[index] += countIn(chunk.subarray(0, length), needle, CHUNK_BYTES);
        }
      }
    }
  } finally {
    closeSync(fd);
  }
  return counts;
}

/** Occurrences that begin before `limit`: those behind it begin in the next chunk as well. */
function countIn(bytes: Buffer, needle: Uint8Array, limit: number): number {
  let count = 0;
  for (let at = bytes.indexOf(needle); at >= 0 && at < limit; at = bytes.indexOf(needle, at + 1)) {
    count++;
  }
  return count;
}

function writableRegions(pid: number): { readonly start: number; readonly end: number }[] {
  return readFileSync(`/proc/${pid}/maps`, 'latin1')
    .split('\n')
    .flatMap((line) => {
      const match = /^([0-9a-f]+)-([0-9a-f]+) rw.p /.exec(line);
      return match === null ? [] : [{ start: Number.parseInt(match[1], 16), end: Number.parseInt(match[2], 16) }];
    });
}

/** A region may go while we look: then nothing of it is read. */
function readAt(fd: number, target: Buffer, address: number, length: number): number {
  try {
    return readSync(fd, target, 0, length, address);
  } catch {
    return 0;
  }
}
