/** Random frames and random memory: what is written is read, and what a hostile worker writes ends in a message or a fault. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CHANNEL_BYTES, FrameReader, FrameWriter, RING_BYTES } from '../../src/shared/ipc/frameRing.ts';
import { decodeFrame, FRAME_ALIGN, NO_ADDRESS } from '../../src/shared/ipc/frames.ts';
import type { FromWorker } from '../../src/shared/ipc/messages.ts';
import { frameOf, framesOfEachKind } from '../support/frameBytes.ts';
import { Random } from '../support/random.ts';
import { fuzzRuns, fuzzSeed, spoil } from './fuzzing.ts';

const TUNNELS = 4;
const HEAD_WORD = 0;
/** How much of the ring is made random: at most so much is read. */
const FILLED_BYTES = 1024;

describe(`frames, fuzzed (seed ${fuzzSeed})`, () => {
  it('spoilt, are a message of an allowed form or a fault, and never an exception', () => {
    const random = new Random(fuzzSeed);
    const kinds = new Set<string>();
    let faultCount = 0;
    for (let run = 0; run < fuzzRuns; run++) {
      const [fields] = random.pick(framesOfEachKind(random.bytes(16 + random.below(40))));
      const bytes = frameOf(fields);
      spoil(random, bytes);
      const frame = decodeFrame(
        random.below(20) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes,
        TUNNELS,
      );
      if (typeof frame === 'string') {
        faultCount++;
      } else {
        kinds.add(frame.kind);
        expectAllowed(frame);
      }
    }
    expect(faultCount).to.be.greaterThan(fuzzRuns / 10);
    expect([...kinds]).to.have.length(11);
  });

  it('of random bytes in the ring end, soon and in order', () => {
    const random = new Random(fuzzSeed + 1);
    const memory = new ArrayBuffer(CHANNEL_BYTES);
    const reader = new FrameReader(memory);
    const words = new Int32Array(memory);
    const ring = new Uint8Array(memory, CHANNEL_BYTES - RING_BYTES);
    const ends = { fault: 0, empty: 0 };
    for (let run = 0; run < fuzzRuns / 20; run++) {
      reader.reset();
      ring.set(random.bytes(FILLED_BYTES));
      for (let at = 0; at < FILLED_BYTES; at += FRAME_ALIGN) {
        // A length that may lead to the next head.
        ring[at + 3] = random.below(10) === 0 ? random.below(256) : 0;
      }
      words[HEAD_WORD] +=
        random.below(10) === 0 ? random.u32() : random.below(FILLED_BYTES / FRAME_ALIGN) * FRAME_ALIGN;
      let count = 0;
      let bytes = reader.read();
      while (bytes !== null && typeof bytes !== 'string' && count <= FILLED_BYTES / FRAME_ALIGN) {
        count++;
        decodeFrame(bytes, TUNNELS);
        bytes = reader.read();
      }
      expect(bytes, 'the end').not.to.be.instanceOf(Uint8Array);
      ends[bytes === null ? 'empty' : 'fault']++;
    }
    expect(ends.fault).to.be.greaterThan(100);
    expect(ends.empty).to.be.greaterThan(100);
  });

  it('well formed, go through the ring as they are', () => {
    const random = new Random(fuzzSeed + 2);
    const memory = new ArrayBuffer(CHANNEL_BYTES);
    const reader = new FrameReader(memory);
    const writer = new FrameWriter(memory);
    for (let run = 0; run < fuzzRuns / 10; run++) {
      const [fields, message] = random.pick(framesOfEachKind(random.bytes(16 + random.below(400))));
      const { kind, indexOrSlot = 0, generation = 0, port = 0, address = NO_ADDRESS } = fields;
      const { local = NO_ADDRESS, body = new Uint8Array(0) } = fields;
      const padded = Uint8Array.of(7, ...body, 7);
      expect(
        writer.write(kind as never, indexOrSlot, generation, port, address, local, padded, 1, body.length),
      ).to.equal(true);
      writer.publish();
      const bytes = reader.read();
      expect(bytes).to.be.instanceOf(Uint8Array);
      expect(decodeFrame(bytes as Uint8Array, TUNNELS)).to.deep.equal(message);
    }
  });
});

function expectAllowed(frame: FromWorker): void {
  if ('slot' in frame) {
    expect(frame.slot).to.be.within(0, TUNNELS - 1);
  }
  if ('port' in frame) {
    expect(frame.port).to.be.within(1, 65_535);
  }
  if ('address' in frame) {
    expect(frame.address).to.have.length(16);
  }
  if ('reason' in frame) {
    expect(frame.reason).to.match(/^[ -~]{0,512}$/);
  }
}
