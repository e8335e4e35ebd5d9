import { expect } from 'chai';
import { describe, it } from 'mocha';
import { formatProblem } from '../../src/primary/config/problems.ts';
import { networkProblems } from '../../src/primary/networkChecks.ts';
import { TestAuthority } from '../support/testAuthority.ts';
import { load } from './config/support.ts';

/** Line 5 begins what a test adds. */
const BASE = `pki: {ca: a, cert: b, key: c}
static_host_map: {"10.0.0.1": "192.0.2.1:1", "fd00::1": "192.0.2.1:1"}
firewall: {outbound: [{port: any, proto: any, host: any}]}
lighthouse: {hosts: [10.0.0.1]}
`;

const identity = new TestAuthority(1).identity('me', ['10.0.0.5/24', 'fd00::5/64'], { versions: [2] });

function problems(more: string, base: string = BASE): readonly string[] {
  const { config, problems: faults, locate } = load(base + more);
  expect(faults.map(formatProblem)).to.deep.equal([]);
  return config === null ? [] : networkProblems(config, identity, locate).map(formatProblem);
}

describe('a configuration against its own networks', () => {
  it('is in order with lighthouse, peers and routes where they belong', () => {
    const tun =
      'tun: {routes: [{route: 10.0.0.128/25, mtu: 1400}], unsafe_routes: [{route: 192.168.0.0/16, via: 10.0.0.9}]}';
    expect(problems(`${tun}\n`)).to.deep.equal([]);
  });

  it('is refused with routes that would cut off the underlay, or that are no unsafe ones', () => {
    const own = '10.0.0.5/24, fd00::5/64';
    const outside = (route: string): string =>
      `a.yml:5: tun.routes[0]: entry 1.route in tun.routes is not contained within the configured vpn networks; route: ${route}, networks: ${own}`;
    for (const route of ['192.168.1.0/24', '10.0.0.0/16', '0.0.0.0/0']) {
      expect(problems(`tun: {routes: [{route: ${route}, mtu: 1400}]}\n`)).to.deep.equal([outside(route)]);
    }
    for (const route of ['10.0.0.0/25', '10.0.0.77/32', 'fd00::/96']) {
      expect(problems(`tun: {unsafe_routes: [{route: "${route}", via: 192.0.2.9}]}\n`)).to.deep.equal([
        `a.yml:5: tun.unsafe_routes[0]: entry 1.route in tun.unsafe_routes is contained within the configured vpn networks; route: ${route}, networks: ${own}`,
      ]);
    }
  });

  it('is refused with an MTU that takes IPv6 from the device', () => {
    expect(problems('tun: {mtu: 1279}\n')).to.deep.equal([
      'a.yml:5: tun.mtu: 1279 is too small for fd00::5/64 of the certificate: IPv6 needs 1280 or more',
    ]);
    expect(problems('tun: {mtu: 1280}\n')).to.deep.equal([]);
    expect(problems('tun: {mtu: 1200, disabled: true}\n'), 'no device').to.deep.equal([]);
  });

  it('is warned about lighthouses and peers outside, and about itself', () => {
    const base = BASE.replace('"fd00::1"', '"10.9.0.1"').replace('hosts: [', 'hosts: [10.9.0.1, ');
    expect(problems('', base)).to.deep.equal([
      "a.yml:4: warning: lighthouse.hosts[0]: lighthouse 10.9.0.1 is outside this node's own networks (10.0.0.5/24, fd00::5/64)",
      'a.yml:2: warning: static_host_map["10.9.0.1"]: the host 10.9.0.1 is outside this node\'s own networks (10.0.0.5/24, fd00::5/64)',
    ]);
    expect(problems('', BASE.replace('"fd00::1"', '"fd00::5"'))).to.deep.equal([
      'a.yml:2: warning: static_host_map["fd00::5"]: the host fd00::5 is this node itself',
    ]);
  });

  it('is warned about vpn addresses that would be advertised', () => {
    const base = BASE.replace(
      'hosts:',
      'advertise_addrs: ["192.0.2.7:0", "10.0.0.5:4242", "me.example.com:1"], hosts:',
    );
    expect(problems('', base)).to.deep.equal([
      'a.yml:4: warning: lighthouse.advertise_addrs[1]: 10.0.0.5 is a vpn address (10.0.0.5/24, fd00::5/64); peers need an address of the real network',
    ]);
  });
});
