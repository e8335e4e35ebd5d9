import { closeSync } from 'node:fs';
import { expect } from 'chai';
import { after, afterEach, before, describe, it } from 'mocha';
import { Netlink } from '../../../src/primary/machine/netlink.ts';
import type { Link } from '../../../src/primary/machine/netlinkMessages.ts';
import { NetlinkMonitor, type NetworkChange } from '../../../src/primary/machine/netlinkMonitor.ts';
import { SysError } from '../../../src/shared/sys/libc.ts';
import { openTunQueues } from '../../../src/shared/sys/tun.ts';
import { ip, net } from '../../support/addresses.ts';
import { run, useNamespace } from '../../support/namespace.ts';

describe('Netlink', () => {
  it('reads links and addresses without privilege', () => {
    const netlink = new Netlink();
    const loopback = netlink.link('lo');
    expect(loopback?.index).to.equal(1);
    expect(loopback?.isUp).to.equal(true);
    expect(netlink.addresses(1).map((address) => address.prefix.text)).to.include('127.0.0.1/8');
    expect(netlink.link('no-such-device')).to.equal(null);
    netlink.close();
    netlink.close();
  });
});

describe('Netlink on a tun device (root)', () => {
  let netlink: Netlink;
  let device: Link;
  let fd = -1;

  useNamespace('changing the network');

  before(() => {
    netlink = new Netlink();
  });

  after(() => netlink?.close());

  afterEach(() => closeSync(fd));

  function start(): void {
    fd = openTunQueues({ name: 'wsys1', queues: 1, offloads: false }).fds[0];
    device = netlink.link('wsys1') as Link;
    netlink.setLink(device.index, { noIpv6LinkLocal: true, mtu: 1300, txQueueLength: 500 });
    netlink.setLink(device.index, { isUp: true });
  }

  it('sets MTU, queue length and state, without a link-local address', () => {
    start();
    expect(netlink.link('wsys1')).to.deep.equal({
      index: device.index,
      name: 'wsys1',
      mtu: 1300,
      txQueueLength: 500,
      isUp: true,
      isRunning: true,
      kind: 'tun',
    });
    expect(run('ip -d link show wsys1'))
      .to.match(/mtu 1300 .* qlen 500/)
      .and.match(/addrgenmode none/);
    expect(netlink.addresses(device.index)).to.deep.equal([]);
    netlink.setLink(device.index, { isUp: false });
    expect(netlink.link('wsys1')?.isUp).to.equal(false);
  });

  it('adds addresses of both families, twice, and removes them, twice', () => {
    start();
    for (const text of ['10.1.2.3/16', 'fd00::3/64']) {
      const address = { linkIndex: device.index, prefix: net(text) };
      netlink.addAddress(address);
      netlink.addAddress(address);
    }
    expect(netlink.addresses(device.index).map((address) => address.prefix.text)).to.have.members([
      '10.1.2.3/16',
      'fd00::3/64',
    ]);
    expect(run('ip -6 addr show wsys1'))
      .to.match(/fd00::3\/64 scope global nodad/)
      .and.not.match(/tentative/);
    for (const address of netlink.addresses(device.index)) {
      netlink.removeAddress(address);
      netlink.removeAddress(address);
    }
    expect(netlink.addresses(device.index)).to.deep.equal([]);
  });

  it('replaces the connected routes with ones of their own MTU', () => {
    start();
    netlink.addAddress({ linkIndex: device.index, prefix: net('10.1.2.3/16') });
    netlink.addAddress({ linkIndex: device.index, prefix: net('fd00::3/64') });
    const source = ip('10.1.2.3');
    const connected4 = {
      destination: net('10.1.0.0/16'),
      linkIndex: device.index,
      source,
      mtu: 1200,
      advmss: 1160,
      isConnected: true,
    };
    const connected6 = {
      destination: net('fd00::/64'),
      linkIndex: device.index,
      metric: 256,
      mtu: 1290,
      isConnected: true,
    };
    netlink.replaceRoute(connected4);
    netlink.replaceRoute(connected6);
    expect(run('ip route show dev wsys1').trim()).to.match(
      /^10.1.0.0\/16 proto kernel scope link src 10.1.2.3 mtu 1200 advmss 1160$/,
    );
    expect(run('ip -6 route show dev wsys1')).to.match(/^fd00::\/64 proto kernel metric 256 mtu 1290/m);
    expect(netlink.routes(device.index)).to.deep.include.members([connected4, connected6]);
    expect(run('ip route get 10.1.9.9')).to.match(/dev wsys1 src 10.1.2.3/);
  });

  it('adds, replaces and deletes routes with a metric', () => {
    start();
    netlink.addAddress({ linkIndex: device.index, prefix: net('10.1.2.3/16') });
    const unsafe = { destination: net('192.168.0.0/24'), linkIndex: device.index, metric: 100, mtu: 1280 };
    netlink.addRoute(unsafe);
    expect(() => netlink.addRoute({ ...unsafe, mtu: 1260 })).to.throw(SysError, 'EEXIST');
    netlink.replaceRoute({ ...unsafe, mtu: 1250 });
    netlink.addRoute({ ...unsafe, destination: net('fd77::/48') });
    expect(run('ip route show 192.168.0.0/24').trim()).to.equal(
      '192.168.0.0/24 dev wsys1 proto static scope link metric 100 mtu 1250',
    );
    expect(run('ip -6 route show fd77::/48')).to.match(/^fd77::\/48 dev wsys1 proto static metric 100 mtu 1280/);
    netlink.deleteRoute(unsafe);
    netlink.deleteRoute(unsafe);
    netlink.deleteRoute({ ...unsafe, destination: net('fd77::/48') });
    expect(run('ip route show 192.168.0.0/24')).to.equal('');
    expect(run('ip -6 route show fd77::/48')).to.equal('');
  });

  it('explains what the kernel refuses', () => {
    start();
    expect(() => netlink.setLink(9999, { isUp: true })).to.throw(
      SysError,
      /^changing link 9999: netlink: .*\(ENODEV\)/,
    );
    expect(() => netlink.setLink(device.index, { mtu: 1 })).to.throw(SysError, /mtu/i);
    const route = { destination: net('10.0.0.1/8'), linkIndex: device.index };
    expect(() => netlink.addRoute(route)).to.throw(SysError, 'adding route to 10.0.0.1/8: netlink');
    // The socket stays usable.
    expect(netlink.link('wsys1')?.mtu).to.equal(1300);
  });

  it('reports changes of links and addresses', async () => {
    const changes: NetworkChange[] = [];
    const seen = new Promise<void>((resolve, reject) => {
      const monitor = new NetlinkMonitor((change) => {
        changes.push(change);
        if (changes.some(({ links }) => links) && changes.some(({ addresses }) => addresses)) {
          monitor.close();
          resolve();
        }
      }, reject);
    });
    start();
    netlink.addAddress({ linkIndex: device.index, prefix: net('10.1.2.3/16') });
    await seen;
    expect(changes.length).to.be.at.least(1);
  });
});
