/**
 * Which flow gives way in a full bucket of the conntrack table: a flow of the peer that has the most there.
 *
 * The table's seeded hash spreads every peer's flows over all buckets, so equal shares of a bucket are equal shares of
 * the table. There is no count of a peer's flows that a process could leave wrong when it dies. Runs when a new flow
 * meets a full bucket, with the bucket locked; allocates nothing.
 */
import { EXPIRY, ORIGIN, originOf, peerTagOf, ROW_WORDS } from './conntrackRow.ts';

/**
 * Of `count` rows with live flows from `firstRow` on, the one nearest to its expiry of the peer that has the most, the
 * new flow of `peer` counted in. So another peer loses a row only while it keeps as many as `peer` then has, or to one
 * that has none here.
 */
export function rowToGive(words: Int32Array, firstRow: number, count: number, peer: number): number {
  const own = peerTagOf(originOf(peer, 0));
  const end = firstRow + count * ROW_WORDS;
  let best = firstRow;
  let bestRank = -1;
  for (let row = firstRow; row < end; row += ROW_WORDS) {
    const tag = peerTagOf(words[row + ORIGIN]);
    // At a draw the new flow's peer gives: nothing is won by taking from another.
    let rank = tag === own ? 3 : 0;
    for (let other = firstRow; other < end; other += ROW_WORDS) {
      rank += peerTagOf(words[other + ORIGIN]) === tag ? 2 : 0;
    }
    if (rank > bestRank || (rank === bestRank && words[row + EXPIRY] < words[best + EXPIRY])) {
      best = row;
      bestRank = rank;
    }
  }
  return best;
}
