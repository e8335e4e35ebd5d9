import { expect } from 'chai';
import { describe, it } from 'mocha';
import { instantiateSum } from '../../../src/shared/ip/checksumModule.ts';
import { addressOf, viewMemory } from '../../../src/shared/sys/libc.ts';
import { lowMapping } from '../../../src/shared/sys/mapping.ts';
import { aliasedMemory } from '../../../src/shared/sys/wasmAlias.ts';

const Bytes = 1 << 20;

describe('WebAssembly memory over an arena', () => {
  it('has the bytes that were there before, and every later write on either side', () => {
    const address = lowMapping(Bytes);
    const low = new Uint8Array(viewMemory(address, Bytes));
    low[4096] = 17;
    low[Bytes - 1] = 19;
    const memory = aliasedMemory(address, Bytes)!;
    const own = new Uint8Array(memory.buffer);
    expect([own[4096], own[Bytes - 1], addressOf(memory.buffer) === address]).to.deep.equal([17, 19, false]);
    for (let at = 0; at < Bytes; at += 4093) {
      low[at] = at & 0xff;
      own[at + 1] = ~at & 0xff;
    }
    expect(own).to.deep.equal(low);
    expect(own[4093]).to.equal(4093 & 0xff);
  });

  it('survives collections of garbage, and two do not mix', () => {
    const sums = [0x11, 0x2200].map((word) => {
      const address = lowMapping(65536);
      new DataView(viewMemory(address, 65536)).setUint16(60000, word);
      return instantiateSum(aliasedMemory(address, 65536)!)!;
    });
    for (let round = 0; round < 50; round++) {
      new Array(200_000).fill({ round });
      expect(sums.map((sum) => sum(60000, 16))).to.deep.equal([0x11, 0x2200]);
    }
  });

  it('is refused where the pages cannot be shown again', () => {
    const buffer = new ArrayBuffer(Bytes);
    expect(aliasedMemory(addressOf(buffer) - (addressOf(buffer) % 4096), 65536)).to.equal(null);
  });
});
