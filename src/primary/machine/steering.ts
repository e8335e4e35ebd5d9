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
import { Bpf, encodeBpf } from '../../shared/sys/bpf.ts';

/** The program for a group of `sockets` sockets: its result is the number of a socket in the order of their binding. */
export function steeringProgram(sockets: number): Uint8Array {
  const labelOffset = 2;
  const indexOffset = 4;
  const keyOffset = 20;
  return encodeBpf([
    [Bpf.LoadLength, 0, 0, 0],
    [Bpf.JumpIfGreaterOrEqual, 0, 9, indexOffset + 4],
    [Bpf.LoadHalfWord, 0, 0, labelOffset],
    [Bpf.JumpIfEqual, 0, 5, 0],
    [Bpf.LoadWord, 0, 0, indexOffset],
    [Bpf.JumpIfEqual, 0, 3, 0],
    [Bpf.LoadLength, 0, 0, 0],
    [Bpf.JumpIfGreaterOrEqual, 0, 3, keyOffset + 4],
    [Bpf.LoadWord, 0, 0, keyOffset],
    [Bpf.Modulo, 0, 0, sockets],
    [Bpf.ReturnAccumulator, 0, 0, 0],
    [Bpf.ReturnConstant, 0, 0, 0],
  ]);
}
