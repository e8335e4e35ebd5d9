/**
 * The one place that turns a packet of a tunnel back into its body: replay check, decryption in place, claim.
 *
 * The window is checked before the AEAD (cheap) and claimed after it (exact): of all processes that receive the same
 * counter, one gets the body. A packet that is not authentic changes nothing. Runs per packet: no allocation.
 */

import { METRIC } from '../memory/metrics.ts';
import { checkCounter, claimCounter, Replay } from '../memory/replayWindow.ts';
import type { TunnelTable } from '../memory/tunnelTable.ts';
import type { Arena } from '../sys/arena.ts';
import { HEADER_BYTES, headerCounterHigh, headerCounterLow, TAG_BYTES } from '../wire/header.ts';
import type { TunnelContext } from './tunnelContext.ts';

/** Those of the replay window are its own numbers. */
export const OpenFault = {
  Duplicate: Replay.Duplicate,
  TooOld: Replay.TooOld,
  NotAuthentic: -3,
  TooShort: -4,
} as const;

/** Counters from here on (2^52) are beyond what any tunnel of this node or its peers lives to use. */
const COUNTER_HIGH_MAX = 2 ** 20;

/**
 * Opens the packet of `length` bytes at arena offset `offset`. Returns the length of the body, which then lies at
 * `offset + HEADER_BYTES`, or an OpenFault. In `metrics`, this process's column, it counts what the window learns from an
 * authentic packet: packets lost, and this one a duplicate or too old after all, as another process was faster.
 */
export function openPacket(
  arena: Arena,
  tunnels: TunnelTable,
  context: TunnelContext,
  offset: number,
  length: number,
  metrics: Float64Array,
): number {
  const bodyBytes = length - HEADER_BYTES - TAG_BYTES;
  if (bodyBytes < 0) {
    return OpenFault.TooShort;
  }
  const high = headerCounterHigh(arena.view, offset);
  // As a signed number it is never boxed on its way.
  const low = headerCounterLow(arena.view, offset) | 0;
  if (high >= COUNTER_HIGH_MAX) {
    return OpenFault.TooOld;
  }
  const window = tunnels.window(context.slot);
  const seen = checkCounter(tunnels.windows, window, high, low);
  if (seen !== Replay.Fresh) {
    return seen;
  }
  if (!context.receiveKey.open(offset, HEADER_BYTES, offset + HEADER_BYTES, bodyBytes, high, low)) {
    return OpenFault.NotAuthentic;
  }
  const claimed = claimCounter(tunnels.windows, window, high, low);
  if (claimed < 0) {
    metrics[
      claimed === Replay.Duplicate ? METRIC['network.packets.duplicate'] : METRIC['network.packets.out_of_window']
    ]++;
    return claimed;
  }
  metrics[METRIC['network.packets.lost']] += claimed;
  return bodyBytes;
}
