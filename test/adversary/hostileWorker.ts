/**
 * A worker that was taken over at its start: it says that it is awake and ready like any other, and then does the act
 * that `WEFT_HOSTILE` names (`hostileActs.ts`), or none. It does not give up its privileges: what the primary does for it
 * must not depend on that. After the act it says `miss` every few milliseconds, and for each message of the primary.
 */
import { CHANNEL_BYTES } from '../../src/shared/ipc/frameRing.ts';
import { FrameKind } from '../../src/shared/ipc/frames.ts';
import { type ToWorker, WorkerFd } from '../../src/shared/ipc/messages.ts';
import { mapSharedMemory } from '../../src/shared/sys/sharedMemory.ts';
import { ADDRESS, frameOf } from '../support/frameBytes.ts';
import { ACTS, hasRoom, inject, type Reach } from './hostileActs.ts';

const SIGN_OF_LIFE_MS = 5;

process.once('disconnect', () => process.exit(0));

// Plain node:cluster gives a worker no channel: the test that shows what happens then needs none.
const reach = hasChannel() ? reachOf() : null;
if (reach === null) {
  act({ channel: new ArrayBuffer(CHANNEL_BYTES), bellFd: -1 });
} else {
  process.on('message', (message: ToWorker) => receive(reach, message));
  inject(reach, frameOf({ kind: FrameKind.Awake }));
}

function hasChannel(): boolean {
  return process.env['WEFT_HOSTILE_BARE'] === undefined;
}

function reachOf(): Reach {
  return { channel: mapSharedMemory(WorkerFd.Channel).buffer, bellFd: WorkerFd.Bell };
}

function receive(own: Reach, message: ToWorker): void {
  if (message.type === 'stop') {
    process.exit(0);
  }
  if (message.type === 'start') {
    inject(own, frameOf({ kind: FrameKind.Ready }));
    setTimeout(() => {
      act(own);
      setInterval(() => signOfLife(own), SIGN_OF_LIFE_MS);
    }, SIGN_OF_LIFE_MS);
  }
}

function signOfLife(own: Reach): void {
  const frame = frameOf({ kind: FrameKind.Miss, address: ADDRESS });
  if (hasRoom(own, frame)) {
    inject(own, frame);
  }
}

function act(own: Reach): void {
  const name = process.env['WEFT_HOSTILE'] ?? '';
  if (name !== '') {
    ACTS[name](own);
  }
}
