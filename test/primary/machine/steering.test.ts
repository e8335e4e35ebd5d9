import { expect } from 'chai';
import { describe, it } from 'mocha';
import { steeringProgram } from '../../../src/primary/machine/steering.ts';
import { runBpf } from '../../support/bpf.ts';

function header(label: number, index: number, length = 16): Uint8Array {
  const packet = new Uint8Array(Math.max(length, 8));
  const view = new DataView(packet.buffer);
  view.setUint16(0, 0x1100);
  view.setUint16(2, label);
  view.setUint32(4, index);
  return packet.subarray(0, length);
}

describe('steeringProgram', () => {
  it('takes the label when there is one, else the index', () => {
    const program = steeringProgram(3);
    expect(runBpf(program, header(0, 7))).to.equal(7 % 3);
    expect(runBpf(program, header(0, 0xffffffff))).to.equal(0xffffffff % 3);
    expect(runBpf(program, header(5, 7))).to.equal(5 % 3);
    expect(runBpf(program, header(0xffff, 8))).to.equal(0xffff % 3);
  });

  it('spreads first messages, which have no index, by the key in them', () => {
    const program = steeringProgram(3);
    const packet = header(0, 0, 100);
    const counts = [0, 0, 0];
    for (let value = 0; value < 3000; value++) {
      new DataView(packet.buffer).setUint32(20, value * 0x9e3779b1);
      expect(runBpf(program, packet)).to.equal(((value * 0x9e3779b1) >>> 0) % 3);
      counts[runBpf(program, packet)]++;
    }
    expect(Math.min(...counts)).to.be.above(900);
    expect(runBpf(program, header(0, 0, 23))).to.equal(0);
  });

  it('sends what is shorter than eight bytes to socket 0', () => {
    const program = steeringProgram(4);
    for (let length = 0; length < 8; length++) {
      expect(runBpf(program, header(3, 3, length))).to.equal(0);
    }
    expect(runBpf(program, header(3, 3, 8))).to.equal(3);
  });

  it('never names a socket that does not exist', () => {
    for (const sockets of [1, 2, 3, 7, 256]) {
      const program = steeringProgram(sockets);
      for (let value = 0; value < 2000; value++) {
        expect(runBpf(program, header(value & 0xffff, value * 0x9e3779b1))).to.be.below(sockets);
      }
    }
  });
});
