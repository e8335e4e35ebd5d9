/**
 * A network namespace with nothing in it but its loopback device, and an empty IPC namespace, and the main thread's short visits there: a child forked meanwhile
 * stays in them. Descriptors that it inherits keep the network that they were opened in.
 *
 * A namespace belongs to a thread, a child gets those of the thread that forks it. So a visit is synchronous, nothing
 * else of the process can run on the thread, and other threads see nothing of it.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { errorText } from '../../shared/log/errorText.ts';
import { check, libc } from '../../shared/sys/libc.ts';
import { Netlink } from './netlink.ts';

/** A kind of namespace: its name in /proc and the flag of clone(2). */
interface Kind {
  readonly name: string;
  readonly flag: number;
}

const KINDS: readonly Kind[] = [
  { name: 'net', flag: 0x40000000 },
  { name: 'ipc', flag: 0x08000000 },
];

/** Descriptors of one namespace of each kind, close-on-exec. */
type Place = readonly number[];

export class EmptyNamespaces {
  readonly #home: Place;
  readonly #empty: Place;

  /** Makes them. Throws SysError when the kernel or the container forbids it; the thread is at home then. */
  constructor() {
    this.#home = openPlace();
    try {
      const flags = KINDS.reduce((sum, { flag }) => sum | flag, 0);
      check(libc.unshare(flags), 'unshare', 'making an empty network namespace');
    } catch (error) {
      closePlace(this.#home);
      throw error;
    }
    try {
      this.#empty = openPlace();
      raiseLoopback();
    } finally {
      this.#return();
    }
  }

  /** Runs `work` inside, then comes back whatever happens; a process that cannot come back ends at once. */
  visit<T>(work: () => T): T {
    try {
      enter(this.#empty);
      return work();
    } finally {
      this.#return();
    }
  }

  close(): void {
    closePlace(this.#home);
    closePlace(this.#empty);
  }

  #return(): void {
    try {
      enter(this.#home);
    } catch (error) {
      // Whatever this thread opened from now on would be cut off from every network without a sign.
      writeSync(2, `weft ends, it cannot leave the network namespace of its workers: ${errorText(error)}\n`);
      process.abort();
    }
  }
}

/** Over it workers warm up; without it they do not, and are as good otherwise. */
function raiseLoopback(): void {
  try {
    const netlink = new Netlink();
    try {
      netlink.setLink(LOOPBACK_INDEX, { isUp: true });
    } finally {
      netlink.close();
    }
  } catch {
    // A worker says in its log that it could not warm up.
  }
}

/** The kernel makes it first in every namespace. */
const LOOPBACK_INDEX = 1;

function openPlace(): Place {
  return KINDS.map(({ name }) => openSync(`/proc/thread-self/ns/${name}`, 'r'));
}

function closePlace(place: Place): void {
  for (const fd of place) {
    closeSync(fd);
  }
}

function enter(place: Place): void {
  for (const [index, { flag, name }] of KINDS.entries()) {
    check(libc.setns(place[index], flag), 'setns', `entering a namespace (${name})`);
  }
}
