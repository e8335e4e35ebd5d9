/**
 * The user that the children of the primary run as: `weft-worker` where the system has it, else a user id that nobody has.
 *
 * A shared id such as `nobody` would let a taken-over worker signal, trace and read every other daemon that took the same
 * shortcut, so a free id is one that is in no file of users or groups and that no running process has. It lies outside of
 * what distributions give to people, services, containers and systemd's DynamicUser (systemd's "Users, Groups, UIDs and
 * GIDs"; Debian policy 9.2.2). Reads files and /proc at start; decides by values.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

export const WORKER_USER = 'weft-worker';

/** What the choice is made from. */
export interface UserFacts {
  /** Text of /etc/passwd and /etc/group. */
  readonly passwd: string;
  readonly group: string;
  /** Text of /proc/self/uid_map and gid_map: what ids exist in this user namespace. */
  readonly uidMap: string;
  readonly gidMap: string;
  /** Ids, users' and groups', of running processes. */
  readonly running: ReadonlySet<number>;
  /** Of the primary. */
  readonly ownUid: number;
  /** In [0, 1): nodes that start at the same moment choose different ids. */
  readonly random: number;
}

/** Throws an Error that says what to do when there is no id to take. */
export function chooseChildUser(facts: UserFacts): UserIds {
  const known = findUser(facts.passwd, WORKER_USER);
  if (known !== null) {
    if (known.uid === facts.ownUid) {
      throw new Error(`weft must not run as ${WORKER_USER} itself: that user is for its workers`);
    }
    return known;
  }
  const taken = new Set([...facts.running, ...idsIn(facts.passwd), ...idsIn(facts.group)]);
  for (const { first, last } of FREE_RANGES) {
    const count = last - first + 1;
    const start = Math.floor(facts.random * count);
    for (let step = 0; step < count; step++) {
      const id = first + ((start + step) % count);
      if (!taken.has(id) && isMapped(facts.uidMap, id) && isMapped(facts.gidMap, id)) {
        return { uid: id, gid: id };
      }
    }
  }
  throw new Error(`there is no free user id for the workers here; make a system user ${WORKER_USER}`);
}

/** The facts of this machine. */
export function userFacts(random: number): UserFacts {
  return {
    passwd: textOf('/etc/passwd'),
    group: textOf('/etc/group'),
    uidMap: textOf('/proc/self/uid_map'),
    gidMap: textOf('/proc/self/gid_map'),
    running: runningIds(),
    ownUid: process.geteuid?.() ?? 0,
    random,
  };
}

/** Between the ids of 16 bits and the sub-ids of containers; and, for namespaces of 16 bits, a gap that systemd leaves. */
const FREE_RANGES = [
  { first: 70_000, last: 99_999 },
  { first: 60_706, last: 61_183 },
] as const;

function findUser(passwd: string, name: string): UserIds | null {
  for (const line of passwd.split('\n')) {
    const fields = line.split(':');
    const uid = Number(fields[2]);
    const gid = Number(fields[3]);
    if (fields[0] === name && Number.isInteger(uid) && Number.isInteger(gid) && uid > 0 && gid > 0) {
      return { uid, gid };
    }
  }
  return null;
}

/** The ids in a file of users or groups. */
function idsIn(text: string): number[] {
  return text.split('\n').flatMap((line) => line.split(':').slice(2, 4).map(Number).filter(Number.isInteger));
}

/** Lines of `first id inside, first id outside, count`; without a map (no /proc) every id is taken to exist. */
function isMapped(map: string, id: number): boolean {
  const lines = map.split('\n').filter((line) => line.trim() !== '');
  return (
    lines.length === 0 ||
    lines.some((line) => {
      const [inside, , count] = line.trim().split(/\s+/).map(Number);
      return id >= inside && id < inside + count;
    })
  );
}

function runningIds(): Set<number> {
  const ids = new Set<number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const matches = textOf(`/proc/${pid}/status`).matchAll(/^(?:Uid|Gid):\s+(.*)$/gm);
    for (const id of [...matches].flatMap((match) => match[1].split(/\s+/).map(Number))) {
      ids.add(id);
    }
  }
  return ids;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
