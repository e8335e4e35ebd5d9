/**
 * What a worker that has been taken over may do: acts by name. One is done by a process of its own (`hostileWorker.ts`,
 * which a Supervisor starts in the place of a worker), or inside a real worker that carries packets (`hostility.ts`).
 *
 * An act is given the worker's reach and nothing else. To add some: a table of them, and its name in `ACTS`.
 */

import { RING_BYTES } from '../../src/shared/ipc/frameRing.ts';
import { FRAME_ALIGN, FrameKind } from '../../src/shared/ipc/frames.ts';
import { ring } from '../../src/shared/sys/doorbell.ts';
import { ADDRESS, frameOf, MALFORMED_FRAMES } from '../support/frameBytes.ts';

/** What a worker can lay its hands on. */
export interface Reach {
  /** The channel's memory: the head is word 0, the tail word 16, the ring its last `RING_BYTES`. */
  readonly channel: ArrayBuffer;
  readonly bellFd: number;
}

export type Act = (reach: Reach) => void;

const HEAD_WORD = 0;
const TAIL_WORD = 16;

/** Frames that a worker has shown since its start, in bytes; in the first lap of the ring. */
export function writtenBytes(reach: Reach): number {
  return Atomics.load(new Int32Array(reach.channel), HEAD_WORD) + RING_BYTES;
}

/** Appends bytes as if they were a frame, whatever they are, and shows them to the primary. */
export function inject(reach: Reach, bytes: Uint8Array): void {
  const words = new Int32Array(reach.channel);
  const data = new Uint8Array(reach.channel, reach.channel.byteLength - RING_BYTES);
  const head = Atomics.load(words, HEAD_WORD);
  for (const [index, byte] of bytes.entries()) {
    data[(head + index) & (RING_BYTES - 1)] = byte;
  }
  Atomics.store(words, HEAD_WORD, head + Math.ceil(bytes.length / FRAME_ALIGN) * FRAME_ALIGN);
  ring(reach.bellFd);
}

/** Whether the form of the ring allows one more frame. */
export function hasRoom(reach: Reach, frame: Uint8Array): boolean {
  const words = new Int32Array(reach.channel);
  return (Atomics.load(words, HEAD_WORD) - Atomics.load(words, TAIL_WORD)) >>> 0 <= RING_BYTES - frame.length;
}

function moveHead(bytes: number): Act {
  return (reach) => {
    Atomics.add(new Int32Array(reach.channel), HEAD_WORD, bytes);
    ring(reach.bellFd);
  };
}

/** Each ends in a protocol fault. */
export const MESSAGE_ACTS: Readonly<Record<string, Act>> = {
  ...Object.fromEntries(
    MALFORMED_FRAMES.map(([title, fields]) => [title, (reach: Reach) => inject(reach, frameOf(fields))]),
  ),
  'a second awake': (reach) => inject(reach, frameOf({ kind: FrameKind.Awake })),
  'a second ready': (reach) => inject(reach, frameOf({ kind: FrameKind.Ready })),
  'a frame longer than the ring holds': (reach) => inject(reach, frameOf({ kind: FrameKind.Test }).fill(0x20, 2, 4)),
  'a head of odd bytes': moveHead(1),
  'a head that goes back': moveHead(-FRAME_ALIGN),
  'a head far ahead': moveHead(0x7fff_ffe0),
  'random bytes': (reach) => {
    new Uint8Array(reach.channel).fill(0xa7);
    ring(reach.bellFd);
  },
};

/** Requests to node:cluster, as root would carry them out; `WEFT_HOSTILE_TARGET` names a directory and a port. */
export const CLUSTER_ACTS: Readonly<Record<string, Act>> = {
  'bind a port': () => query({ address: '127.0.0.1', port: targetPort(), addressType: 4 }),
  'bind a socket file': () =>
    query({
      address: `${targetDirectory()}/hostile.sock`,
      port: -1,
      addressType: -1,
      readableAll: true,
      writableAll: true,
    }),
  'send a handle': () => tell({ cmd: 'NODE_HANDLE', type: 'net.Server', msg: { cmd: 'NODE_CLUSTER' } }),
  'close what was never bound': () => tell({ cmd: 'NODE_CLUSTER', act: 'close', key: '1' }),
  'say that it listens': () => tell({ cmd: 'NODE_CLUSTER', act: 'listening', port: 80, addressType: 4 }),
  'say that it leaves': () => tell({ cmd: 'NODE_CLUSTER', act: 'exitedAfterDisconnect', seq: 1 }),
};

/** Each is allowed by the form of the channel, and too much. */
export const BURDEN_ACTS: Readonly<Record<string, Act>> = {
  'huge messages': () => {
    const bytes = Buffer.alloc(40_000_000);
    for (let count = 0; count < 4; count++) {
      tell(bytes);
    }
  },
  'as many frames as there is room for': (reach) => {
    const frame = frameOf({ kind: FrameKind.Miss, address: ADDRESS });
    const flood = (): void => {
      while (hasRoom(reach, frame)) {
        inject(reach, frame);
      }
      setImmediate(flood);
    };
    flood();
  },
  'ring without a reason': (reach) => {
    const flood = (): void => {
      for (let count = 0; count < 1000; count++) {
        ring(reach.bellFd);
      }
      setImmediate(flood);
    };
    flood();
  },
  'hear nothing': () => {
    const symbol = Object.getOwnPropertySymbols(process).find(({ description }) => description === 'kChannelHandle');
    (Reflect.get(process, symbol!) as { readStop(): void }).readStop();
  },
};

/** Every act by its name. */
export const ACTS: Readonly<Record<string, Act>> = { ...MESSAGE_ACTS, ...CLUSTER_ACTS, ...BURDEN_ACTS };

/** `WEFT_HOSTILE_TARGET`: `DIRECTORY:PORT`. */
function target(): readonly string[] {
  return (process.env['WEFT_HOSTILE_TARGET'] ?? '').split(':');
}

function targetDirectory(): string {
  return target()[0];
}

function targetPort(): number {
  return Number(target()[1]);
}

function query(fields: object): void {
  tell({ cmd: 'NODE_CLUSTER', act: 'queryServer', seq: 1, index: 0, fd: -1, flags: 0, data: null, ...fields });
}

function tell(message: unknown): void {
  process.send?.(message, undefined, undefined, () => undefined);
}
