/** Fifty hosts behind NATs find each other through two lighthouses, whatever the network and the lighthouses do. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ep } from '../support/addresses.ts';
import { DiscoveryWorld } from './discoveryWorld.ts';
import type { SimNode } from './simNode.ts';

const HOSTS = 50;

describe('simulation: lighthouses', function () {
  this.timeout(60_000);

  for (const loss of [0, 0.1, 0.2, 0.3]) {
    it(`${HOSTS} hosts behind random NATs reach each other with ${loss * 100} % of the datagrams lost`, () => {
      const all = new DiscoveryWorld({ seed: 700 + loss * 100, hostCount: HOSTS, loss });
      const pairs = all.newPairs(loss === 0 ? 300 : 150);
      expect(all.unreachable(pairs, 120_000)).to.deep.equal([]);
      const direct = all.hosts.flatMap((host) =>
        host.control.hosts().map(({ tunnel }) => host.endpointAt(tunnel.slot)?.text),
      );
      expect(direct)
        .to.have.length.above(2 * pairs.length)
        .and.not.include(undefined);
      expect(all.lighthouses.map((node) => node.delivered)).to.deep.equal([[], []]);
    });
  }

  it('the same seed gives the same run', () => {
    const run = (): string[] => {
      const all = new DiscoveryWorld({ seed: 740, hostCount: 12, loss: 0.2 });
      all.unreachable(all.newPairs(20), 60_000);
      return all.world.network.sent.map(({ bytes, to }) => `${to.text} ${Buffer.from(bytes).toString('hex')}`);
    };
    const first = run();
    expect(first.length).to.be.above(500);
    expect(run()).to.deep.equal(first);
  });

  for (const loss of [0, 0.3]) {
    it(`both lighthouses lose their tables and have them again in seconds, ${loss * 100} % lost`, () => {
      const all = new DiscoveryWorld({ seed: 750 + loss * 10, hostCount: HOSTS, loss });
      expect(all.unreachable(all.newPairs(50), 120_000)).to.deep.equal([]);
      for (const lighthouse of all.lighthouses) {
        lighthouse.restart();
        lighthouse.start(all.world.now);
        expect(all.knownHosts(lighthouse)).to.equal(0);
      }
      const knowAll = (): boolean => all.lighthouses.every((node) => all.knownHosts(node) === HOSTS);
      expect(all.timeUntil(180_000, knowAll)).to.be.at.most(loss === 0 ? 12_000 : 60_000);
      expect(all.unreachable(all.newPairs(50), 120_000)).to.deep.equal([]);
    });
  }

  for (const loss of [0, 0.2]) {
    it(`both lighthouses move to other addresses, which their names tell, ${loss * 100} % lost`, () => {
      const all = new DiscoveryWorld({ seed: 760 + loss * 10, hostCount: HOSTS, loss });
      expect(all.unreachable(all.newPairs(50), 120_000)).to.deep.equal([]);
      for (const [index, lighthouse] of all.lighthouses.entries()) {
        lighthouse.endpoint = ep(`198.51.100.${index + 1}:4242`);
        all.names.set(`${lighthouse.name}.example`, [lighthouse.endpoint.address]);
      }
      const hasFollowed = (host: SimNode): boolean =>
        all.lighthouses.every((node) => host.control.primary(node.vpnAddress)?.endpoint?.text === node.endpoint.text);
      expect(all.timeUntil(180_000, () => all.hosts.every(hasFollowed))).to.be.at.most(loss === 0 ? 60_000 : 120_000);
      expect(all.unreachable(all.newPairs(50), 120_000)).to.deep.equal([]);
    });
  }

  it('one lighthouse is enough while the other is gone', () => {
    const all = new DiscoveryWorld({ seed: 770, hostCount: HOSTS, loss: 0.1 });
    expect(all.unreachable(all.newPairs(30), 120_000)).to.deep.equal([]);
    all.lighthouses[0].isUp = false;
    expect(all.unreachable(all.newPairs(60), 120_000)).to.deep.equal([]);
    all.world.run(40_000);
    expect(all.unreachable(all.newPairs(60), 120_000)).to.deep.equal([]);
  });

  it('a host that a lighthouse has answers for but no tunnel to gets both', () => {
    const all = new DiscoveryWorld({ seed: 780, hostCount: 20, discovery: { intervalMs: 0 } });
    const [lighthouse] = all.lighthouses;
    const host = all.hosts.find((node) => node.options.nat === undefined)!;
    lighthouse.remotes.learn(host.vpnAddress, host.vpnAddress, host.endpoint);
    expect(lighthouse.control.primary(host.vpnAddress)).to.equal(null);
    for (let answer = 0; answer < 9; answer++) {
      lighthouse.control.onLighthouseAnswer(all.world.now, host.vpnAddress, Uint8Array.of(0xff));
    }
    lighthouse.settle(all.world.now);
    all.world.run(1000);
    expect(lighthouse.control.primary(host.vpnAddress)).to.not.equal(null);
    expect([host.counted('lighthouse.drop.malformed'), lighthouse.counted('lighthouse.answers_dropped')]).to.deep.equal(
      [8, 1],
    );
  });

  it('a host with a new address tells the lighthouses at once, and who talks to it goes on', () => {
    const all = new DiscoveryWorld({ seed: 780, hostCount: 20 });
    const host = all.hosts.find((node) => node.options.nat === undefined)!;
    const others = all.hosts.filter((node) => node !== host);
    const friends = others.slice(0, 10);
    expect(
      all.unreachable(
        friends.map((friend) => [friend, host]),
        60_000,
      ),
    ).to.deep.equal([]);
    host.endpoint = ep('198.51.100.77:4242');
    all.discoveryOf(host).onLocalAddresses(all.world.now);
    const isKnown = (node: SimNode): boolean => {
      const known = node.hosts?.find(host.vpnAddress);
      return [known?.learned, known?.reported].every((list) => list?.some(({ text }) => text === host.endpoint.text));
    };
    expect(all.timeUntil(1000, () => all.lighthouses.every(isKnown))).to.equal(250);
    // Behind NATs that let in only whom they know, friends must first notice and ask.
    expect(
      all.unreachable(
        friends.map((friend) => [friend, host]),
        40_000,
      ),
    ).to.deep.equal([]);
    expect(
      all.unreachable(
        others.slice(10).map((other) => [other, host]),
        60_000,
      ),
    ).to.deep.equal([]);
  });

  it('a host whose NAT gives it another endpoint is found there after its next update', () => {
    const all = new DiscoveryWorld({ seed: 790, hostCount: 20 });
    const host = all.hosts.find((node) => node.options.nat !== undefined)!;
    all.world.run(5000);
    host.options.nat!.rebind(ep('203.0.113.200:2000'));
    all.world.run(10_100);
    const others = all.hosts.filter((node) => node !== host);
    expect(
      all.unreachable(
        others.map((other) => [other, host]),
        60_000,
      ),
    ).to.deep.equal([]);
  });
});
