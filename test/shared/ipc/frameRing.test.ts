/** The ring carries every frame in order across its end, refuses what does not fit, and survives a hostile writer. */
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { CHANNEL_BYTES, FrameReader, FrameWriter, RING_BYTES } from '../../../src/shared/ipc/frameRing.ts';
import {
  decodeFrame,
  FRAME_ALIGN,
  FRAME_BODY_BYTES_MAX,
  FrameKind,
  frameBytes,
  NO_ADDRESS,
} from '../../../src/shared/ipc/frames.ts';
import { Random } from '../../support/random.ts';

const HEAD_WORD = 0;
const TAIL_WORD = 16;

describe('a ring of frames', () => {
  let memory: ArrayBuffer;
  let writer: FrameWriter;
  let reader: FrameReader;

  beforeEach(() => {
    memory = new ArrayBuffer(CHANNEL_BYTES);
    writer = new FrameWriter(memory);
    reader = new FrameReader(memory);
  });

  function write(body: Uint8Array): boolean {
    return writer.write(FrameKind.Test, 1, 2, 0, NO_ADDRESS, NO_ADDRESS, body, 0, body.length);
  }

  function readBody(): Uint8Array | string | null {
    const bytes = reader.read();
    if (bytes === null || typeof bytes === 'string') {
      return bytes;
    }
    const frame = decodeFrame(bytes, 8);
    return typeof frame === 'string' || frame.kind !== 'test' ? 'no test' : frame.body;
  }

  it('shows nothing before it is published', () => {
    write(Uint8Array.of(1));
    expect(reader.read()).to.equal(null);
    writer.publish();
    expect(readBody()).to.deep.equal(Uint8Array.of(1));
    expect(reader.read()).to.equal(null);
  });

  it('keeps order and bytes through many turns of its memory', () => {
    const random = new Random(7);
    const expected: Uint8Array[] = [];
    for (let turn = 0; turn < 3000; turn++) {
      for (let count = random.below(4); count > 0; count--) {
        const body = random.bytes(random.below(random.bool() ? 64 : 2000));
        expect(write(body)).to.equal(true);
        expected.push(body);
      }
      writer.publish();
      for (let count = random.below(5); count > 0 && expected.length > 0; count--) {
        expect(readBody()).to.deep.equal(expected.shift());
      }
      while (expected.length > 50) {
        expect(readBody()).to.deep.equal(expected.shift());
      }
    }
  });

  it('refuses what does not fit, and takes it again when there is room', () => {
    const body = new Uint8Array(FRAME_BODY_BYTES_MAX);
    let count = 0;
    while (write(body)) {
      count++;
    }
    expect(count).to.equal(Math.floor(RING_BYTES / frameBytes(body.length)));
    expect(writer.freeBytes).to.be.lessThan(frameBytes(body.length));
    writer.publish();
    reader.read();
    expect(write(body)).to.equal(true);
    expect(write(body)).to.equal(false);
    expect(write(new Uint8Array(FRAME_BODY_BYTES_MAX + 1)), 'too long').to.equal(false);
  });

  it('may be filled to the last byte', () => {
    while (writer.freeBytes > 0) {
      expect(write(new Uint8Array(0))).to.equal(true);
    }
    expect(write(new Uint8Array(0))).to.equal(false);
    writer.publish();
    let count = 0;
    while (reader.read() !== null) {
      count++;
    }
    expect(count).to.equal(RING_BYTES / FRAME_ALIGN);
  });

  it('asks to be rung exactly when the reader may have stopped looking', () => {
    expect(writer.publish(), 'nothing new').to.equal(false);
    write(Uint8Array.of(1));
    expect(writer.publish(), 'the reader had all').to.equal(true);
    write(Uint8Array.of(2));
    expect(writer.publish(), 'the reader has more to read').to.equal(false);
    reader.read();
    write(Uint8Array.of(3));
    expect(writer.publish(), 'still').to.equal(false);
    reader.read();
    reader.read();
    write(Uint8Array.of(4));
    expect(writer.publish(), 'the reader had all again').to.equal(true);
  });

  it('starts anew for the next worker', () => {
    write(Uint8Array.of(1));
    writer.publish();
    reader.reset();
    expect(reader.read()).to.equal(null);
    writer = new FrameWriter(memory);
    write(Uint8Array.of(2));
    writer.publish();
    expect(readBody()).to.deep.equal(Uint8Array.of(2));
  });

  it('believes no head, whatever it is', () => {
    const words = new Int32Array(memory);
    const start = words[HEAD_WORD];
    for (const used of [1, 31, RING_BYTES + 32, -32, 0x7fff_ffe0, RING_BYTES - 1]) {
      words[HEAD_WORD] = start + used;
      expect(reader.read(), `${used} bytes`).to.match(/ring that holds/);
    }
  });

  it('reads no frame beyond the head', () => {
    write(new Uint8Array(100));
    writer.publish();
    new Int32Array(memory)[HEAD_WORD] -= FRAME_ALIGN;
    expect(reader.read()).to.match(/body has 100 bytes/);
  });

  it('does not care what happens to its tail', () => {
    write(Uint8Array.of(1));
    write(Uint8Array.of(2));
    writer.publish();
    new Int32Array(memory)[TAIL_WORD] = 12345;
    expect([readBody(), readBody(), readBody()]).to.deep.equal([Uint8Array.of(1), Uint8Array.of(2), null]);
  });

  it('hands out a copy that the writer cannot change', () => {
    write(Uint8Array.of(1, 2, 3));
    writer.publish();
    const frame = reader.read() as Uint8Array;
    const before = frame.slice();
    new Uint8Array(memory).fill(0xff);
    expect(frame).to.deep.equal(before);
  });
});
