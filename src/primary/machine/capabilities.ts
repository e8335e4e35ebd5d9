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
  return names.filter((name) => (scratch.view.getUint32(SetsOffset, true) & (1 << Capability[name])) === 0);
}

/**
 * Empties the inheritable set, and with it the ambient one: a child that is not root starts without any capability.
 * The calling thread keeps its own.
 */
export function keepFromChildren(): void {
  readSets();
  for (const half of [0, 1]) {
    scratch.view.setUint32(SetsOffset + half * HalfBytes + InheritableOffset, 0, true);
  }
  check(libc.capset(scratch.address, scratch.address + SetsOffset), 'capset', 'keeping capabilities from children');
}

/** Into the scratch page: header, then effective 4, permitted 4, inheritable 4 of the first 32, then of the others. */
function readSets(): void {
  clearScratch(SetsOffset + 2 * HalfBytes);
  scratch.view.setUint32(0, Version3, true);
  check(libc.capget(scratch.address, scratch.address + SetsOffset), 'capget');
}

const Version3 = 0x20080522;
const SetsOffset = 8;
const HalfBytes = 12;
const InheritableOffset = 8;
