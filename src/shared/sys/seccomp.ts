/**
 * Installing a filter of system calls on all threads of this process, for good (seccomp(2)).
 *
 * SECCOMP_FILTER_FLAG_TSYNC is what makes it whole: Node has about ten threads before the first line of a program runs,
 * and both the filter and `no_new_privs` reach all of them at once or none.
 */
import { PR_SET_NO_NEW_PRIVS } from './abi.ts';
import { BPF_INSTRUCTION_BYTES } from './bpf.ts';
import { check, libc } from './libc.ts';
import { clearScratch, scratch } from './scratch.ts';
import { FilterAction, filterWithoutRings, type SandboxProfile, systemCallFilter } from './systemCallFilter.ts';
import { FILTERED_ARCHITECTURES, type FilteredArchitecture, systemCallNumber } from './systemCalls.ts';

/** Why this kernel or container takes no filter, or null when it does. Changes nothing. */
export function filterObstacle(): string | null {
  const architecture = filteredArchitecture();
  if (architecture === null) {
    return `weft has none for ${process.arch}`;
  }
  clearScratch(4);
  scratch.view.setUint32(0, FilterAction.Kill, true);
  try {
    check(libc.syscall(seccompNumber(architecture), GET_ACTION_AVAIL, 0, scratch.address), 'seccomp');
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Sets `no_new_privs` and the profile's filter on every thread. Throws when one of them did not get it. */
export function installFilter(profile: SandboxProfile): void {
  const result = install((architecture) => systemCallFilter(architecture, profile, process.pid), ALL_THREADS);
  if (result !== 0) {
    throw new Error(`confining the process: thread ${result} has another filter of system calls`);
  }
}

/**
 * For the thread that forks confined children, before the first: neither it nor they can make an io_uring, or gain
 * privileges by exec. A ring that the thread has already stays.
 */
export function denyRings(): void {
  install(filterWithoutRings, 0);
}

function install(programFor: (architecture: FilteredArchitecture) => Uint8Array, flags: number): number {
  const architecture = filteredArchitecture();
  if (architecture === null) {
    throw new Error(`no filter of system calls for ${process.arch}`);
  }
  check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'prctl(PR_SET_NO_NEW_PRIVS)');
  const program = programFor(architecture);
  clearScratch(FPROG_BYTES);
  scratch.bytes.set(program, FPROG_BYTES);
  // struct sock_fprog: length in instructions 2, padding 6, pointer 8.
  scratch.view.setUint16(0, program.length / BPF_INSTRUCTION_BYTES, true);
  scratch.writePointer(8, FPROG_BYTES);
  const allFlags = flags | NO_SPECULATION_PENALTY;
  const number = seccompNumber(architecture);
  return check(libc.syscall(number, SET_MODE_FILTER, allFlags, scratch.address), 'seccomp', 'filtering system calls');
}

function filteredArchitecture(): FilteredArchitecture | null {
  return FILTERED_ARCHITECTURES.find((architecture) => architecture === process.arch) ?? null;
}

function seccompNumber(architecture: FilteredArchitecture): number {
  return systemCallNumber('seccomp', architecture) ?? -1;
}

const FPROG_BYTES = 16;
const SET_MODE_FILTER = 1;
const GET_ACTION_AVAIL = 2;
/** SECCOMP_FILTER_FLAG_TSYNC */
const ALL_THREADS = 1;
/**
 * SECCOMP_FILTER_FLAG_SPEC_ALLOW: kernels before 5.16 slow every filtered process down to hide it from code that it
 * itself runs; a worker runs no foreign code.
 */
const NO_SPECULATION_PENALTY = 4;
