/** Frames say what was written into them, and whatever a worker may not write is refused, one byte too many included. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { decodeFrame, FrameKind } from '../../../src/shared/ipc/frames.ts';
import { ADDRESS, frameOf, framesOfEachKind, MALFORMED_FRAMES } from '../../support/frameBytes.ts';

const TUNNELS = 8;

describe('frames', () => {
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

  for (const [title, fields, complaint] of MALFORMED_FRAMES) {
    it(`are refused with ${title}`, () => {
      expect(decodeFrame(frameOf(fields), TUNNELS)).to.match(complaint);
    });
  }

  it('are refused with the first slot beyond the table', () => {
    expect(decodeFrame(frameOf({ kind: FrameKind.Close, indexOrSlot: TUNNELS - 1 }), TUNNELS)).to.be.an('object');
    expect(decodeFrame(frameOf({ kind: FrameKind.Close, indexOrSlot: TUNNELS }), TUNNELS)).to.match(/slot 8/);
  });

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
