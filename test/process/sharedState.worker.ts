/**
 * A process that hammers one tunnel's send counter or replay window in shared memory, for `sharedState.test.ts`.
 * Reserved counters go to fd 5 as 8-byte doubles, written before the next reservation: what was read from the pipe
 * was handed out, even when this process is killed at any instruction.
 */
import { writeSync } from 'node:fs';
import { openAsWorker } from '../../src/shared/memory/layout.ts';
import { Replay } from '../../src/shared/memory/replayWindow.ts';
import { mapReadOnly, mapSharedMemory } from '../../src/shared/sys/sharedMemory.ts';
import { check, claim, reserve } from '../support/counters.ts';
import { Random } from '../support/random.ts';

const [mode, seed, operations] = process.argv.slice(2);
const { tunnels } = openAsWorker(mapReadOnly(4).buffer, mapSharedMemory(6).buffer, mapSharedMemory(7).buffer, 0);
const random = new Random(Number(seed));
const out = new Float64Array(2);

if (mode === 'reserve') {
  for (let step = 0; step < Number(operations); step++) {
    const count = 1 + random.below(64);
    out[0] = reserve(tunnels.cells, tunnels.counterCell(0), count);
    out[1] = count;
    writeSync(5, new Uint8Array(out.buffer));
  }
} else {
  // Every process tries every counter, in an order of its own within a window that moves on.
  const total = Number(operations);
  const accepted = new Uint8Array(total);
  for (let base = 0; base < total; base += 512) {
    for (let step = 0; step < 1024; step++) {
      const counter = base + random.below(512);
      if (counter >= 3 && counter < total && check(tunnels.windows, tunnels.window(0), counter) === Replay.Fresh) {
        if (claim(tunnels.windows, tunnels.window(0), counter) >= 0) {
          accepted[counter]++;
        }
      }
    }
  }
  for (let written = 0; written < total; ) {
    written += writeSync(5, accepted, written);
  }
}
