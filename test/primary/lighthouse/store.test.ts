import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { TunnelRecord, TunnelStore } from '../../../src/primary/control/tunnelStore.ts';
import { LighthouseHosts } from '../../../src/primary/lighthouse/hosts.ts';
import { LighthouseStore } from '../../../src/primary/lighthouse/store.ts';
import type { Endpoint, IpAddress } from '../../../src/shared/ip/address.ts';
import { addressWords } from '../../../src/shared/ip/networkWords.ts';
import { ep, ip } from '../../support/addresses.ts';
import { lighthouseTable, workerTurns } from '../../support/memories.ts';

const a = [ip('10.0.0.1'), ip('fd42::1')];
const b = [ip('10.0.0.2')];

function fixture(capacity: number) {
  const calls: string[] = [];
  let nextSlot = 0;
  const inner: TunnelStore = {
    capacity: 3,
    announceIndex: () => true,
    withdrawIndex: () => undefined,
    publish: () => (nextSlot < 3 ? nextSlot++ : -1),
    generation: (slot) => slot + 100,
    setHost: (address, slot) => calls.push(`set ${address.text} ${slot}`),
    clearHost: (address) => calls.push(`clear ${address.text}`),
    confirm: (slot) => calls.push(`confirm ${slot}`),
    setEndpoint: (slot, endpoint) => calls.push(`endpoint ${slot} ${endpoint?.text ?? 'none'}`),
    takeTraffic: (slot) => slot,
    sendCount: (slot) => slot * 10,
  };
  const table = lighthouseTable(capacity);
  const turns = workerTurns(1);
  const hosts = new LighthouseHosts(table, turns);
  const refused: string[] = [];
  const store = new LighthouseStore(inner, hosts, (address) => refused.push(address.text));
  const publish = (vpnAddresses: IpAddress[], version: 1 | 2, endpoint: Endpoint | null): number => {
    const slot = store.publish({ vpnAddresses, certificate: { version }, endpoint } as unknown as TunnelRecord);
    for (const address of slot < 0 ? [] : vpnAddresses) {
      store.setHost(address, slot);
    }
    return slot;
  };
  const slotOf = (address: IpAddress): number => {
    const [w0, w1, w2, w3] = addressWords([address]);
    const row = table.lookup(w0, w1, w2, w3);
    return row < 0 ? -1 : table.slot(row);
  };
  return { store, hosts, publish, slotOf, calls, refused };
}

describe('primary/lighthouseStore', () => {
  it('passes everything on', () => {
    const { store, publish, calls } = fixture(4);
    expect(publish(a, 1, null)).to.equal(0);
    store.confirm(0);
    store.setEndpoint(0, null);
    store.clearHost(a[1]);
    const numbers = [store.capacity, store.generation(3), store.takeTraffic(3), store.sendCount(3)];
    expect(numbers).to.deep.equal([3, 103, 3, 30]);
    expect(calls).to.deep.equal(['set 10.0.0.1 0', 'set fd42::1 0', 'confirm 0', 'endpoint 0 none', 'clear fd42::1']);
  });

  it('knows a host from its first tunnel to its last, and follows primary tunnel and endpoint', () => {
    const { store, hosts, publish, slotOf } = fixture(4);
    publish(a, 1, ep('192.0.2.1:1'));
    expect(hosts.find(a[1])).to.deep.include({ vpnAddresses: a, learned: [ep('192.0.2.1:1')] });
    expect(slotOf(a[1])).to.equal(0);
    publish(a, 2, ep('192.0.2.1:2'));
    expect(slotOf(a[0])).to.equal(1);
    expect(hosts.find(a[0])!.learned).to.deep.equal([ep('192.0.2.1:2')]);
    store.setEndpoint(1, ep('[2001:db8::1]:3'));
    expect(hosts.find(a[0])!.learned).to.deep.equal([ep('192.0.2.1:2'), ep('[2001:db8::1]:3')]);
    for (const address of a) {
      store.setHost(address, 0);
    }
    expect(slotOf(a[0])).to.equal(0);
    for (const address of a) {
      store.clearHost(address);
    }
    expect([hosts.find(a[0]), hosts.find(a[1])]).to.deep.equal([null, null]);
    store.setEndpoint(0, ep('192.0.2.1:1'));
    expect(hosts.count).to.equal(0);
  });

  it('says which host the table had no room for, and leaves the tunnel alone', () => {
    const { publish, hosts, refused } = fixture(1);
    publish(a, 1, null);
    expect(publish(b, 1, ep('192.0.2.1:1'))).to.equal(1);
    expect(refused).to.deep.equal(['10.0.0.2']);
    expect(hosts.find(b[0])).to.equal(null);
    expect([publish(b, 1, null), publish(b, 1, null)]).to.deep.equal([2, -1]);
  });
});
