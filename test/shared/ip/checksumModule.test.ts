/** The WebAssembly checksum against the one in JavaScript, which its own tests check against the definition. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { sumBytes } from '../../../src/shared/ip/checksum.ts';
import { assembleModule, instantiateSum, type WasmMemory, wasm } from '../../../src/shared/ip/checksumModule.ts';
import { plainMemory } from '../../../src/shared/ip/packetMemory.ts';
import { Random } from '../../support/random.ts';

describe('checksum module', () => {
  const memory = new wasm!.Memory({ initial: 2, maximum: 2 });
  const bytes = new Uint8Array(memory.buffer);
  const view = new DataView(memory.buffer);
  const sum = instantiateSum(memory)!;

  it('is valid WebAssembly of some hundred bytes', () => {
    const code = assembleModule();
    expect(wasm!.validate(code)).to.equal(true);
    expect(code.length).to.be.within(100, 1000);
  });

  it('equals the plain sum for every length around its steps, at any offset', () => {
    const random = new Random(1);
    bytes.set(random.bytes(8192));
    for (let length = 0; length <= 200; length++) {
      const offset = random.below(64);
      expect(sum(offset, length), `${length} bytes at ${offset}`).to.equal(sumBytes(view, offset, length));
    }
    for (let round = 0; round < 5000; round++) {
      const offset = random.below(4096);
      const length = random.below(4000);
      expect(sum(offset, length), `${length} bytes at ${offset}`).to.equal(sumBytes(view, offset, length));
    }
  });

  it('carries right when every bit is set or none, up to the largest packet', () => {
    for (const value of [0xff, 0]) {
      bytes.fill(value);
      for (const length of [0, 1, 2, 3, 15, 16, 17, 20, 63, 64, 65, 65534, 65535]) {
        expect(sum(1, length)).to.equal(sumBytes(view, 1, length));
      }
    }
    bytes.fill(0xff);
    expect(sum(0, 65534)).to.equal(0xffff);
  });

  it('keeps bytes in front of and behind the range out', () => {
    bytes.fill(0xaa);
    bytes.fill(0, 100, 200);
    expect(sum(100, 100)).to.equal(0);
    expect(sum(100, 101)).to.equal(0xaa00);
    expect(sum(99, 2)).to.equal(0xaa00);
  });

  it('throws for a range outside the memory and goes on working', () => {
    expect(() => sum(bytes.length - 4, 64)).to.throw('out of bounds');
    expect(() => sum(-16, 16)).to.throw('out of bounds');
    bytes.fill(0);
    expect(sum(bytes.length - 64, 64)).to.equal(0);
  });

  it('sees only the memory that it was given', () => {
    const other: WasmMemory = new wasm!.Memory({ initial: 1, maximum: 1 });
    bytes.fill(0);
    new Uint8Array(other.buffer).fill(1, 0, 2);
    expect([sum(0, 16), instantiateSum(other)!(0, 16)]).to.deep.equal([0, 0x0101]);
  });
});

describe('plain packet memory', () => {
  it('sums the bytes that it shows, wherever they lie in their buffer', () => {
    const whole = new Random(2).bytes(300);
    const memory = plainMemory(whole.subarray(33, 233));
    expect(memory.view.getUint8(0)).to.equal(whole[33]);
    expect(memory.sum(7, 101)).to.equal(sumBytes(new DataView(whole.buffer), whole.byteOffset + 40, 101));
  });
});
