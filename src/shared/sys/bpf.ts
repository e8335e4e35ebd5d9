/**
 * Classic BPF, the kernel's small filter language, as bytes: the instructions that weft's two programs are made of.
 *
 *   | code 2 | jump if true 1 | jump if false 1 | operand 4 |      struct sock_filter, little endian
 *
 * A jump counts the instructions that it skips. Opcodes: Linux `Documentation/networking/filter.rst`.
 */

export const BPF_INSTRUCTION_BYTES = 8;

export type Instruction = readonly [code: number, jumpIfTrue: number, jumpIfFalse: number, operand: number];

export const Bpf = {
  LoadLength: 0x80,
  /** From an offset of the filtered bytes: big endian of a packet, as the machine has it of a system call. */
  LoadWord: 0x20,
  LoadHalfWord: 0x28,
  JumpIfEqual: 0x15,
  JumpIfGreaterOrEqual: 0x35,
  /** Whether any bit of the operand is set. */
  JumpIfAnyBit: 0x45,
  Modulo: 0x94,
  ReturnConstant: 0x06,
  ReturnAccumulator: 0x16,
} as const;

export function encodeBpf(instructions: readonly Instruction[]): Uint8Array {
  const program = new Uint8Array(instructions.length * BPF_INSTRUCTION_BYTES);
  const view = new DataView(program.buffer);
  for (const [index, [code, jumpIfTrue, jumpIfFalse, operand]] of instructions.entries()) {
    const offset = index * BPF_INSTRUCTION_BYTES;
    view.setUint16(offset, code, true);
    view.setUint8(offset + 2, jumpIfTrue);
    view.setUint8(offset + 3, jumpIfFalse);
    view.setUint32(offset + 4, operand, true);
  }
  return program;
}
