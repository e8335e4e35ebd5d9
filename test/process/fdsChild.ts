/** The child of fds.test.ts: maps the memory that it inherited as fd 4 and does what its first argument says. */
import { readFileSync } from 'node:fs';
import { libc } from '../../src/shared/sys/libc.ts';
import { dropPrivileges, forbidDumps } from '../../src/shared/sys/privileges.ts';
import { mapSharedMemory } from '../../src/shared/sys/sharedMemory.ts';

const GET_DUMPABLE = 3;

const [task, count] = process.argv.slice(2);
const words = new Int32Array(mapSharedMemory(4).buffer);

if (task === 'add') {
  for (let index = 0; index < Number(count); index++) {
    Atomics.add(words, 0, 1);
  }
  process.disconnect();
} else if (task === 'count') {
  // Reports once, then counts until it is killed.
  for (let index = 0; ; index++) {
    Atomics.add(words, 0, 1);
    Atomics.add(words, 1, 1);
    if (index === 1000) {
      process.send?.('counting');
    }
  }
} else {
  // Before the drop, which by itself makes a process that was root undumpable.
  forbidDumps();
  const dumpable = libc.prctl(GET_DUMPABLE, 0, 0, 0, 0);
  const dropped = dropPrivileges({ uid: 65534, gid: 65534 });
  const status = readFileSync('/proc/self/status', 'utf8');
  Atomics.store(words, 5, 55);
  process.send?.(
    {
      dropped,
      uids: statusLine(status, 'Uid').split('\t'),
      groups: process.getgroups?.().filter((gid) => gid !== 65534),
      capabilities: statusLine(status, 'CapEff'),
      noNewPrivileges: statusLine(status, 'NoNewPrivs'),
      rootAgain: tryRoot(),
      dumpable,
    },
    () => process.disconnect(),
  );
}

function statusLine(status: string, name: string): string {
  return new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1].trim() ?? '';
}

function tryRoot(): string {
  try {
    process.setuid?.(0);
    return 'root';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? '';
  }
}
