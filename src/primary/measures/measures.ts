/** What the primary measures beside what it counts: how long handshakes took, what tunnels carry. */
import type { SharedTables } from '../../shared/memory/layout.ts';
import { TunnelTrafficColumn } from '../../shared/memory/tunnelTraffic.ts';
import { MONOTONIC_OFFSET_MS } from '../../shared/sys/clock.ts';
import { HandshakeTimes } from './handshakeTimes.ts';
import { TunnelTraffic } from './tunnelTraffic.ts';

export class Measures {
  readonly handshakes: HandshakeTimes = new HandshakeTimes();
  readonly tunnels: TunnelTraffic;

  constructor({ traffic, capacities }: SharedTables) {
    const columns = traffic.map((cells) => new TunnelTrafficColumn(cells, MONOTONIC_OFFSET_MS));
    this.tunnels = new TunnelTraffic(columns, capacities.tunnels, MONOTONIC_OFFSET_MS);
  }
}
