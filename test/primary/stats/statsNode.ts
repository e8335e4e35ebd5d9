/** A node with something to tell in every metric: a peer that talked, a lighthouse, rules, drops. */

import { ENTRIES } from '../../../src/primary/boundary.ts';
import { DNS_COUNTERS } from '../../../src/shared/memory/dnsCounters.ts';
import { METRIC } from '../../../src/shared/memory/metrics.ts';
import { TunnelTrafficColumn } from '../../../src/shared/memory/tunnelTraffic.ts';
import { MONOTONIC_OFFSET_MS } from '../../../src/shared/sys/clock.ts';
import { HEADER_BYTES } from '../../../src/shared/wire/header.ts';
import { InspectedNode } from '../inspectedNode.ts';

export class StatsNode extends InspectedNode {
  constructor(tree: Readonly<Record<string, unknown>> = {}) {
    super({
      lighthouse: { am_lighthouse: true },
      listen: { port: 4242 },
      firewall: {
        inbound: [{ port: 443, proto: 'tcp', group: 'staff' }],
        outbound: [{ port: 'any', proto: 'any', host: 'any' }],
      },
      ...tree,
    });
    const names = [
      ...ENTRIES.map((entry) => `boundary.${entry}`),
      ...DNS_COUNTERS,
      'handshakes.rejected.wrong_host',
      'recv_errors.accepted',
    ];
    for (const name of names) {
      this.counts.set(name, 1);
    }
    this.measures.handshakes.add(12);
    const quiet = this.connect({ name: 'quiet "one"\\\n', networks: ['10.0.0.3/24'] }, '192.0.2.3:4242', 78);
    const busy = this.connect({ name: 'busy', networks: ['10.0.0.2/24'], groups: ['staff'] }, '192.0.2.2:4242', 77);
    const worker = new TunnelTrafficColumn(this.tables.traffic[1], MONOTONIC_OFFSET_MS);
    worker.sent(quiet.slot, HEADER_BYTES);
    worker.received(busy.slot, 1300);
    this.measures.tunnels.sent(busy.slot, 48);
    this.measures.tunnels.testSent(busy.slot, 1000);
    worker.answered(busy.slot, 1020);
    this.tables.metrics.column(0)[METRIC['messages.tx.punchy']] = 3;
    this.tables.metrics.column(2)[METRIC['messages.tx.punchy']] = 4;
    this.tables.metrics.column(1)[METRIC['drop.rx.replay']] = 5;
    this.tables.metrics.column(1)[METRIC['drop.rx.too_old']] = 6;
    this.tables.metrics.column(1)[METRIC['udp.rx.packets']] = 70;
    this.tables.firewallCounters[0][10] = 1;
    this.tables.firewallCounters[1][11] = 2;
  }
}
