/**
 * What a worker tells the primary, as bytes: a head of 64 bytes of a fixed form, then a body of bounded length.
 *
 *   |  0 kind | zero | 2 body length | 4 index or slot  | 8 generation     |
 *   | 12 port | 14 zero              | 16 address (16 bytes)              |
 *   | 32 local address (16 bytes)    | 48 zero (16 bytes)                 |
 *   | 64 body …                      | padding to a multiple of 64         |
 *
 * The local address is the one of this machine that a datagram came to; zero when nobody asked for it.
 *
 * Numbers are little-endian. What a kind has no use for is zero. The worker that writes runs unprivileged and may have
 * been taken over, so the primary believes nothing: `decodeFrame` takes any bytes, and anything out of form is a fault
 * that ends the worker. Hence a worker must never let a stranger's packet decide whether a frame is well formed.
 *
 * Bytes in, values out: no clock, no descriptor, no shared memory (`frameRing.ts` moves frames between processes).
 */
import type { FromWorker } from './messages.ts';

export const FrameKind = {
  Awake: 1,
  Ready: 2,
  Failed: 3,
  Handshake: 4,
  RecvError: 5,
  Roam: 6,
  Close: 7,
  Lighthouse: 8,
  LighthouseAnswer: 9,
  Test: 10,
  Miss: 11,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

export const FRAME_HEAD_BYTES = 64;
/** Heads and frames are multiples of this, so a head never wraps in a ring whose size is one too. */
export const FRAME_ALIGN = 64;
/** The longest packet that Nebula sends or takes, headers included. */
export const FRAME_BODY_BYTES_MAX = 9001;
/** Of the reason for which a worker cannot go on, as UTF-8. */
export const REASON_BYTES_MAX = 512;

/** An address for kinds that have none. */
export const NO_ADDRESS: Uint8Array = new Uint8Array(16);

/** Bytes that a frame takes, padding included. */
export function frameBytes(bodyLength: number): number {
  return Math.ceil((FRAME_HEAD_BYTES + bodyLength) / FRAME_ALIGN) * FRAME_ALIGN;
}

/** Writes all 64 bytes of a head; `address` and `local` have 16 bytes. No allocation. */
export function writeFrameHead(
  view: DataView,
  offset: number,
  kind: FrameKind,
  bodyLength: number,
  indexOrSlot: number,
  generation: number,
  port: number,
  address: Uint8Array,
  local: Uint8Array,
): void {
  view.setUint16(offset, kind, true);
  view.setUint16(offset + 2, bodyLength, true);
  view.setUint32(offset + 4, indexOrSlot, true);
  view.setUint32(offset + 8, generation, true);
  view.setUint32(offset + 12, port, true);
  for (let index = 0; index < 16; index++) {
    view.setUint8(offset + 16 + index, address[index]);
    view.setUint8(offset + 32 + index, local[index]);
    view.setUint8(offset + 48 + index, 0);
  }
}

/** The length that a head claims, of any bytes: to be compared with `FRAME_BODY_BYTES_MAX` first. */
export function frameBodyLength(view: DataView, offset: number): number {
  return view.getUint16(offset + 2, true);
}

/**
 * The message in `bytes`, which are exactly one frame without its padding; or, as text, what is wrong with it. Bodies
 * are copies. `tunnels` is the count of slots. Never throws.
 */
export function decodeFrame(bytes: Uint8Array, tunnels: number): FromWorker | string {
  if (bytes.length < FRAME_HEAD_BYTES) {
    return `a frame of ${bytes.length} bytes`;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const kind = view.getUint8(0);
  const shape = SHAPES[kind];
  if (shape === undefined) {
    return `a frame of kind ${kind}`;
  }
  const fault = headFault(view, shape, tunnels);
  return fault === null ? messageOf(kind as FrameKind, view, bytes) : `a frame of kind ${kind} with ${fault}`;
}

function headFault(view: DataView, shape: Shape, tunnels: number): string | null {
  const bodyLength = frameBodyLength(view, 0);
  const first = view.getUint32(4, true);
  const port = view.getUint16(12, true);
  if (bodyLength !== view.byteLength - FRAME_HEAD_BYTES) {
    return `${view.byteLength - FRAME_HEAD_BYTES} bytes of body that says it has ${bodyLength}`;
  }
  if (bodyLength < shape.bodyBytesMin || bodyLength > shape.bodyBytesMax) {
    return `${bodyLength} bytes of body`;
  }
  if (shape.isTunnel ? first >= tunnels : first !== 0 && !shape.hasIndex) {
    return `${shape.isTunnel ? 'slot' : 'index'} ${first}`;
  }
  if (shape.hasPort ? port === 0 : port !== 0) {
    return `port ${port}`;
  }
  const isClean =
    view.getUint8(1) === 0 &&
    view.getUint16(14, true) === 0 &&
    (shape.isTunnel || view.getUint32(8, true) === 0) &&
    (shape.hasAddress || isZero(view, 16, 32)) &&
    (shape.hasPort || isZero(view, 32, 48)) &&
    isZero(view, 48, FRAME_HEAD_BYTES);
  return isClean ? null : 'something where nothing belongs';
}

function messageOf(kind: FrameKind, view: DataView, bytes: Uint8Array): FromWorker {
  const slot = view.getUint32(4, true);
  // Shared tables keep generations as signed words.
  const generation = view.getInt32(8, true);
  const port = view.getUint16(12, true);
  const address = bytes.slice(16, 32);
  const local = bytes.slice(32, 48);
  const body = bytes.slice(FRAME_HEAD_BYTES);
  switch (kind) {
    case FrameKind.Awake:
      return { kind: 'awake' };
    case FrameKind.Ready:
      return { kind: 'ready' };
    case FrameKind.Failed:
      return { kind: 'failed', reason: printable(body) };
    case FrameKind.Handshake:
      return { kind: 'handshake', bytes: body, address, port, local };
    case FrameKind.RecvError:
      return { kind: 'recvError', index: slot, address, port, local };
    case FrameKind.Roam:
      return { kind: 'roam', slot, generation, address, port, local };
    case FrameKind.Close:
      return { kind: 'close', slot, generation };
    case FrameKind.Lighthouse:
      return { kind: 'lighthouse', slot, generation, body };
    case FrameKind.LighthouseAnswer:
      return { kind: 'lighthouseAnswer', address, body };
    case FrameKind.Test:
      return { kind: 'test', slot, generation, body };
    case FrameKind.Miss:
      return { kind: 'miss', address };
  }
}

/** Neither a terminal nor a log may obey what a worker wrote. */
function printable(text: Uint8Array): string {
  return new TextDecoder().decode(text).replaceAll(/[^ -~]/g, '?');
}

function isZero(view: DataView, start: number, end: number): boolean {
  for (let word = start; word < end; word += 4) {
    if (view.getUint32(word) !== 0) {
      return false;
    }
  }
  return true;
}

/** What a kind has; everything else in its head is zero. */
interface Shape {
  readonly isTunnel: boolean;
  readonly hasIndex: boolean;
  readonly hasPort: boolean;
  readonly hasAddress: boolean;
  readonly bodyBytesMin: number;
  readonly bodyBytesMax: number;
}

const BARE: Shape = {
  isTunnel: false,
  hasIndex: false,
  hasPort: false,
  hasAddress: false,
  bodyBytesMin: 0,
  bodyBytesMax: 0,
};
const TUNNEL: Shape = { ...BARE, isTunnel: true };
const ENDPOINT: Shape = { ...BARE, hasPort: true, hasAddress: true };
/** A Nebula header. */
const HANDSHAKE_BYTES_MIN = 16;

const SHAPES: Readonly<Record<number, Shape | undefined>> = {
  [FrameKind.Awake]: BARE,
  [FrameKind.Ready]: BARE,
  [FrameKind.Failed]: { ...BARE, bodyBytesMax: REASON_BYTES_MAX },
  [FrameKind.Handshake]: { ...ENDPOINT, bodyBytesMin: HANDSHAKE_BYTES_MIN, bodyBytesMax: FRAME_BODY_BYTES_MAX },
  [FrameKind.RecvError]: { ...ENDPOINT, hasIndex: true },
  [FrameKind.Roam]: { ...ENDPOINT, isTunnel: true },
  [FrameKind.Close]: TUNNEL,
  [FrameKind.Lighthouse]: { ...TUNNEL, bodyBytesMax: FRAME_BODY_BYTES_MAX },
  [FrameKind.LighthouseAnswer]: { ...BARE, hasAddress: true, bodyBytesMax: FRAME_BODY_BYTES_MAX },
  [FrameKind.Test]: { ...TUNNEL, bodyBytesMax: FRAME_BODY_BYTES_MAX },
  [FrameKind.Miss]: { ...BARE, hasAddress: true },
};
