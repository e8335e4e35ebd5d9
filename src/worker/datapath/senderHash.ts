/**
 * Hashes of who sends: an underlay address whatever the port, and a vpn address. They choose among a fixed number of
 * quotas (`Quotas`), so two senders may share one; the seed is random, so nobody can aim at the quota of another.
 */
import { MAPPED_WORD } from '../../shared/ip/networkWords.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import { SocketFamily } from '../../shared/tunnel/socketAddress.ts';

/** The underlay address at socket address `source`; an IPv6 sender is its /64, which one host commonly has to itself. */
export function sourceHash(arena: Arena, family: SocketFamily, source: number, seed: number): number {
  const { view } = arena;
  if (family === SocketFamily.Ipv4) {
    return mix(mix(seed, MAPPED_WORD), view.getInt32(source + 4));
  }
  const w0 = view.getInt32(source + 8);
  const w1 = view.getInt32(source + 12);
  const isMapped = w0 === 0 && w1 === 0 && view.getInt32(source + 16) === MAPPED_WORD;
  return isMapped ? mix(mix(seed, MAPPED_WORD), view.getInt32(source + 20)) : mix(mix(seed, w0), w1);
}

/** A vpn address as words, mixed into `seed`, which may be another hash. */
export function addressHash(seed: number, a0: number, a1: number, a2: number, a3: number): number {
  return mix(mix(mix(mix(seed, a0), a1), a2), a3);
}

function mix(state: number, word: number): number {
  const mixed = Math.imul(state ^ word ^ (word >>> 16), 0x21f0aaad);
  return mixed ^ (mixed >>> 15);
}
