/** What the fuzz tests share: how long, from which seed, and how packets are spoilt. */
import type { Random } from '../support/random.ts';

/** `FUZZ_RUNS=1000000` for a long run; `FUZZ_SEED` to repeat one that failed. */
export const fuzzRuns = Number(process.env['FUZZ_RUNS'] ?? 100_000);
export const fuzzSeed = Number(process.env['FUZZ_SEED'] ?? 1);

/** Flips bits or sets fields of a packet in place, mostly in its first 64 bytes. */
export function spoil(random: Random, packet: Uint8Array): void {
  for (let count = random.below(4); count > 0 && packet.length > 0; count--) {
    const at = random.below(Math.min(packet.length, random.bool() ? 64 : packet.length));
    packet[at] = random.pick([packet[at] ^ (1 << random.below(8)), random.u32() & 0xff, 0, 0xff]);
  }
}
