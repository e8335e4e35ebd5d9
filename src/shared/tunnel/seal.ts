/**
 * The one place that turns a body into a packet of a tunnel: header, encryption, tag.
 *
 * Workers call it for data, test replies and lighthouse answers; the primary for its own messages. The counter has been
 * reserved by the caller (`reserveCounters`), once for a whole batch. Runs per packet: no allocation, no failure.
 * (Nebula protocol: encrypted message layout.)
 */

import type { CounterWords } from '../memory/sendCounter.ts';
import type { Arena } from '../sys/arena.ts';
import { HEADER_BYTES, TAG_BYTES, writeHeader } from '../wire/header.ts';
import type { TunnelContext } from './tunnelContext.ts';

/** What a packet adds to its body. */
export const SEAL_OVERHEAD_BYTES: number = HEADER_BYTES + TAG_BYTES;

/**
 * Writes the packet at arena offset `target` and returns its length, `length + SEAL_OVERHEAD_BYTES`. The body of
 * `length` bytes lies at `source`, which must be `target + HEADER_BYTES` or not overlap the packet. `label` goes into
 * the header's reserved field (0: none); `counter` must never have been used with this tunnel.
 */
export function sealPacket(
  arena: Arena,
  context: TunnelContext,
  type: number,
  subtype: number,
  label: number,
  counter: CounterWords,
  source: number,
  length: number,
  target: number,
): number {
  const high = counter[0];
  const low = counter[1];
  writeHeader(arena.view, target, type, subtype, label, context.remoteIndex, high, low);
  context.sendKey.seal(target, HEADER_BYTES, source, length, target + HEADER_BYTES, high, low);
  return length + SEAL_OVERHEAD_BYTES;
}
