import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LocalAllowList, RemoteAllowList } from '../../../../src/primary/control/discovery/allowList.ts';
import { ip } from '../../../support/addresses.ts';
import { localAllowList, remoteAllowList } from '../../../support/allowLists.ts';

/** Whether the global list allows an address. */
function verdict(list: RemoteAllowList, address: string): boolean {
  return list.allowsUnknown(ip(address));
}

describe('primary/control/allowList', () => {
  it('lets the most specific prefix win', () => {
    const list = remoteAllowList({
      '0.0.0.0/0': true,
      '10.0.0.0/8': false,
      '10.42.0.0/16': true,
      '10.42.42.0/24': false,
      '10.42.42.42/32': true,
      '::1/128': true,
      '::2/128': false,
      '::/0': false,
    });
    const verdicts = ['1.1.1.1', '10.0.0.4', '10.42.42.42', '10.42.42.41', '10.42.0.1', '::1', '::2'].map((text) =>
      verdict(list, text),
    );
    expect(verdicts).to.deep.equal([true, false, true, false, true, true, false]);
  });

  it('takes the inverse of the only value as default, and allows a family without rules', () => {
    const denying = remoteAllowList({ '10.0.0.0/8': false });
    expect(verdict(denying, '10.1.1.1')).to.equal(false);
    expect(verdict(denying, '8.8.8.8')).to.equal(true);
    expect(verdict(denying, 'fd00::1')).to.equal(true);
    const allowing = remoteAllowList({ 'fd00::/8': 'yes' });
    expect(verdict(allowing, 'fd00::1')).to.equal(true);
    expect(verdict(allowing, '2001:db8::1')).to.equal(false);
    expect(verdict(allowing, '8.8.8.8')).to.equal(true);
    expect(verdict(remoteAllowList({ '10.0.0.0/8': 'N' }), '10.1.1.1')).to.equal(false);
  });

  it('allows everything when the key is absent', () => {
    expect(verdict(RemoteAllowList.all, '10.1.1.1')).to.equal(true);
    expect(verdict(remoteAllowList({}), 'fd00::1')).to.equal(true);
  });

  it('asks both the global list and the most specific range of the vpn address', () => {
    const list = remoteAllowList(
      { '10.0.0.0/8': false },
      {
        '10.128.0.0/16': { '192.168.0.0/16': true, '0.0.0.0/0': false },
        '10.128.7.0/24': { '172.16.0.0/12': true, '0.0.0.0/0': false },
      },
    );
    expect(list.allowsUnknown(ip('10.1.1.1'))).to.equal(false);
    expect(list.allowsUnknown(ip('8.8.8.8'))).to.equal(true);
    expect(list.allows(ip('10.128.1.1'), ip('192.168.1.1'))).to.equal(true);
    expect(list.allows(ip('10.128.1.1'), ip('8.8.8.8'))).to.equal(false);
    expect(list.allows(ip('10.128.7.1'), ip('192.168.1.1'))).to.equal(false);
    expect(list.allows(ip('10.128.7.1'), ip('172.16.1.1'))).to.equal(true);
    expect(list.allows(ip('10.129.1.1'), ip('8.8.8.8'))).to.equal(true);
    expect(list.allows(ip('10.128.1.1'), ip('10.1.1.1'))).to.equal(false);
    expect(list.allowsAll([ip('10.129.1.1'), ip('10.128.1.1')], ip('8.8.8.8'))).to.equal(false);
    expect(list.allowsAll([ip('10.129.1.1')], ip('8.8.8.8'))).to.equal(true);
    expect(RemoteAllowList.all.allows(ip('10.1.1.1'), ip('10.2.2.2'))).to.equal(true);
  });

  it('matches whole interface names', () => {
    const without = localAllowList({ interfaces: { 'docker.*': false, 'tun.*': false } });
    expect(['docker0', 'tun0', 'eth0', 'mytun0'].map((name) => without.allowsInterface(name))).to.deep.equal([
      false,
      false,
      true,
      true,
    ]);
    const only = localAllowList({ interfaces: { 'eth.*': true, 'ens.*': true }, '10.0.0.0/8': false });
    expect(['docker0', 'eth0', 'ens5', 'veth0'].map((name) => only.allowsInterface(name))).to.deep.equal([
      false,
      true,
      true,
      false,
    ]);
    expect(only.allows(ip('10.0.0.1'))).to.equal(false);
    expect(only.allows(ip('192.168.0.1'))).to.equal(true);
    expect(LocalAllowList.all.allowsInterface('lo')).to.equal(true);
    expect(localAllowList({}).allowsInterface('lo')).to.equal(true);
    expect(localAllowList({ interfaces: {} }).allowsInterface('lo')).to.equal(true);
  });
});
