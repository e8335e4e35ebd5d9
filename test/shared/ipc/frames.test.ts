/** Frames say what was written into them, and whatever a worker may not write is refused, one byte too many included. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { decodeFrame, FRAME_BODY_BYTES_MAX, FrameKind, REASON_BYTES_MAX } from '../../../src/shared/ipc/frames.ts';
import { ADDRESS, type FrameFields, frameOf, framesOfEachKind } from '../../support/frameBytes.ts';

const TUNNELS = 8;

describe('frames', () => {
  const endpoint = { address: ADDRESS, port: 1 };
  const packet = new Uint8Array(16);

  it('of every kind come out as they went in', () => {
    for (const [fields, message] of framesOfEachKind(Uint8Array.from({ length: 200 }, (_, at) => at))) {
      expect(decodeFrame(frameOf(fields), TUNNELS)).to.deep.equal(message);
    }
  });

  it('hand out bodies that are nobody else’s', () => {
    const bytes = frameOf({ kind: FrameKind.Test, body: Uint8Array.of(1, 2, 3) });
    const frame = decodeFrame(bytes, TUNNELS);
    bytes.fill(9);
    expect(frame).to.deep.equal({ kind: 'test', slot: 0, generation: 0, body: Uint8Array.of(1, 2, 3) });
  });

  const refused: readonly (readonly [title: string, fields: FrameFields, complaint: RegExp])[] = [
    ['kind 0', { kind: 0 }, /kind 0$/],
    ['an unknown kind', { kind: 12 }, /kind 12$/],
    ['a slot beyond the table', { kind: FrameKind.Close, indexOrSlot: TUNNELS }, /slot 8/],
    ['slot 10⁹', { kind: FrameKind.Test, indexOrSlot: 1e9 }, /slot 1000000000/],
    ['a roam from port 0', { kind: FrameKind.Roam, address: ADDRESS }, /port 0/],
    ['a handshake from port 0', { kind: FrameKind.Handshake, address: ADDRESS, body: packet }, /port 0/],
    ['a handshake shorter than a header', { kind: FrameKind.Handshake, ...endpoint, body: new Uint8Array(15) }, /15 b/],
    ['a body where none belongs', { kind: FrameKind.Close, body: Uint8Array.of(1) }, /1 bytes of body/],
    ['a body of one byte too many', { kind: FrameKind.Test, body: new Uint8Array(FRAME_BODY_BYTES_MAX + 1) }, /9002/],
    ['a reason too long', { kind: FrameKind.Failed, body: new Uint8Array(REASON_BYTES_MAX + 1) }, /513/],
    ['an index in a miss', { kind: FrameKind.Miss, indexOrSlot: 1 }, /index 1/],
    ['a generation in a miss', { kind: FrameKind.Miss, generation: 1 }, /nothing belongs/],
    ['a generation in a recv_error', { kind: FrameKind.RecvError, ...endpoint, generation: 1 }, /nothing belongs/],
    ['a port in a close', { kind: FrameKind.Close, port: 1 }, /port 1/],
    ['an address in a close', { kind: FrameKind.Close, address: ADDRESS }, /nothing belongs/],
    ['an address in awake', { kind: FrameKind.Awake, address: ADDRESS }, /nothing belongs/],
  ];
  for (const [title, fields, complaint] of refused) {
    it(`are refused with ${title}`, () => {
      expect(decodeFrame(frameOf(fields), TUNNELS)).to.match(complaint);
    });
  }

  it('are refused when any byte that is to be zero is not', () => {
    for (const at of [1, 14, 15]) {
      const bytes = frameOf({ kind: FrameKind.Miss, address: ADDRESS });
      bytes[at] = 1;
      expect(decodeFrame(bytes, TUNNELS), `byte ${at}`).to.match(/nothing belongs/);
    }
  });

  it('are refused with a length that is not theirs', () => {
    const bytes = frameOf({ kind: FrameKind.Test, body: Uint8Array.of(1, 2, 3) });
    expect(decodeFrame(bytes.subarray(0, -1), TUNNELS)).to.match(/says it has 3/);
    expect(decodeFrame(bytes.subarray(0, 31), TUNNELS)).to.match(/31 bytes/);
    expect(decodeFrame(new Uint8Array(0), TUNNELS)).to.match(/0 bytes/);
  });
});
