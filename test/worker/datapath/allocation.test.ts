/** Segmentation, coalescing and sealing allocate nothing per packet: measured on the heap, with a control. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Cipher } from '../../../src/shared/crypto/aead.ts';
import { PROVIDER_NAMES } from '../../../src/shared/crypto/providerNames.ts';
import { tryLoad } from '../../../src/shared/crypto/providers.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { Coalescer } from '../../../src/worker/offload/coalesce.ts';
import { Segmenter } from '../../../src/worker/offload/segment.ts';
import { buildPacket, cutPacket } from '../../support/innerPackets.ts';
import { least } from '../least.ts';

const Packets = 50;
const Rounds = 400;
/** Below any object, and above what the runtime itself needs now and then. */
const BytesMax = 8;

describe('the packet path', function () {
  this.timeout(60_000);

  const arena = new Arena(1 << 20);
  const { bytes } = arena;
  const At = 65536;
  const Far = 524288;
  const whole = buildPacket({ version: 4, protocol: 'tcp', payload: new Uint8Array(1000 * Packets), flags: 16 });
  const segments = cutPacket(whole, 1000);
  const head = whole.slice(0, 64);

  it('shows an allocation of one small object per packet to this measurement', () => {
    const kept: unknown[] = [null];
    const bytesPerPacket = measure(() => {
      for (let index = 0; index < Packets; index++) {
        kept[0] = { index };
      }
    });
    expect(bytesPerPacket).to.be.greaterThan(BytesMax);
  });

  it('segments without allocating', () => {
    const segmenter = new Segmenter(arena, 9000);
    bytes.set(whole, Far);
    const bytesPerPacket = measure(() => {
      bytes.set(head, Far);
      const count = segmenter.begin(Far, whole.length, 1, 1, 1000, 20, 16);
      for (let index = 0; index < count; index++) {
        segmenter.next();
      }
    });
    expect(bytesPerPacket).to.be.lessThan(BytesMax);
  });

  it('coalesces without allocating, in order or not', () => {
    let writes = 0;
    const count = (): number => ++writes;
    const sink = { write: count, beginGather: count, addPiece: (): boolean => true, finishGather: count };
    const coalescer = new Coalescer(arena, sink, { capacity: 256, joinsTcp: true, joinsUdp: true });
    for (let index = 0; index < Packets; index++) {
      bytes.set(segments[index], At + index * 2048);
    }
    const bytesPerPacket = measure(() => {
      bytes.set(segments[0], At);
      for (let index = 0; index < Packets; index++) {
        const place = index ^ 1;
        coalescer.add(At + place * 2048, segments[place].length, 3_000_000_000, 1, 0xffff_fff0 + place);
      }
      coalescer.flush();
    });
    expect(writes).to.be.greaterThan(Rounds);
    expect(bytesPerPacket).to.be.lessThan(BytesMax);
  });

  for (const name of PROVIDER_NAMES.filter((candidate) => candidate !== 'node')) {
    const { provider } = tryLoad(name);
    if (provider !== null) {
      it(`seals and opens with ${name} without allocating`, () => {
        const key = provider.createKey(Cipher.Aes256Gcm, new Uint8Array(32), arena);
        // An address above 2^31 is boxed on its way into a foreign call: 16 bytes each, dead at once.
        const limit = arena.address + arena.bytes.length < 2 ** 31 ? BytesMax : 160;
        const bytesPerPacket = measure(() => {
          for (let index = 0; index < Packets; index++) {
            // Halves of counters are signed on the packet path: unsigned ones are boxed from 2^31 on.
            key.seal(At, 16, At + 64, 200, Far, 7, index - Packets);
            key.open(At, 16, Far, 200, 7, index - Packets);
          }
        }, limit);
        key.destroy();
        expect(bytesPerPacket).to.be.lessThan(limit);
      });
    }
  }
});

/** Bytes of heap per packet that `work` (which handles `Packets`) takes once it is compiled; the least of some tries. */
function measure(work: () => void, limit: number = BytesMax): number {
  return least(limit, () => measureOnce(work));
}

function measureOnce(work: () => void): number {
  for (let round = 0; round < 4 * Rounds; round++) {
    work();
  }
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 5; attempt++) {
    const before = process.memoryUsage().heapUsed;
    for (let round = 0; round < Rounds; round++) {
      work();
    }
    const grown = process.memoryUsage().heapUsed - before;
    // A collection in between would hide what was allocated: such an attempt says nothing.
    least = grown >= 0 ? Math.min(least, grown / (Rounds * Packets)) : least;
  }
  return least;
}
