import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Outbox } from '../../../../src/primary/control/effects.ts';
import type { Context } from '../../../../src/primary/control/tunnels/context.ts';
import { HostEntries } from '../../../../src/primary/control/tunnels/hostEntries.ts';
import type { Tunnel } from '../../../../src/primary/control/tunnels/tunnel.ts';
import type { TunnelStore } from '../../../../src/primary/control/tunnels/tunnelStore.ts';
import { LighthouseHosts } from '../../../../src/primary/lighthouse/hosts.ts';
import type { Endpoint, IpAddress } from '../../../../src/shared/ip/address.ts';
import { addressWords } from '../../../../src/shared/ip/networkWords.ts';
import { ep, ip } from '../../../support/addresses.ts';
import { lighthouseTable, workerTurns } from '../../../support/memories.ts';

const a = [ip('10.0.0.1'), ip('fd42::1')];
const b = [ip('10.0.0.2')];

function tunnel(slot: number, vpnAddresses: readonly IpAddress[], version: 1 | 2, endpoint: Endpoint | null): Tunnel {
  const peer = { certificate: { version } };
  return { slot, vpnAddresses, vpnAddress: vpnAddresses[0], endpoint, peer } as unknown as Tunnel;
}

class Fixture {
  readonly calls: string[] = [];
  readonly table;
  readonly hosts: LighthouseHosts;
  readonly outbox = new Outbox();
  readonly entries: HostEntries;

  constructor(capacity: number, isLighthouse: boolean = true) {
    this.table = lighthouseTable(capacity);
    this.hosts = new LighthouseHosts(this.table, workerTurns(1));
    const store = {
      setHost: (address: IpAddress, slot: number) => this.calls.push(`set ${address.text} ${slot}`),
      clearHost: (address: IpAddress) => this.calls.push(`clear ${address.text}`),
      setEndpoint: (slot: number, endpoint: Endpoint) => this.calls.push(`endpoint ${slot} ${endpoint.text}`),
    } as unknown as TunnelStore;
    const register = isLighthouse ? this.hosts : null;
    this.entries = new HostEntries({ store, register, outbox: this.outbox } as unknown as Context);
  }

  /** As primary one of all its addresses. */
  set(of: Tunnel): void {
    for (const address of of.vpnAddresses) {
      this.entries.set(address, of);
    }
  }

  slotOf(address: IpAddress): number {
    const [w0, w1, w2, w3] = addressWords([address]);
    const row = this.table.lookup(w0, w1, w2, w3);
    return row < 0 ? -1 : this.table.slot(row);
  }

  refused(): unknown[] {
    return this.outbox.drain().map((effect) => (effect.kind === 'log' ? effect.fields : effect.kind));
  }
}

describe('primary/control/hostEntries', () => {
  it('writes for the data path, on a lighthouse or not', () => {
    for (const isLighthouse of [true, false]) {
      const { entries, calls, hosts } = new Fixture(4, isLighthouse);
      const tunnelToA = tunnel(0, a, 1, null);
      entries.set(a[0], tunnelToA);
      entries.set(a[1], tunnelToA);
      entries.moveTo(tunnelToA, ep('192.0.2.1:1'));
      entries.clear(a[1]);
      expect(calls).to.deep.equal(['set 10.0.0.1 0', 'set fd42::1 0', 'endpoint 0 192.0.2.1:1', 'clear fd42::1']);
      expect(tunnelToA.endpoint?.text).to.equal('192.0.2.1:1');
      expect(hosts.count).to.equal(isLighthouse ? 1 : 0);
    }
  });

  it('knows a host from its first tunnel to its last, and follows primary tunnel and endpoint', () => {
    const all = new Fixture(4);
    const { entries, hosts } = all;
    const first = tunnel(0, a, 1, ep('192.0.2.1:1'));
    all.set(first);
    expect(hosts.find(a[1])).to.deep.include({ vpnAddresses: a, learned: [ep('192.0.2.1:1')] });
    expect(all.slotOf(a[1])).to.equal(0);
    const second = tunnel(1, a, 2, ep('192.0.2.1:2'));
    all.set(second);
    expect(all.slotOf(a[0])).to.equal(1);
    expect(hosts.find(a[0])!.learned).to.deep.equal([ep('192.0.2.1:2')]);
    entries.moveTo(second, ep('[2001:db8::1]:3'));
    expect(hosts.find(a[0])!.learned).to.deep.equal([ep('192.0.2.1:2'), ep('[2001:db8::1]:3')]);
    all.set(first);
    expect(all.slotOf(a[0])).to.equal(0);
    for (const address of a) {
      entries.clear(address);
    }
    expect([hosts.find(a[0]), hosts.find(a[1])]).to.deep.equal([null, null]);
    entries.moveTo(first, ep('192.0.2.1:1'));
    expect(hosts.count).to.equal(0);
  });

  it('says which host the table had no room for, and leaves the tunnel alone', () => {
    const all = new Fixture(1);
    all.set(tunnel(0, a, 1, null));
    expect(all.refused()).to.deep.equal([]);
    all.set(tunnel(1, b, 1, ep('192.0.2.1:1')));
    expect(all.refused()).to.deep.equal([{ vpnAddr: '10.0.0.2', refused: 1 }]);
    expect(all.hosts.find(b[0])).to.equal(null);
    expect(all.calls.at(-1)).to.equal('set 10.0.0.2 1');
  });
});
