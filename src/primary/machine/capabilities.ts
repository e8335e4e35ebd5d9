/**
 * The capabilities of the calling thread (capabilities(7)): which it has, and that no child gets them by exec.
 *
 * Sets are per thread, and Node has about ten threads: what is done here holds for the main thread, from which every
 * child is forked.
 */
import { check, libc } from '../../shared/sys/libc.ts';
import { clearScratch, scratch } from '../../shared/sys/scratch.ts';

export const Capability = {
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
} as const;

export type CapabilityName = keyof typeof Capability;

/** Those of `names` that are not in force. */
export function missingCapabilities(names: readonly CapabilityName[]): CapabilityName[] {
  readSets();
  return names.filter((name) => (scratch.view.getUint32(SETS_OFFSET, true) & (1 << Capability[name])) === 0);
}

/**
 * Empties the inheritable set, and with it the ambient one: a child that is not root starts without any capability.
 * The calling thread keeps its own.
 */
export function keepFromChildren(): void {
  readSets();
  for (const half of [0, 1]) {
    scratch.view.setUint32(SETS_OFFSET + half * HALF_BYTES + INHERITABLE_OFFSET, 0, true);
  }
  check(libc.capset(scratch.address, scratch.address + SETS_OFFSET), 'capset', 'keeping capabilities from children');
}

/** Into the scratch page: header, then effective 4, permitted 4, inheritable 4 of the first 32, then of the others. */
function readSets(): void {
  clearScratch(SETS_OFFSET + 2 * HALF_BYTES);
  scratch.view.setUint32(0, VERSION3, true);
  check(libc.capget(scratch.address, scratch.address + SETS_OFFSET), 'capget');
}

const VERSION3 = 0x20080522;
const SETS_OFFSET = 8;
const HALF_BYTES = 12;
const INHERITABLE_OFFSET = 8;
