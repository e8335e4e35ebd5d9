/**
 * Shows memory at an address to WebAssembly, which sees nothing but a memory of its own: the pages are mapped a second
 * time, over the WebAssembly memory's.
 *
 * V8 reserves the address range of a memory with guard regions around it, makes the first `initial` pages readable and
 * writable, and gives the whole range back when the memory is collected. Exactly the `initial` pages are replaced, with
 * the same protection. A memory with maximum = initial cannot be grown, hence does not move, and all are kept for good.
 * Each reserves some 10 GiB of addresses (no memory): meant for the one arena of a process, not for many.
 */
import { randomBytes } from 'node:crypto';
import { WASM_PAGE_BYTES, type WasmMemory, wasm } from '../ip/checksumModule.ts';
import { addressOf, viewMemory } from './libc.ts';
import { mapAgain } from './mapping.ts';

/** Never collected: V8 would unmap their ranges. Those that could not be replaced may have a hole, so they stay too. */
const kept: WasmMemory[] = [];

/**
 * A WebAssembly memory of the same bytes as those of the `lowMapping` at `address`, which has a multiple of
 * `WASM_PAGE_BYTES` bytes; null where the runtime or the kernel does not play along.
 */
export function aliasedMemory(address: number, byteLength: number): WasmMemory | null {
  const memory = makeMemory(byteLength / WASM_PAGE_BYTES);
  if (memory === null || memory.buffer.byteLength !== byteLength) {
    return null;
  }
  kept.push(memory);
  const target = addressOf(memory.buffer);
  const bytes = new Uint8Array(memory.buffer);
  // Nothing is replaced before it is certain what lies there, and the result is used only when it is what was meant.
  const isAlias = liesAt(bytes, target) && mapAgain(address, byteLength, target) && liesAt(bytes, address);
  return isAlias ? memory : null;
}

/** null without WebAssembly, and where the address space is too small or limited. */
function makeMemory(pages: number): WasmMemory | null {
  if (wasm === null) {
    return null;
  }
  try {
    return new wasm.Memory({ initial: pages, maximum: pages });
  } catch {
    return null;
  }
}

/** Whether `bytes` are those at `address`: at both ends, writes through each side and reads through the other. */
function liesAt(bytes: Uint8Array, address: number): boolean {
  return [0, bytes.length - PROBE_BYTES].every((at) => {
    const here = bytes.subarray(at, at + PROBE_BYTES);
    const there = new Uint8Array(viewMemory(address + at, PROBE_BYTES));
    return showsIn(here, there) && showsIn(there, here);
  });
}

/** Whether a write to `target` is seen in `other`; restores what was there. */
function showsIn(target: Uint8Array, other: Uint8Array): boolean {
  const before = target.slice();
  const probe = randomBytes(target.length);
  target.set(probe);
  const isShown = probe.equals(other);
  target.set(before);
  return isShown;
}

const PROBE_BYTES = 16;
