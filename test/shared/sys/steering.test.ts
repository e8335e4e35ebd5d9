import { expect } from 'chai';
import { describe, it } from 'mocha';
import { BPF_INSTRUCTION_BYTES, steeringProgram } from '../../../src/shared/sys/steering.ts';

/** A classic BPF machine for the instructions that the kernel's verifier would also accept here. */
function run(program: Uint8Array, packet: Uint8Array): number {
  const code = new DataView(program.buffer);
  const data = new DataView(packet.buffer, packet.byteOffset, packet.length);
  let accumulator = 0;
  for (let at = 0; at < program.length / BPF_INSTRUCTION_BYTES; at++) {
    const offset = at * BPF_INSTRUCTION_BYTES;
    const operand = code.getUint32(offset + 4, true);
    const jump = (isTrue: boolean): number => code.getUint8(offset + (isTrue ? 2 : 3));
    switch (code.getUint16(offset, true)) {
      case 0x80:
        accumulator = packet.length;
        break;
      case 0x20:
        if (operand + 4 > packet.length) return 0;
        accumulator = data.getUint32(operand);
        break;
      case 0x28:
        if (operand + 2 > packet.length) return 0;
        accumulator = data.getUint16(operand);
        break;
      case 0x15:
        at += jump(accumulator === operand);
        break;
      case 0x35:
        at += jump(accumulator >= operand);
        break;
      case 0x94:
        accumulator %= operand;
        break;
      case 0x06:
        return operand;
      case 0x16:
        return accumulator;
      default:
        throw new Error(`unknown instruction ${code.getUint16(offset, true)}`);
    }
  }
  throw new Error('ran off the end');
}

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
    expect(run(program, header(0, 7))).to.equal(7 % 3);
    expect(run(program, header(0, 0xffffffff))).to.equal(0xffffffff % 3);
    expect(run(program, header(5, 7))).to.equal(5 % 3);
    expect(run(program, header(0xffff, 8))).to.equal(0xffff % 3);
  });

  it('spreads first messages, which have no index, by the key in them', () => {
    const program = steeringProgram(3);
    const packet = header(0, 0, 100);
    const counts = [0, 0, 0];
    for (let value = 0; value < 3000; value++) {
      new DataView(packet.buffer).setUint32(20, value * 0x9e3779b1);
      expect(run(program, packet)).to.equal(((value * 0x9e3779b1) >>> 0) % 3);
      counts[run(program, packet)]++;
    }
    expect(Math.min(...counts)).to.be.above(900);
    expect(run(program, header(0, 0, 23))).to.equal(0);
  });

  it('sends what is shorter than eight bytes to socket 0', () => {
    const program = steeringProgram(4);
    for (let length = 0; length < 8; length++) {
      expect(run(program, header(3, 3, length))).to.equal(0);
    }
    expect(run(program, header(3, 3, 8))).to.equal(3);
  });

  it('never names a socket that does not exist', () => {
    for (const sockets of [1, 2, 3, 7, 256]) {
      const program = steeringProgram(sockets);
      for (let value = 0; value < 2000; value++) {
        expect(run(program, header(value & 0xffff, value * 0x9e3779b1))).to.be.below(sockets);
      }
    }
  });
});
