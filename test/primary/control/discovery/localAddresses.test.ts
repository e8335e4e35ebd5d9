import { expect } from 'chai';
import { describe, it } from 'mocha';
import { selectLocalAddresses } from '../../../../src/primary/control/discovery/localAddresses.ts';
import { net, texts } from '../../../support/addresses.ts';
import { localAllowList } from '../../../support/allowLists.ts';
import { local } from './peerDiscoveryBench.ts';

describe('the addresses that a node tells', () => {
  it('are those of network cards first and of container bridges last', () => {
    const bridges = Array.from({ length: 25 }, (_, index) => local(`br-${index}`, `172.${index + 16}.0.1`, 'bridge'));
    const addresses = [
      ...bridges,
      local('vethab12', '10.9.0.1', 'veth'),
      local('wg0', '10.8.0.1', 'wireguard'),
      local('eth1', '192.168.7.1'),
      local('bond0', '192.168.8.1', 'bond'),
      local('br0', '203.0.113.7', 'bridge', true),
    ];
    const allowList = localAllowList({});
    const selected = texts(selectLocalAddresses(addresses, { allowList, ownNetworks: [] }));
    expect(selected.slice(0, 5)).to.deep.equal(['203.0.113.7', '192.168.7.1', '192.168.8.1', '10.8.0.1', '172.16.0.1']);
    expect(selected).to.have.length(30);
  });

  it('are only those that others can reach and that the lists allow', () => {
    const allowList = localAllowList({ '192.168.0.0/16': false, interfaces: { 'docker.*': false } });
    const addresses = [
      local('lo', '127.0.0.1'),
      local('lo', '::1'),
      local('eth0', '203.0.113.1'),
      local('eth0', 'fe80::1'),
      local('eth0', '169.254.1.1'),
      local('eth0', '2001:db8::1'),
      local('eth1', '203.0.113.1'),
      local('docker0', '203.0.113.2'),
      local('eth1', '192.168.1.1'),
      local('weft0', '10.0.0.1'),
      local('odd', '224.0.0.1'),
      local('odd', '0.0.0.0'),
    ];
    const selected = selectLocalAddresses(addresses, { allowList, ownNetworks: [net('10.0.0.1/24')] });
    expect(texts(selected)).to.deep.equal(['203.0.113.1', '2001:db8::1']);
  });
});
