import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { TunnelRecord } from '../../../src/primary/control/tunnels/tunnelStore.ts';
import { TunnelRows } from '../../../src/primary/tables/tunnelRows.ts';
import { endpointOf, parseAddress } from '../../../src/shared/ip/address.ts';
import { addressWords } from '../../../src/shared/ip/networkWords.ts';
import { initializeShared, type SharedTables } from '../../../src/shared/memory/layout.ts';
import { makeCa, makeHost } from '../../support/certificates.ts';
import { privateMemories } from '../../support/memories.ts';
import { Random } from '../../support/random.ts';

function setUp(tunnels = 3): { tables: SharedTables; rows: TunnelRows; record: (index: number) => TunnelRecord } {
  const capacities = { workers: 2, tunnels, flows: 64, lighthouseHosts: 1 };
  const tables = initializeShared(privateMemories(capacities), capacities);
  const random = new Random(1);
  const { certificate } = makeHost(random, makeCa(random));
  const record = (index: number): TunnelRecord => ({
    localIndex: index,
    remoteIndex: index + 1,
    cipher: 0,
    sendKey: new Uint8Array(32).fill(1),
    receiveKey: new Uint8Array(32).fill(2),
    certificate,
    endpoint: endpointOf(parseAddress('192.0.2.9')!, 4242),
    isInitiator: true,
    isConfirmed: true,
  });
  return { tables, rows: new TunnelRows(tables), record };
}

describe('tunnel rows', () => {
  it('publish a tunnel under its index, and its host when told', () => {
    const { tables, rows, record } = setUp();
    const slot = rows.publish(record(0x1234));
    expect(tables.indexes.lookup(0x1234)).to.equal(slot);
    expect([tables.tunnels.endpointPort(slot), rows.count]).to.deep.equal([4242, 1]);
    const host = parseAddress('10.1.2.3')!;
    const [a0, a1, a2, a3] = addressWords([host]);
    expect(tables.hosts.lookup(a0, a1, a2, a3)).to.equal(-1);
    rows.setHost(host, slot);
    expect(tables.hosts.lookup(a0, a1, a2, a3)).to.equal(slot);
    rows.clearHost(host);
    expect(tables.hosts.lookup(a0, a1, a2, a3)).to.equal(-1);
    rows.setEndpoint(slot, null);
    expect(tables.tunnels.endpointPort(slot)).to.equal(0);
  });

  it('refuse when the table is full, and an index that is taken', () => {
    const { rows, record } = setUp(2);
    expect(rows.publish(record(1))).to.be.at.least(0);
    expect(rows.publish(record(1))).to.equal(-1);
    expect(rows.publish(record(2))).to.be.at.least(0);
    expect(rows.publish(record(3))).to.equal(-1);
  });

  it('give a slot away again only when no worker can still hold it', () => {
    const { tables, rows, record } = setUp(1);
    const slot = rows.publish(record(1));
    tables.turns.begin(1);
    rows.remove(slot);
    expect([tables.indexes.lookup(1), tables.tunnels.isLive(slot), rows.count]).to.deep.equal([-1, false, 0]);
    expect(rows.publish(record(2)), 'worker 1 is still in its turn').to.equal(-1);
    tables.turns.end(1);
    expect(rows.publish(record(2))).to.equal(slot);
    expect(tables.tunnels.localIndex(slot)).to.equal(2);
  });
});
