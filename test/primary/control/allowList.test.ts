import { expect } from 'chai';
import { describe, it } from 'mocha';
import { AllowList, AllowListError, LocalAllowList, RemoteAllowList } from '../../../src/primary/control/allowList.ts';
import { ip } from '../../support/addresses.ts';

const key = 'lighthouse.remote_allow_list';

describe('primary/control/allowList', () => {
  it('lets the most specific prefix win', () => {
    const list = AllowList.compile(key, {
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
      list.allows(ip(text)),
    );
    expect(verdicts).to.deep.equal([true, false, true, false, true, true, false]);
  });

  it('takes the inverse of the only value as default, and allows a family without rules', () => {
    const denying = AllowList.compile(key, { '10.0.0.0/8': false });
    expect(denying.allows(ip('10.1.1.1'))).to.equal(false);
    expect(denying.allows(ip('8.8.8.8'))).to.equal(true);
    expect(denying.allows(ip('fd00::1'))).to.equal(true);
    const allowing = AllowList.compile(key, { 'fd00::/8': 'yes' });
    expect(allowing.allows(ip('fd00::1'))).to.equal(true);
    expect(allowing.allows(ip('2001:db8::1'))).to.equal(false);
    expect(allowing.allows(ip('8.8.8.8'))).to.equal(true);
    expect(AllowList.compile(key, { '10.0.0.0/8': 'N' }).allows(ip('10.1.1.1'))).to.equal(false);
  });

  it('allows everything when the key is absent', () => {
    expect(AllowList.compile(key, undefined).allows(ip('10.1.1.1'))).to.equal(true);
    expect(AllowList.compile(key, null).allows(ip('fd00::1'))).to.equal(true);
  });

  it('names key, value and remedy of a mistake', () => {
    const faults: [Record<string, unknown>, RegExp][] = [
      [{ '192.168.0.0': true }, /`lighthouse.remote_allow_list` has invalid CIDR: 192\.168\.0\.0/],
      [{ '192.168.0.0/16': 'abc' }, /has invalid value \(type string\): abc/],
      [{ '192.168.0.0/16': 1 }, /has invalid value \(type number\): 1/],
      [
        { '192.168.0.0/16': true, '10.0.0.0/8': false },
        /contains both true and false rules, but no default set for 0\.0\.0\.0\/0/,
      ],
      [
        { '0.0.0.0/0': true, '10.0.0.0/8': false, 'fd00::/8': true, 'fd00:fd00::/16': false },
        /but no default set for ::\/0/,
      ],
    ];
    for (const [rules, message] of faults) {
      expect(() => AllowList.compile(key, rules)).to.throw(AllowListError, message);
    }
  });

  it('asks both the global list and the most specific range of the vpn address', () => {
    const list = RemoteAllowList.compile(
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
    expect(RemoteAllowList.compile(undefined, undefined).allows(ip('10.1.1.1'), ip('10.2.2.2'))).to.equal(true);
  });

  it('names the faulty range', () => {
    expect(() => RemoteAllowList.compile(undefined, { nonsense: {} })).to.throw(/remote_allow_ranges.*nonsense/);
    expect(() => RemoteAllowList.compile(undefined, { '10.0.0.0/8': true })).to.throw(/must be a map/);
    expect(() => RemoteAllowList.compile(undefined, { '10.0.0.0/8': { x: true } })).to.throw(
      /remote_allow_ranges\.10\.0\.0\.0\/8` has invalid CIDR: x/,
    );
  });

  it('matches whole interface names', () => {
    const without = LocalAllowList.compile({ interfaces: { 'docker.*': false, 'tun.*': false } });
    expect(['docker0', 'tun0', 'eth0', 'mytun0'].map((name) => without.allowsInterface(name))).to.deep.equal([
      false,
      false,
      true,
      true,
    ]);
    const only = LocalAllowList.compile({ interfaces: { 'eth.*': true, 'ens.*': true }, '10.0.0.0/8': false });
    expect(['docker0', 'eth0', 'ens5', 'veth0'].map((name) => only.allowsInterface(name))).to.deep.equal([
      false,
      true,
      true,
      false,
    ]);
    expect(only.allows(ip('10.0.0.1'))).to.equal(false);
    expect(only.allows(ip('192.168.0.1'))).to.equal(true);
    expect(LocalAllowList.compile(undefined).allowsInterface('lo')).to.equal(true);
    expect(LocalAllowList.compile({}).allowsInterface('lo')).to.equal(true);
    expect(LocalAllowList.compile({ interfaces: {} }).allowsInterface('lo')).to.equal(true);
  });

  it('refuses mixed interface values and broken patterns', () => {
    expect(() => LocalAllowList.compile({ interfaces: { 'docker.*': false, 'eth.*': true } })).to.throw(
      /values must all be the same true\/false value/,
    );
    expect(() => LocalAllowList.compile({ interfaces: { '(': false } })).to.throw(/invalid pattern: \(/);
    expect(() => LocalAllowList.compile({ interfaces: true })).to.throw(/must be a map/);
  });
});
