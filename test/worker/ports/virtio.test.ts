import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  GsoType,
  VIRTIO_HEADER_BYTES,
  VirtioFlag,
  virtioChecksumOffset,
  virtioChecksumStart,
  virtioFlags,
  virtioGsoSize,
  virtioGsoType,
  writePlainVirtioHeader,
  writeVirtioHeader,
} from '../../../src/worker/ports/virtio.ts';
import { Random } from '../../support/random.ts';

describe('virtio header', () => {
  it('has ten bytes in the order and width of the kernel', () => {
    const bytes = new Uint8Array(12).fill(0xee);
    writeVirtioHeader(new DataView(bytes.buffer), 1, VirtioFlag.NeedsChecksum, GsoType.Tcp6, 60, 1208, 40, 16);
    expect(Buffer.from(bytes).toString('hex')).to.equal('ee' + '01043c00b80428001000' + 'ee');
    expect(VIRTIO_HEADER_BYTES).to.equal(10);
  });

  it('marks a plain packet as complete', () => {
    const bytes = new Uint8Array(10).fill(0xee);
    writePlainVirtioHeader(new DataView(bytes.buffer), 0);
    expect(Buffer.from(bytes).toString('hex')).to.equal('02000000000000000000');
  });

  it('reads what it writes', () => {
    const random = new Random(5);
    const view = new DataView(new ArrayBuffer(16));
    for (let round = 0; round < 500; round++) {
      const fields = [random.below(256), random.below(256)];
      fields.push(random.below(65536), random.below(65536), random.below(65536), random.below(65536));
      const offset = random.below(7);
      writeVirtioHeader(view, offset, fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]);
      expect([
        virtioFlags(view, offset),
        virtioGsoType(view, offset),
        view.getUint16(offset + 2, true),
        virtioGsoSize(view, offset),
        virtioChecksumStart(view, offset),
        virtioChecksumOffset(view, offset),
      ]).to.deep.equal(fields);
    }
  });
});
