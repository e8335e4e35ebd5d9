/**
 * Which live flows other rules would end: `weft firewall diff`, before a reload takes effect.
 *
 * Reads the table and asks the new rules what the data path would ask after the reload. Changes nothing. Cold.
 */

import type { PeerView } from '../../shared/firewall/peerView.ts';
import type { RuleTable } from '../../shared/firewall/ruleTable.ts';
import type { IpAddress } from '../../shared/ip/address.ts';
import type { FlowRecord } from '../../shared/memory/conntrackRow.ts';
import { type PacketText, packetText, remoteAddress } from './packetText.ts';

/** A flow whose re-check would fail. */
export interface CutFlow {
  readonly packet: PacketText;
  /** Whether the peer opened it. */
  readonly incoming: boolean;
  readonly expirySeconds: number;
  /** A rule of the other direction would let it in again, as a new flow. */
  readonly reopens: boolean;
}

/**
 * The flows that `rules` would cut. `peerOf` names the peer of a remote address, null when there is no tunnel to it:
 * such a flow is left out, because it carries nothing anyway.
 */
export function cutFlows(
  flows: Iterable<FlowRecord>,
  rules: RuleTable,
  peerOf: (remote: IpAddress) => PeerView | null,
): readonly CutFlow[] {
  const cut: CutFlow[] = [];
  for (const flow of flows) {
    const compiled = peerOf(remoteAddress(flow.tuple))?.rulesOf(rules);
    if (compiled !== undefined && compiled.match(flow.tuple, flow.incoming) < 0) {
      cut.push({
        packet: packetText(flow.tuple),
        incoming: flow.incoming,
        expirySeconds: flow.expirySeconds,
        reopens: compiled.match(flow.tuple, !flow.incoming) >= 0,
      });
    }
  }
  return cut;
}
