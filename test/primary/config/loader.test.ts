import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseConfig } from '../../../src/primary/config/loader.ts';
import { formatProblem } from '../../../src/primary/config/problems.ts';
import { BASE, complaints, load, problemsOf } from './support.ts';

const PREFIX_WORDS = 'a network as address/bits, such as 10.0.0.0/8 or fd00::/64';
const DEVICE_WORDS =
  'an interface name of 1 to 15 characters without blanks, "/" and ":", and without "%" but for one "%d"';
const HOST_PORT_WORDS = 'host:port, such as 192.0.2.1:4242, [2001:db8::1]:4242 or vpn.example.com:4242';

describe('problems of a configuration', () => {
  it('are none for a good file', () => {
    expect(problemsOf(BASE)).to.deep.equal([]);
  });

  for (const route of [
    '{route: 0.0.0.0/0, via: 10.0.0.9}',
    '{route: "::/0", via: "fd00::9"}',
    '{route: 10.0.0.0/7, via: 10.0.0.9}',
  ]) {
    it(`are none for an unsafe route that contains its gateway: ${route}`, () => {
      expect(complaints(`tun: {unsafe_routes: [${route}]}\n`).join('\n')).not.to.include('unsafe_routes');
    });
  }

  it('name every missing required key', () => {
    const text = 'static_host_map: {10.0.0.1: "h:1"}\nlighthouse: {hosts: [10.0.0.1]}\n';
    expect(problemsOf(text)).to.have.length(3);
    expect(problemsOf(`pki:\n  ca: x\n${text}`)).to.deep.equal([
      "a.yml:1: pki.cert: is missing; expected this node's certificate, or its v1 and v2 certificates one after the other: path or PEM",
      "a.yml:1: pki.key: is missing; expected this node's private key: path or PEM",
    ]);
  });

  it('come all at once, errors first, each with its line', () => {
    expect(
      complaints(`listen:
  port: 70000
  hots: x
tun:
  mtu: big
firewall:
  conntrack:
    tcp_timeout: 12
  inbound_action: ignore
cipher: aes-gcm
`),
    ).to.deep.equal([
      '7: listen.port: expected a whole number from 0 to 65535, found "70000"',
      '15: cipher: expected one of aes, chachapoly, found "aes-gcm"',
      '8: warning: listen.hots: unknown key; did you mean listen.host?',
      '10: warning: tun.mtu: expected a whole number from 68 to 65535, found "big"; the default 1300 is in force',
      '13: warning: firewall.conntrack.tcp_timeout: expected a duration with a unit, such as 10s, 1m30s or 250ms, and greater than 0, found "12"; the default 12m is in force',
      '14: warning: firewall.inbound_action: expected one of drop, reject, found "ignore"; the default drop is in force',
    ]);
  });

  for (const [text, message] of [
    ['static_map: {network: ip5}', 'static_map.network: expected one of ip4, ip6, ip, found "ip5"'],
    ['tun: {dev: "a name that is too long"}', `tun.dev: expected ${DEVICE_WORDS}, found "a name that is too long"`],
    ['tun: {dev: "weft%s"}', `tun.dev: expected ${DEVICE_WORDS}, found "weft%s"`],
    ['tun: {routes: hi}', 'tun.routes: expected a list (each entry: a map with route, mtu), found "hi"'],
    ['tun: {routes: [asdf]}', 'tun.routes[0]: expected a map with route, mtu, found "asdf"'],
    [
      'tun: {routes: [{route: 10.0.0.0/8}]}',
      'tun.routes[0].mtu: is missing; expected a whole number from 500 to 65535',
    ],
    [
      'tun: {routes: [{route: 10.0.0.0/8, mtu: 499}]}',
      'tun.routes[0].mtu: expected a whole number from 500 to 65535, found "499"',
    ],
    [
      'tun: {unsafe_routes: [{route: 1.0.0.0/8}]}',
      'tun.unsafe_routes[0].via: is missing; expected an IP address, or a list of maps',
    ],
    [
      'tun: {unsafe_routes: [{route: 1.0.0.0/8, via: nope}]}',
      'tun.unsafe_routes[0].via: expected an IP address, found "nope"',
    ],
    [
      'tun: {unsafe_routes: [{route: 1.0.0.0/8, via: [{gateway: "1"}]}]}',
      'tun.unsafe_routes[0].via[0].gateway: expected an IP address, found "1"',
    ],
    [
      'tun: {unsafe_routes: [{route: 1.0.0.0/8, via: [{weight: 1}]}]}',
      'tun.unsafe_routes[0].via[0].gateway: is missing; expected an IP address',
    ],
    [
      'tun: {unsafe_routes: [{route: 1.0.0.0/8, via: [{gateway: 10.0.0.9, weight: a}]}]}',
      'tun.unsafe_routes[0].via[0].weight: expected a whole number from 1 to 2147483647, found "a"',
    ],
    ['tun: {unsafe_routes: [{route: 1.0.0.0/8, via: []}]}', 'tun.unsafe_routes[0].via: the list of gateways is empty'],
    [
      'tun: {unsafe_routes: [{route: 1.0.0.0/8, via: 10.0.0.9, mtu: 499}]}',
      'tun.unsafe_routes[0].mtu: expected 0 or at least 500, found 499',
    ],
    [
      'tun: {unsafe_routes: [{route: 1.0.0.0/8, via: 10.0.0.9, install: nope}]}',
      'tun.unsafe_routes[0].install: expected true or false, found "nope"',
    ],
    ['firewall: {outbound: asdf}', 'firewall.outbound: expected a list (each entry: a map), found "asdf"'],
    [
      'firewall: {inbound: [{port: 1, proto: any, host: any}, asdf]}',
      'firewall.inbound[1]: expected a map, found "asdf"',
    ],
    [
      'firewall: {inbound: [{port: x, proto: any, host: any}]}',
      'firewall.inbound[0].port: port was not a number; `x`, expected any, fragment, a number or a range such as 8000-8080',
    ],
    [
      'firewall: {outbound: [{}]}',
      'firewall.outbound[0]: at least one of host, group, cidr, local_cidr, ca_name, or ca_sha must be provided',
    ],
  ]) {
    it(`refuses ${text}`, () => {
      expect(complaints(`${text}\n`)).to.include(`6: ${message}`);
      expect(load(`${BASE}${text}\n`).config).to.equal(null);
    });
  }

  for (const [section, message] of [
    [
      '{am_lighthouse: true}',
      'lighthouse.am_lighthouse: a lighthouse needs a fixed port, or nobody finds it; set listen.port',
    ],
    [
      '{hosts: [10.0.0.2]}',
      'lighthouse.hosts[0]: lighthouse 10.0.0.2 does not have a static_host_map entry, so it cannot be reached',
    ],
    ['{hosts: [vpn]}', 'lighthouse.hosts[0]: expected an IP address, found "vpn"'],
    ['{advertise_addrs: [1.2.3.4]}', `lighthouse.advertise_addrs[0]: expected ${HOST_PORT_WORDS}, found "1.2.3.4"`],
    [
      '{remote_allow_list: {192.168.0.0: true}}',
      `lighthouse.remote_allow_list["192.168.0.0"]: expected ${PREFIX_WORDS} as key, found "192.168.0.0"`,
    ],
    [
      '{remote_allow_list: {192.168.0.0/16: abc}}',
      'lighthouse.remote_allow_list["192.168.0.0/16"]: expected true or false (or y, yes, n, no), found "abc"',
    ],
    [
      '{remote_allow_list: {192.168.0.0/16: ~}}',
      'lighthouse.remote_allow_list["192.168.0.0/16"]: expected true or false (or y, yes, n, no), found nothing',
    ],
    [
      '{remote_allow_list: {192.168.0.0/16: true, 10.0.0.0/8: false}}',
      'lighthouse.remote_allow_list: contains both true and false rules, but no default set for 0.0.0.0/0',
    ],
    [
      '{remote_allow_list: {0.0.0.0/0: true, 10.0.0.0/8: false, "fd00::/8": true, "fd00:fd00::/16": false}}',
      'lighthouse.remote_allow_list: contains both true and false rules, but no default set for ::/0',
    ],
    [
      '{remote_allow_ranges: {10.0.0.0/8: {192.168.0.0/16: true, 10.0.0.0/8: false}}}',
      'lighthouse.remote_allow_ranges["10.0.0.0/8"]: contains both true and false rules, but no default set for 0.0.0.0/0',
    ],
    [
      '{remote_allow_list: {192.168.0.0/16: 1}}',
      'lighthouse.remote_allow_list["192.168.0.0/16"]: expected true or false (or y, yes, n, no), found "1"',
    ],
    [
      '{remote_allow_ranges: {nonsense: {}}}',
      `lighthouse.remote_allow_ranges.nonsense: expected ${PREFIX_WORDS} as key, found "nonsense"`,
    ],
    [
      '{remote_allow_ranges: {10.0.0.0/8: true}}',
      `lighthouse.remote_allow_ranges["10.0.0.0/8"]: expected a map (key: ${PREFIX_WORDS}; value: true or false (or y, yes, n, no)), found "true"`,
    ],
    [
      '{remote_allow_ranges: {10.0.0.0/8: {x: true}}}',
      `lighthouse.remote_allow_ranges["10.0.0.0/8"].x: expected ${PREFIX_WORDS} as key, found "x"`,
    ],
    [
      '{remote_allow_ranges: {1.0.0.0/8: {}, "fd00:0::/8": {192.168.0.0/16: true, 10.0.0.0/8: false}}}',
      'lighthouse.remote_allow_ranges["fd00:0::/8"]: contains both true and false rules, but no default set for 0.0.0.0/0',
    ],
    [
      '{local_allow_list: {192.168.0.0/16: true, 10.0.0.0/8: false}}',
      'lighthouse.local_allow_list: contains both true and false rules, but no default set for 0.0.0.0/0',
    ],
    [
      '{local_allow_list: {interfaces: {"docker.*": false, "eth.*": true}}}',
      'lighthouse.local_allow_list.interfaces: all values must be true or all must be false: interfaces that match none get the inverse',
    ],
    [
      '{local_allow_list: {interfaces: {"(": false}}}',
      'lighthouse.local_allow_list.interfaces["("]: expected a regular expression as key, found "("',
    ],
    [
      '{local_allow_list: {interfaces: yes}}',
      'lighthouse.local_allow_list.interfaces: expected a map (key: a regular expression; value: true or false (or y, yes, n, no)), found "yes"',
    ],
    [
      '{calculated_remotes: {"1::1/128": [{mask: 1.0.0.0/32, port: 1}]}}',
      'lighthouse.calculated_remotes["1::1/128"][0].mask: invalid mask: 1.0.0.0/32 for cidr: 1::1/128; both must be IPv4 or both IPv6',
    ],
    [
      '{calculated_remotes: {10.0.0.0/8: [], "1:0::1/128": [{mask: 1.0.0.0/32, port: 1}]}}',
      'lighthouse.calculated_remotes["1:0::1/128"][0].mask: invalid mask: 1.0.0.0/32 for cidr: 1::1/128; both must be IPv4 or both IPv6',
    ],
    [
      '{calculated_remotes: {10.0.0.0/8: [{mask: 10.0.0.0/8, port: 65536}]}}',
      'lighthouse.calculated_remotes["10.0.0.0/8"][0].port: expected a whole number from 0 to 65535, found "65536"',
    ],
  ]) {
    it(`refuses lighthouse: ${section}`, () => {
      const text = `pki: {ca: a, cert: b, key: c}\nstatic_host_map: {"10.0.0.1": "h:1"}\nlighthouse: ${section}\n`;
      expect(problemsOf(text)).to.include(`a.yml:3: ${message}`);
      expect(load(text).config).to.equal(null);
    });
  }

  for (const [entry, message] of [
    ['10.0.0.300: "h:1"', 'static_host_map["10.0.0.300"]: expected an IP address as key, found "10.0.0.300"'],
    ['10.0.0.2: h', `static_host_map["10.0.0.2"]: expected ${HOST_PORT_WORDS}, found "h"`],
    [
      '10.0.0.2: ["h:1", "192.0.2.400:1"]',
      `static_host_map["10.0.0.2"][1]: expected ${HOST_PORT_WORDS}, found "192.0.2.400:1"`,
    ],
    ['10.0.0.2: {h: 1}', `static_host_map["10.0.0.2"]: expected ${HOST_PORT_WORDS}, or a list of such, found a map`],
  ]) {
    it(`refuses static_host_map: ${entry}`, () => {
      const text = `pki: {ca: a, cert: b, key: c}\nstatic_host_map:\n  ${entry}\n`;
      expect(problemsOf(text)).to.include(`a.yml:3: ${message}`);
    });
  }

  it('do not follow from one another', () => {
    const text = `pki: {ca: a, cert: b, key: c}\nlighthouse: {am_lighthouse: true, hosts: [vpn]}\nlisten: {port: 65536}\n`;
    expect(problemsOf(text)).to.deep.equal([
      'a.yml:2: lighthouse.hosts[0]: expected an IP address, found "vpn"',
      'a.yml:3: listen.port: expected a whole number from 0 to 65535, found "65536"',
    ]);
  });

  it('say one thing of a bad key with a bad value, and more of what lies below it', () => {
    const text = `${BASE}  remote_allow_list: {x: y, z: maybe}\n  calculated_remotes: {x: [{mask: 5, prot: 1}]}\n`;
    expect(problemsOf(text)).to.deep.equal([
      `a.yml:6: lighthouse.remote_allow_list.x: expected ${PREFIX_WORDS} as key, found "x"`,
      `a.yml:6: lighthouse.remote_allow_list.z: expected ${PREFIX_WORDS} as key, found "z"`,
      `a.yml:7: lighthouse.calculated_remotes.x: expected ${PREFIX_WORDS} as key, found "x"`,
      `a.yml:7: lighthouse.calculated_remotes.x[0].mask: expected ${PREFIX_WORDS}, found "5"`,
      'a.yml:7: lighthouse.calculated_remotes.x[0].port: is missing; expected a whole number from 0 to 65535',
      'a.yml:7: warning: lighthouse.calculated_remotes.x[0].prot: unknown key; did you mean port?',
    ]);
  });

  it('warn about a node that nobody tells where its peers are', () => {
    const pki = 'pki: {ca: a, cert: b, key: c}\n';
    expect(problemsOf(pki)).to.deep.equal([
      'a.yml:1: warning: lighthouse.hosts: no lighthouse is configured; only hosts in static_host_map can be found',
    ]);
    const own = `${pki}listen: {port: 1}\nstatic_host_map: {"10.0.0.1": "h:1"}\nlighthouse:\n  am_lighthouse: true\n  hosts: [10.0.0.1]\n`;
    expect(problemsOf(own)).to.deep.equal([
      'a.yml:6: warning: lighthouse.hosts: this node is a lighthouse itself and reports to no other',
    ]);
  });

  it('warn when a batch is cut to what the kernel takes', () => {
    expect(complaints('listen: {batch: 0}\n')).to.deep.equal([
      '6: warning: listen.batch: 0 is outside 1 to 1024; 1 is used',
    ]);
    expect(load(`${BASE}listen: {batch: 5000}\n`).config?.listen.batch).to.equal(1024);
  });

  it('name the rule that a warning is about', () => {
    const good = '{port: 1, proto: any, host: any}';
    expect(
      complaints(`firewall:\n  outbound:\n    - ${good}\n    - {port: 1, proto: any, host: any, hots: x}\n`),
    ).to.deep.equal(['9: warning: firewall.outbound[1].hots: unknown key `hots` is ignored']);
  });

  it('never show a key', () => {
    const pem =
      '-----BEGIN NEBULA X25519 PRIVATE KEY-----\n    QUJDREVGR0g=\n    -----END NEBULA X25519 PRIVATE KEY-----';
    for (const text of [
      `pki:\n  ca: c\n  cert: [1]\n  key: {a: "QUJDREVGR0g="}\n`,
      `pki:\n  ca: c\n  cert: 1\n  key: true\n  blocklist: |\n    ${pem}\n`,
      `pki:\n  ca: c\n  cert: d\n  key: |\n    ${pem}\n  kye: |\n    ${pem}\nlisten: {port: x}\n`,
      `pki:\n  key: |\n    ${pem}\n  - x\n`,
    ]) {
      const lines = problemsOf(text).join('\n');
      expect(lines).to.not.equal('');
      expect(lines).to.not.match(/QUJD|true/);
    }
  });

  it('refuse keys that need a token', () => {
    const text = BASE.replace('host.key', '"pkcs11:token=x"');
    expect(problemsOf(text)).to.deep.equal([
      'a.yml:1: pki.key: keys in a PKCS#11 token are not supported; use a key file',
    ]);
  });

  it('of every file that is no YAML are reported together', () => {
    const sources = ['a.yml', 'b.yml', 'c.yml'].map((file, index) => ({
      file,
      text: index === 1 ? BASE : 'x: [1\ny: 2',
    }));
    const { config, problems } = parseConfig(sources, 'dir');
    expect(config).to.equal(null);
    expect(problems.map((problem) => problem.place.file)).to.deep.equal(['a.yml', 'c.yml']);
    for (const problem of problems) {
      expect(formatProblem(problem)).to.match(/\.yml:[12]: not valid YAML/);
    }
  });
});
