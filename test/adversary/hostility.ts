/**
 * Makes real workers hostile on a signal: this module is put before a node's own by NODE_OPTIONS. SIGUSR2 to a worker has
 * it do the act (`hostileActs.ts`) that stood in a file when it started; primaries are not touched.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FRAME_HEAD_BYTES } from '../../src/shared/ipc/frames.ts';
import { WorkerFd } from '../../src/shared/ipc/messages.ts';
import { mapSharedMemory } from '../../src/shared/sys/sharedMemory.ts';
import { ACTS, writtenBytes } from './hostileActs.ts';

const FILE = 'WEFT_HOSTILE_FILE';

/** What the workers of one node do: for the test. */
export class Hostility {
  /** Of the node. */
  readonly env: NodeJS.ProcessEnv;
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, 'hostility');
    this.env = { NODE_OPTIONS: `--import=${import.meta.url}`, [FILE]: this.#path };
    this.prepare('');
  }

  /** For workers that start from now on. */
  prepare(act: string): void {
    writeFileSync(this.#path, act);
  }
}

// Read while the worker is still root and may open files.
const path = process.env[FILE];
if (path !== undefined && process.argv[1]?.endsWith('/worker/main.js')) {
  const name = readFileSync(path, 'utf8');
  const reach = { channel: mapSharedMemory(WorkerFd.Channel).buffer, bellFd: WorkerFd.Bell };
  process.on('SIGUSR2', () => {
    // Not before the worker itself has said that it is awake and ready: what comes before would be its start.
    const waiting = setInterval(() => {
      if (writtenBytes(reach) >= 2 * FRAME_HEAD_BYTES) {
        clearInterval(waiting);
        ACTS[name](reach);
      }
    }, 5);
  });
}
