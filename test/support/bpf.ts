/** A classic BPF machine for the instructions that weft uses, as strict as the kernel's verifier would be about them. */
import { BPF_INSTRUCTION_BYTES } from '../../src/shared/sys/bpf.ts';

/** What the program returns for `data`; loads are big endian as of a packet, or little endian as of a system call. */
export function runBpf(program: Uint8Array, data: Uint8Array, isLittleEndian: boolean = false): number {
  const code = new DataView(program.buffer, program.byteOffset, program.length);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let accumulator = 0;
  for (let at = 0; at < program.length / BPF_INSTRUCTION_BYTES; at++) {
    const offset = at * BPF_INSTRUCTION_BYTES;
    const operand = code.getUint32(offset + 4, true);
    const jump = (isTrue: boolean): number => code.getUint8(offset + (isTrue ? 2 : 3));
    switch (code.getUint16(offset, true)) {
      case 0x80:
        accumulator = data.length;
        break;
      case 0x20:
        if (operand + 4 > data.length) return 0;
        accumulator = view.getUint32(operand, isLittleEndian);
        break;
      case 0x28:
        if (operand + 2 > data.length) return 0;
        accumulator = view.getUint16(operand, isLittleEndian);
        break;
      case 0x15:
        at += jump(accumulator === operand);
        break;
      case 0x35:
        at += jump(accumulator >= operand);
        break;
      case 0x45:
        at += jump((accumulator & operand) !== 0);
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
