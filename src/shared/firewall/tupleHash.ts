/**
 * One hash per packet, shared by the conntrack cache and the conntrack table.
 *
 * It is seeded, so that a peer cannot choose ports whose flows fall into one bucket. Two independent chains (local and
 * remote side) let the processor overlap the multiplications. Runs per packet: no allocation, no 64-bit arithmetic.
 */
import type { PacketTuple } from '../ip/packetTuple.ts';

/** A 32-bit signed hash of the flow's key; never 0, which tables use for "no entry". */
export function hashTuple(tuple: PacketTuple, seed: number): number {
  let local = mix(mix(seed, tuple.local3), (tuple.localPort << 16) | tuple.remotePort);
  let remote = mix(mix(seed ^ FACTOR_B, tuple.remote3), tuple.protocol | (tuple.isFragment ? 0x100 : 0));
  if (tuple.version === 6) {
    local = mix(mix(mix(local, tuple.local0), tuple.local1), tuple.local2);
    remote = mix(mix(mix(remote, tuple.remote0), tuple.remote1), tuple.remote2);
  }
  const hash = finish(local ^ Math.imul(remote ^ (remote >>> 15), FACTOR_C));
  return hash === 0 ? 1 : hash;
}

function mix(state: number, word: number): number {
  const mixed = Math.imul(state ^ word, FACTOR_A);
  return mixed ^ (mixed >>> 15);
}

function finish(state: number): number {
  const mixed = Math.imul(state ^ (state >>> 16), FACTOR_A);
  const again = Math.imul(mixed ^ (mixed >>> 15), FACTOR_C);
  return again ^ (again >>> 16);
}

/** Odd multipliers with good avalanche (the first also serves Nebula's own balancing hash). */
const FACTOR_A = 0x21f0aaad;
const FACTOR_B = 0x735a2d97;
const FACTOR_C = 0x2c1b3c6d;
