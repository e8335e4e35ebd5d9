/**
 * Giving up privileges for good: a worker parses hostile packets and needs nothing but its inherited fds.
 *
 * Called once by the worker's entry before it reads the first packet. libc's set*id functions are used, not Node's,
 * because they change all threads of the process and let us set real, effective and saved ids at once.
 */
import { readFileSync } from 'node:fs';
import { check, libc } from './libc.ts';

export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/** Ids of `nobody` from /etc/passwd, or 65534, which is nobody on every Linux and the kernel's overflow id. */
export function nobodyIds(passwdPath: string = '/etc/passwd'): UserIds {
  const ids = findUser(readPasswd(passwdPath), 'nobody');
  return ids ?? { uid: 65534, gid: 65534 };
}

/**
 * Drops to `ids` (no supplementary groups) when root, and forbids gaining privileges by exec either way. Returns false
 * when the process was not root and so kept its user. Throws SysError when the kernel refuses, and Error when root
 * could still be regained: the caller must then not go on.
 */
export function dropPrivileges(ids: UserIds): boolean {
  check(libc.prctl(SetNoNewPrivileges, 1, 0, 0, 0), 'prctl(PR_SET_NO_NEW_PRIVS)');
  if (process.getuid?.() !== 0) {
    return false;
  }
  check(libc.setgroups(0, 0), 'setgroups', 'dropping privileges');
  check(libc.setresgid(ids.gid, ids.gid, ids.gid), 'setresgid', 'dropping privileges');
  check(libc.setresuid(ids.uid, ids.uid, ids.uid), 'setresuid', 'dropping privileges');
  if (ids.uid !== 0 && libc.setresuid(0, 0, 0) === 0) {
    throw new Error('dropping privileges: the process could become root again');
  }
  return true;
}

/** Keeps the process from being core-dumped, and from being traced by others than root: its memory holds keys. */
export function forbidDumps(): void {
  check(libc.prctl(SetDumpable, 0, 0, 0, 0), 'prctl(PR_SET_DUMPABLE)');
}

function readPasswd(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function findUser(passwd: string, name: string): UserIds | null {
  for (const line of passwd.split('\n')) {
    const fields = line.split(':');
    const uid = Number(fields[2]);
    const gid = Number(fields[3]);
    if (fields[0] === name && Number.isInteger(uid) && Number.isInteger(gid) && uid > 0) {
      return { uid, gid };
    }
  }
  return null;
}

const SetDumpable = 4;
const SetNoNewPrivileges = 38;
