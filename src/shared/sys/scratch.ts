/**
 * Memory for the argument structs of set-up calls: one page that every call in this folder may overwrite.
 *
 * Calls are synchronous and a process has one thread, so a caller writes its struct, makes the call and reads the
 * result before anybody else gets here. Nothing may be kept in it from one call to the next.
 */
import { Arena } from './arena.ts';

export const scratch: Arena = new Arena(4096);

/** Zeroes the first `byteLength` bytes for a struct that starts at offset 0. */
export function clearScratch(byteLength: number): void {
  scratch.bytes.fill(0, 0, byteLength);
}
