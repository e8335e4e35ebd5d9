/** Random virtio headers before spoilt packets: the segmenter never throws, never leaves the packet, never lies. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { plainMemory } from '../../src/shared/ip/packetMemory.ts';
import { Segmenter, SegmentFault } from '../../src/worker/offload/segment.ts';
import {
  GsoType,
  VIRTIO_HEADER_BYTES,
  VirtioFlag,
  virtioChecksumOffset,
  virtioChecksumStart,
  virtioFlags,
  virtioGsoSize,
  virtioGsoType,
  writeVirtioHeader,
} from '../../src/worker/ports/virtio.ts';
import { buildPacket, isSound, randomPlan, transportStart } from '../support/innerPackets.ts';
import { Random } from '../support/random.ts';
import { fuzzRuns, fuzzSeed, spoil } from './fuzzing.ts';

const SegmentBytesMax = 1400;
const At = 128;
const Guard = 64;

describe('virtio headers and super-packets, fuzzed', () => {
  it(`survive ${fuzzRuns} runs of seed ${fuzzSeed}`, () => {
    const random = new Random(fuzzSeed);
    const bytes = new Uint8Array(1 << 16);
    const view = new DataView(bytes.buffer);
    const segmenter = new Segmenter(plainMemory(bytes), SegmentBytesMax);
    const faults = new Set<number>(Object.values(SegmentFault));
    const seen = new Set<number>();
    const pool = Array.from({ length: 200 }, () => {
      const plan = randomPlan(random, 1600);
      return { plan, packet: buildPacket(plan) };
    });
    let cutCount = 0;
    for (let run = 0; run < fuzzRuns; run++) {
      const { plan, packet } = random.pick(pool);
      const length = random.below(10) === 0 ? random.below(packet.length + 1) : packet.length;
      bytes.fill(0xa5, At - Guard, At + length + Guard);
      bytes.set(packet.subarray(0, length), At);
      const isSpoilt = random.below(3) > 0;
      if (isSpoilt) {
        spoil(random, bytes.subarray(At, At + length));
      }
      writeHeader(random, view, plan.protocol === 'udp', transportStart(packet), plan.version);
      const count = segmenter.begin(
        At,
        length,
        virtioFlags(view, 0),
        virtioGsoType(view, 0),
        virtioGsoSize(view, 0),
        virtioChecksumStart(view, 0),
        virtioChecksumOffset(view, 0),
      );
      if (count <= 0) {
        expect(faults.has(count), `fault ${count}`).to.equal(true);
        seen.add(count);
      } else {
        cutCount++;
        walk(segmenter, bytes, count, length, virtioGsoType(view, 0) !== 0);
      }
      expect(isGuardWhole(bytes, At - Guard) && isGuardWhole(bytes, At + length), `run ${run}`).to.equal(true);
    }
    // The runs reach every answer: otherwise they prove nothing.
    expect([...seen].sort()).to.deep.equal([...faults].sort());
    expect(cutCount).to.be.greaterThan(fuzzRuns / 10);
  }).timeout(120_000);
});

/** Every segment lies inside the packet, fits a slot, and is one its receiver accepts. */
function walk(segmenter: Segmenter, bytes: Uint8Array, count: number, length: number, isCut: boolean): void {
  for (let index = 0; index < count; index++) {
    segmenter.next();
    const { offset, length: bytesOfSegment } = segmenter;
    if (offset < At || offset + bytesOfSegment > At + length || bytesOfSegment > SegmentBytesMax) {
      expect.fail(`segment ${index} of ${count} at ${offset} with ${bytesOfSegment} bytes`);
    }
    const segment = bytes.subarray(offset, offset + bytesOfSegment);
    const hasPlainHeader = segment[0] >> 4 === 4 || segment[6] === 6 || segment[6] === 17;
    if (isCut && hasPlainHeader && !isSound(segment)) {
      expect.fail(`segment ${index} of ${count} is unsound: ${Buffer.from(segment).toString('hex')}`);
    }
  }
}

/** A header that fits the packet, one with a field changed, or pure noise. */
function writeHeader(random: Random, view: DataView, isUdp: boolean, start: number, version: 4 | 6): void {
  const type = isUdp ? GsoType.Udp : version === 4 ? GsoType.Tcp4 : GsoType.Tcp6;
  writeVirtioHeader(
    view,
    0,
    random.below(8) === 0 ? random.below(8) : VirtioFlag.NeedsChecksum,
    random.below(6) === 0 ? random.below(256) : random.below(4) === 0 ? 0 : type,
    random.below(65536),
    random.pick([0, 1 + random.below(30), 536, 536, 1248, 1248, random.below(2000)]),
    random.below(6) === 0 ? random.below(100) : start,
    isUdp ? 6 : 16,
  );
  if (random.below(12) === 0) {
    for (let at = 0; at < VIRTIO_HEADER_BYTES; at++) {
      view.setUint8(at, random.u32() & 0xff);
    }
  }
}

function isGuardWhole(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at < from + Guard; at++) {
    if (bytes[at] !== 0xa5) {
      return false;
    }
  }
  return true;
}
