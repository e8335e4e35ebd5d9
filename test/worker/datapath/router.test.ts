import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { IpProtocol } from '../../../src/shared/ip/headers.ts';
import { addressWords } from '../../../src/shared/ip/networkWords.ts';
import { PacketTuple } from '../../../src/shared/ip/packetTuple.ts';
import { HostTable } from '../../../src/shared/memory/hostTable.ts';
import { flowHash, Route, Router, type RouterOptions, weightBounds } from '../../../src/worker/datapath/router.ts';
import { ip, net } from '../../support/addresses.ts';

describe('gateway choice', () => {
  it('hashes ports and bounds weights as Nebula does, so both choose alike', () => {
    // Nebula protocol vectors, firewall.
    const cases: [number, number, number][] = [
      [0, 0, 0],
      [1, 2, 1716779899],
      [12345, 80, 892069392],
      [54321, 443, 354544624],
      [40000, 53, 1572899067],
      [65535, 65535, 1505060483],
      [0, 1, 114555507],
      [1024, 1024, 2082316344],
    ];
    for (const [local, remote, hash] of cases) {
      expect(flowHash(local, remote), `${local} ${remote}`).to.equal(hash);
    }
    expect(weightBounds([10, 5])).to.deep.equal([1431655764, 2147483647]);
    expect(weightBounds([1, 1, 1])).to.deep.equal([715827882, 1431655764, 2147483647]);
  });
});

describe('router', () => {
  let hosts: HostTable;
  let misses: string[];

  beforeEach(() => {
    hosts = new HostTable(new ArrayBuffer(HostTable.byteLength(64)), 0, 64);
    misses = [];
  });

  function router(options: Partial<RouterOptions> = {}): Router {
    const all = {
      networks: [net('10.1.0.1/16')],
      routes: [],
      dropsMulticast: false,
      dropsLocalBroadcast: false,
      ownPort: 4242,
      ...options,
    };
    return new Router(all, hosts, {
      reportMiss: (...words) => misses.push(words.map((word) => (word >>> 0).toString(16)).join(':')),
    });
  }

  function publish(text: string, slot: number): void {
    const [a0, a1, a2, a3] = addressWords([ip(text)]);
    hosts.set(a0, a1, a2, a3, slot);
  }

  function resolve(subject: Router, destination: string, ports: [number, number] = [1, 2]): number {
    const tuple = new PacketTuple();
    const words = addressWords([ip(destination)]);
    [tuple.remote0, tuple.remote1, tuple.remote2, tuple.remote3] = words;
    [tuple.localPort, tuple.remotePort] = ports;
    return subject.resolve(tuple);
  }

  it('sends to the host itself inside its networks, and nowhere else', () => {
    publish('10.1.0.9', 4);
    const subject = router();
    expect(resolve(subject, '10.1.0.9')).to.equal(4);
    expect(resolve(subject, '10.1.0.8')).to.equal(Route.Miss);
    expect(subject.host3 >>> 0).to.equal(0x0a010008);
    expect(resolve(subject, '10.2.0.1')).to.equal(Route.NoRoute);
    expect(resolve(subject, 'fd00::1')).to.equal(Route.NoRoute);
    expect(resolve(subject, '10.1.0.1')).to.equal(Route.OwnAddress);
  });

  it('drops broadcast and multicast where it is told to', () => {
    expect(resolve(router(), '10.1.255.255')).to.equal(Route.Miss);
    expect(resolve(router({ dropsLocalBroadcast: true }), '10.1.255.255')).to.equal(Route.Broadcast);
    expect(resolve(router(), '224.0.0.1')).to.equal(Route.NoRoute);
    expect(resolve(router({ dropsMulticast: true }), '224.0.0.1')).to.equal(Route.Multicast);
    expect(resolve(router({ dropsMulticast: true }), 'ff02::1')).to.equal(Route.Multicast);
  });

  it('takes the longest unsafe route, and a default route for one family only', () => {
    publish('10.1.0.2', 2);
    publish('10.1.0.3', 3);
    const via = (address: string) => [{ gateway: ip(address), weight: 1 }];
    const subject = router({
      routes: [
        { route: net('0.0.0.0/0'), via: via('10.1.0.2') },
        { route: net('192.168.7.0/24'), via: via('10.1.0.3') },
      ],
    });
    expect(resolve(subject, '192.168.7.5')).to.equal(3);
    expect(resolve(subject, '192.168.8.5')).to.equal(2);
    expect(resolve(subject, '2001:db8::1')).to.equal(Route.NoRoute);
  });

  it('spreads flows over gateways by weight, and passes over one without a tunnel', () => {
    const via = [
      { gateway: ip('10.1.0.2'), weight: 10 },
      { gateway: ip('10.1.0.3'), weight: 5 },
    ];
    const subject = router({ routes: [{ route: net('192.168.0.0/16'), via }] });
    // (1, 2) hashes beyond the first gateway's share, (12345, 80) within.
    expect(resolve(subject, '192.168.1.1', [1, 2])).to.equal(Route.Miss);
    expect(subject.host3 >>> 0).to.equal(0x0a010003);
    publish('10.1.0.2', 2);
    expect(resolve(subject, '192.168.1.1', [12345, 80])).to.equal(2);
    expect(misses).to.deep.equal([]);
    expect(resolve(subject, '192.168.1.1', [1, 2])).to.equal(2);
    expect(misses).to.deep.equal(['0:0:ffff:a010003']);
    publish('10.1.0.3', 3);
    expect(resolve(subject, '192.168.1.1', [1, 2])).to.equal(3);
  });

  it('sends none of its own datagrams through an unsafe route: a loop without end', () => {
    const subject = router({ routes: [{ route: net('0.0.0.0/0'), via: [{ gateway: ip('10.1.0.2'), weight: 1 }] }] });
    publish('10.1.0.2', 3);
    const tuple = new PacketTuple();
    const words = (text: string): Int32Array => addressWords([ip(text)]);
    [tuple.remote0, tuple.remote1, tuple.remote2, tuple.remote3] = words('203.0.113.2');
    [tuple.local0, tuple.local1, tuple.local2, tuple.local3] = words('10.1.0.1');
    tuple.protocol = IpProtocol.Udp;
    tuple.localPort = 4242;
    expect(subject.resolve(tuple)).to.equal(Route.OwnDatagram);
    tuple.localPort = 4243;
    expect(subject.resolve(tuple), 'another program').to.equal(3);
    tuple.localPort = 4242;
    tuple.protocol = IpProtocol.Tcp;
    expect(subject.resolve(tuple), 'another protocol').to.equal(3);
    tuple.protocol = IpProtocol.Udp;
    [tuple.local0, tuple.local1, tuple.local2, tuple.local3] = words('192.168.7.7');
    expect(subject.resolve(tuple), 'a node behind this one').to.equal(3);
  });
});
