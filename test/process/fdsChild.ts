/** The child of fds.test.ts: maps the memory that it inherited as fd 4 and does what its first argument says. */
import { confine, confinementFromEnvironment } from '../../src/shared/sys/privileges.ts';
import { mapSharedMemory } from '../../src/shared/sys/sharedMemory.ts';

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
  confine(confinementFromEnvironment(), 'worker');
  Atomics.store(words, 5, 55);
  process.send?.([process.getuid?.(), process.geteuid?.(), process.getgid?.(), process.getegid?.()], () =>
    process.disconnect(),
  );
}
