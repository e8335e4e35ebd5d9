/** Frames for tests: the bytes of one, values for each kind, and a list of those that no worker may write. */
import {
  FRAME_BODY_BYTES_MAX,
  FRAME_HEAD_BYTES,
  FrameKind,
  frameBytes,
  REASON_BYTES_MAX,
  writeFrameHead,
} from '../../src/shared/ipc/frames.ts';
import type { FromWorker } from '../../src/shared/ipc/messages.ts';

/** The fields of a frame; zero where nothing is said. */
export interface FrameFields {
  readonly kind: number;
  readonly indexOrSlot?: number;
  readonly generation?: number;
  readonly port?: number;
  readonly address?: Uint8Array;
  readonly local?: Uint8Array;
  readonly body?: Uint8Array;
}

export const ADDRESS: Uint8Array = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1);

export const LOCAL: Uint8Array = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 22);

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
    fields.local ?? new Uint8Array(16),
  );
  bytes.set(body, FRAME_HEAD_BYTES);
  return bytes.subarray(0, FRAME_HEAD_BYTES + body.length);
}

/** One of each kind, as fields and as the message that it is. */
export function framesOfEachKind(body: Uint8Array): readonly (readonly [FrameFields, FromWorker])[] {
  const tunnel = { slot: 3, generation: -2 };
  const fields = { indexOrSlot: 3, generation: 0xffff_fffe };
  const endpoint = { address: ADDRESS, port: 4242, local: LOCAL };
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

const ENDPOINT = { address: ADDRESS, port: 1 };
const PACKET = new Uint8Array(16);
const TOO_LONG = new Uint8Array(FRAME_BODY_BYTES_MAX + 1);

/** What is wrong, the frame, and what the primary says of it. For tables of at most 10⁹ slots. */
export const MALFORMED_FRAMES: readonly (readonly [title: string, fields: FrameFields, complaint: RegExp])[] = [
  ['kind 0', { kind: 0 }, /kind 0$/],
  ['an unknown kind', { kind: 12 }, /kind 12$/],
  ['slot 10⁹', { kind: FrameKind.Test, indexOrSlot: 1e9 }, /slot 1000000000/],
  ['a roam from port 0', { kind: FrameKind.Roam, address: ADDRESS }, /port 0/],
  ['a handshake from port 0', { kind: FrameKind.Handshake, address: ADDRESS, body: PACKET }, /port 0/],
  [
    'a handshake shorter than a header',
    { kind: FrameKind.Handshake, ...ENDPOINT, body: new Uint8Array(15) },
    /15 bytes/,
  ],
  ['a body where none belongs', { kind: FrameKind.Close, body: Uint8Array.of(1) }, /1 bytes of body/],
  ['a body of one byte too many', { kind: FrameKind.Test, body: TOO_LONG }, /9002/],
  ['a reason of one byte too many', { kind: FrameKind.Failed, body: new Uint8Array(REASON_BYTES_MAX + 1) }, /513/],
  ['an index in a miss', { kind: FrameKind.Miss, indexOrSlot: 1 }, /index 1/],
  ['a generation in a miss', { kind: FrameKind.Miss, generation: 1 }, /nothing belongs/],
  ['a generation in a recv_error', { kind: FrameKind.RecvError, ...ENDPOINT, generation: 1 }, /nothing belongs/],
  ['a port in a close', { kind: FrameKind.Close, port: 1 }, /port 1/],
  ['an address in a close', { kind: FrameKind.Close, address: ADDRESS }, /nothing belongs/],
  ['an address in awake', { kind: FrameKind.Awake, address: ADDRESS }, /nothing belongs/],
];
