/**
 * Confining a process for good: what parses hostile bytes keeps its descriptors and loses everything else.
 *
 * The primary decides once (`primary/workers/childLaunch.ts`) and tells its child by the environment; the child loads what it
 * needs (modules, libraries), calls `confine` and only then reads the first packet. libc's set*id functions are used, not
 * Node's, because they change all threads and set real, effective and saved ids at once. What has been given up is read
 * back from the kernel, thread by thread: a confinement that is not whole throws, and the caller must not go on.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { PR_SET_NO_NEW_PRIVS } from './abi.ts';
import { check, libc } from './libc.ts';
import { clearScratch, scratch } from './scratch.ts';
import { installFilter } from './seccomp.ts';
import type { SandboxProfile } from './systemCallFilter.ts';

export interface Confinement {
  /** Never root, never the user of the parent. */
  readonly uid: number;
  readonly gid: number;
  /** Process id of the parent, with which the child ends. */
  readonly parent: number;
  /** False where the kernel takes no filter of system calls. */
  readonly hasFilter: boolean;
}

const VARIABLE = 'WEFT_CONFINEMENT';

/** The environment by which a child learns its confinement. */
export function confinementEnvironment(confinement: Confinement): NodeJS.ProcessEnv {
  const { uid, gid, parent, hasFilter } = confinement;
  return { [VARIABLE]: [uid, gid, parent, hasFilter ? 1 : 0].join(':') };
}

/** What the parent decided. Throws in a process that was not started by `weft run`. */
export function confinementFromEnvironment(environment: NodeJS.ProcessEnv = process.env): Confinement {
  const match = /^(\d+):(\d+):(\d+):([01])$/.exec(environment[VARIABLE] ?? '');
  if (match === null) {
    throw new Error(`this process is started by weft run, never by hand (${VARIABLE} is missing)`);
  }
  const [uid, gid, parent, filter] = match.slice(1).map(Number);
  return { uid, gid, parent, hasFilter: filter === 1 };
}

/**
 * Gives up user, groups, capabilities, dumps and all system calls but the profile's, on every thread. Ends with the
 * parent from now on, also while stopped. Throws SysError or Error when any of it did not come about.
 */
export function confine(confinement: Confinement, profile: SandboxProfile): void {
  becomeUser(confinement);
  forbidDumps();
  endWithParent(confinement.parent);
  check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'prctl(PR_SET_NO_NEW_PRIVS)');
  for (const thread of readdirSync('/proc/self/task')) {
    const fault = statusFault(readFileSync(`/proc/self/task/${thread}/status`, 'latin1'), confinement);
    if (fault !== null) {
      throw new Error(`confining the process: thread ${thread} ${fault}`);
    }
  }
  if (confinement.hasFilter) {
    installFilter(profile);
  }
}

/**
 * Keeps the process from being core-dumped, and from being traced by others than root: its memory holds keys. To be
 * called after a change of user, which sets the flag anew (to fs.suid_dumpable, with which root's dumps are written).
 */
export function forbidDumps(): void {
  clearScratch(16);
  check(libc.setrlimit(LIMIT_CORE, scratch.address), 'setrlimit(RLIMIT_CORE)');
  check(libc.prctl(SET_DUMPABLE, 0, 0, 0, 0), 'prctl(PR_SET_DUMPABLE)');
  if (libc.prctl(GET_DUMPABLE, 0, 0, 0, 0) !== 0) {
    throw new Error('forbidding core dumps: the kernel did not take it');
  }
}

/** What a thread still has that it should not, by its /proc/PID/task/TID/status; null when nothing. */
export function statusFault(status: string, { uid, gid }: Pick<Confinement, 'uid' | 'gid'>): string | null {
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1].trim() ?? '';
  for (const [name, id] of [
    ['Uid', uid],
    ['Gid', gid],
  ] as const) {
    if (
      field(name)
        .split(/\s+/)
        .some((each) => Number(each) !== id)
    ) {
      return `has ${name} ${field(name)}, not ${id}`;
    }
  }
  if (field('Groups') !== '') {
    return `is in groups ${field('Groups')}`;
  }
  const kept = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].find((name) => !/^0+$/.test(field(name)));
  return kept === undefined ? null : `has capabilities: ${kept} ${field(kept)}`;
}

/** Changes from root; a process that was started as the user already only shows that it cannot become root. */
function becomeUser({ uid, gid }: Confinement): void {
  const doing = 'dropping privileges';
  if (process.getuid?.() === 0) {
    check(libc.setgroups(0, 0), 'setgroups', doing, NEEDS_SETGID);
    check(libc.setresgid(gid, gid, gid), 'setresgid', doing);
    check(libc.setresuid(uid, uid, uid), 'setresuid', doing);
  }
  if (libc.setresuid(0, 0, 0) === 0) {
    throw new Error(`${doing}: the process could become root again`);
  }
}

/** After the change of user, which clears the wish. */
function endWithParent(parent: number): void {
  check(libc.prctl(SET_PARENT_DEATH_SIGNAL, SIGNAL_KILL, 0, 0, 0), 'prctl(PR_SET_PDEATHSIG)');
  if (libc.getppid() !== parent) {
    throw new Error('the primary has ended');
  }
}

/** Root of a user namespace may be refused it, too (user_namespaces(7)). */
const NEEDS_SETGID = 'this needs CAP_SETGID, and in a user namespace "allow" in /proc/self/setgroups';
const SET_PARENT_DEATH_SIGNAL = 1;
const GET_DUMPABLE = 3;
const SET_DUMPABLE = 4;
const LIMIT_CORE = 4;
const SIGNAL_KILL = 9;
