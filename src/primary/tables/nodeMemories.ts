/**
 * The shared memories of a node, as the primary makes them and hands them to workers: the tables that only it writes are
 * sealed against every other writer; each worker gets those, the common memory, and its own.
 */
import { randomInt } from 'node:crypto';
import { type Capacities, initializeShared, type SharedTables, sharedSizes } from '../../shared/memory/layout.ts';
import { createSealedMemory, createSharedMemory, type SharedMemory } from '../../shared/sys/sharedMemory.ts';

export interface NodeMemories {
  readonly tables: SharedTables;
  /** Of one worker, in the order of `WorkerFd`. */
  fdsOf(worker: number): readonly number[];
  /** False: the kernel cannot keep workers from writing what only the primary may write. */
  readonly areFactsSealed: boolean;
}

/** A view of more memory than this cannot be made. */
const BYTES_MAX = 2 ** 32 - 4096;

/** Tells `onOpen` of every descriptor as soon as it is open; they are the caller's. Throws SysError or Error. */
export function openNodeMemories(capacities: Capacities, onOpen: (fd: number) => void): NodeMemories {
  const sizes = sharedSizes(capacities);
  const largest = Math.max(sizes.facts, sizes.common);
  if (largest > BYTES_MAX) {
    const gibibytes = (largest / 2 ** 30).toFixed(1);
    throw new Error(
      `the shared memory would have ${gibibytes} GiB, over 4: lower tunnels.max, firewall.conntrack.max_connections or lighthouse.max_hosts`,
    );
  }
  const opened = <M extends SharedMemory>(memory: M): M => {
    onOpen(memory.fd);
    return memory;
  };
  const facts = opened(createSealedMemory('weft-facts', sizes.facts));
  const common = opened(createSharedMemory('weft-common', sizes.common));
  const own = Array.from({ length: capacities.workers }, (_, worker) =>
    opened(createSharedMemory(`weft-worker-${worker}`, sizes.own)),
  );
  const memories = { facts: facts.buffer, common: common.buffer, own: own.map(({ buffer }) => buffer) };
  const tables = initializeShared(memories, capacities);
  tables.conntrack.initialize(randomInt(2 ** 32));
  return {
    tables,
    fdsOf: (worker) => [facts.fd, common.fd, own[worker].fd],
    areFactsSealed: facts.isSealed,
  };
}
