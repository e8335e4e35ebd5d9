/**
 * Which socket of a reuseport group gets a datagram: a classic BPF program over the first bytes of the payload.
 *
 *   | version+type 1 | subtype 1 | reserved 2 | index 4 | counter 8 | body …       (Nebula protocol: header)
 *
 * `reserved` carries the sender's flow label when it is not zero, so the flows of one tunnel spread over all workers,
 * each staying with one. Otherwise the tunnel's index decides: the tunnel stays with one worker even when its peer roams.
 * Index 0 is that of first messages, which know no tunnel: their body begins with a fresh public key, whose fifth to
 * eighth byte (a P-256 key starts with a constant) spread them, and repetitions of one stay with one worker.
 * What is too short for that (a punch) goes to socket 0. The program may be attached without privilege.
 */

/** struct sock_filter: code 2, jump if true 1, jump if false 1, operand 4. */
export const BPF_INSTRUCTION_BYTES = 8;

/** The program for a group of `sockets` sockets: its result is the number of a socket in the order of their binding. */
export function steeringProgram(sockets: number): Uint8Array {
  const labelOffset = 2;
  const indexOffset = 4;
  const keyOffset = 20;
  return encode([
    [LoadLength, 0, 0, 0],
    [JumpIfGreaterOrEqual, 0, 9, indexOffset + 4],
    [LoadHalfWord, 0, 0, labelOffset],
    [JumpIfEqual, 0, 5, 0],
    [LoadWord, 0, 0, indexOffset],
    [JumpIfEqual, 0, 3, 0],
    [LoadLength, 0, 0, 0],
    [JumpIfGreaterOrEqual, 0, 3, keyOffset + 4],
    [LoadWord, 0, 0, keyOffset],
    [Modulo, 0, 0, sockets],
    [ReturnAccumulator, 0, 0, 0],
    [ReturnConstant, 0, 0, 0],
  ]);
}

type Instruction = readonly [code: number, jumpIfTrue: number, jumpIfFalse: number, operand: number];

function encode(instructions: readonly Instruction[]): Uint8Array {
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

// Opcodes of classic BPF (Linux `Documentation/networking/filter.rst`). Loads are big endian, as the network is.
const LoadLength = 0x80;
const LoadWord = 0x20;
const LoadHalfWord = 0x28;
const JumpIfEqual = 0x15;
const JumpIfGreaterOrEqual = 0x35;
const Modulo = 0x94;
const ReturnConstant = 0x06;
const ReturnAccumulator = 0x16;
