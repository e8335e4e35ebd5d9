/** Frames for tests: the bytes of one, well formed or not, and values for each kind. */
import { FRAME_HEAD_BYTES, FrameKind, frameBytes, writeFrameHead } from '../../src/shared/ipc/frames.ts';
import type { FromWorker } from '../../src/shared/ipc/messages.ts';

/** The fields of a frame; zero where nothing is said. */
export interface FrameFields {
  readonly kind: number;
  readonly indexOrSlot?: number;
  readonly generation?: number;
  readonly port?: number;
  readonly address?: Uint8Array;
  readonly body?: Uint8Array;
}

export const ADDRESS: Uint8Array = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1);

/** One frame without its padding. */
export function frameOf(fields: FrameFields): Uint8Array {
  const body = fields.body ?? new Uint8Array(0);
  const bytes = new Uint8Array(frameBytes(body.length));
  writeFrameHead(
    new DataView(bytes.buffer),
    0,
    fields.kind as FrameKind,
    body.length,
    fields.indexOrSlot ?? 0,
    fields.generation ?? 0,
    fields.port ?? 0,
    fields.address ?? new Uint8Array(16),
  );
  bytes.set(body, FRAME_HEAD_BYTES);
  return bytes.subarray(0, FRAME_HEAD_BYTES + body.length);
}

/** One of each kind, as fields and as the message that it is. */
export function framesOfEachKind(body: Uint8Array): readonly (readonly [FrameFields, FromWorker])[] {
  const tunnel = { slot: 3, generation: -2 };
  const fields = { indexOrSlot: 3, generation: 0xffff_fffe };
  const endpoint = { address: ADDRESS, port: 4242 };
  return [
    [{ kind: FrameKind.Awake }, { kind: 'awake' }],
    [{ kind: FrameKind.Ready }, { kind: 'ready' }],
    [
      { kind: FrameKind.Failed, body: new TextEncoder().encode('no\nmore \u001b[31mß') },
      { kind: 'failed', reason: 'no?more ?[31m?' },
    ],
    [
      { kind: FrameKind.Handshake, ...endpoint, body },
      { kind: 'handshake', ...endpoint, bytes: body },
    ],
    [
      { kind: FrameKind.RecvError, ...endpoint, indexOrSlot: 0xffff_ffff },
      { kind: 'recvError', ...endpoint, index: 0xffff_ffff },
    ],
    [
      { kind: FrameKind.Roam, ...endpoint, ...fields },
      { kind: 'roam', ...endpoint, ...tunnel },
    ],
    [
      { kind: FrameKind.Close, ...fields },
      { kind: 'close', ...tunnel },
    ],
    [
      { kind: FrameKind.Lighthouse, ...fields, body },
      { kind: 'lighthouse', ...tunnel, body },
    ],
    [
      { kind: FrameKind.LighthouseAnswer, address: ADDRESS, body },
      { kind: 'lighthouseAnswer', address: ADDRESS, body },
    ],
    [
      { kind: FrameKind.Test, ...fields, body },
      { kind: 'test', ...tunnel, body },
    ],
    [
      { kind: FrameKind.Miss, address: ADDRESS },
      { kind: 'miss', address: ADDRESS },
    ],
  ];
}
