import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Config } from '../../../src/primary/config/config.ts';
import { parseConfig } from '../../../src/primary/config/loader.ts';
import { BASE, complaints, configOf, linesOf, load, problemsOf } from './support.ts';

const DURATION = 'a duration with a unit, such as 10s, 1m30s or 250ms';
const PREFIX = 'a network as address/bits, such as 10.0.0.0/8 or fd00::/64';
const HOST_PORT = 'host:port, such as 192.0.2.1:4242, [2001:db8::1]:4242 or vpn.example.com:4242';

/** What is written, the complaint about it after `6: warning: `, and what is in force. */
type Case = readonly [text: string, complaint: string, inForce: (config: Config) => unknown, value: unknown];

const CASES: readonly Case[] = [
  [
    'firewall: {conntrack: {default_timeout: 10}}',
    `firewall.conntrack.default_timeout: expected ${DURATION}, and greater than 0, found "10"; the default 10m is in force`,
    (config) => config.firewall.conntrack.defaultTimeoutMs,
    600_000,
  ],
  [
    'handshakes: {try_interval: ""}',
    `handshakes.try_interval: expected ${DURATION}, and greater than 0, found ""; the default 100ms is in force`,
    (config) => config.handshakes.tryIntervalMs,
    100,
  ],
  [
    'preferred_ranges: 10.0.0.0/8',
    `preferred_ranges: expected a list (each entry: ${PREFIX}), found "10.0.0.0/8"; the default [] is in force`,
    (config) => config.preferredRanges,
    [],
  ],
  [
    'preferred_ranges: [10.0.0.0, 10.0.0.0/8]',
    `preferred_ranges[0]: expected ${PREFIX}, found "10.0.0.0"; it is ignored`,
    (config) => config.preferredRanges.map(({ text }) => text),
    ['10.0.0.0/8'],
  ],
  [
    'preferred_ranges: [~]',
    `preferred_ranges[0]: expected ${PREFIX}, found nothing; it is ignored`,
    (config) => config.preferredRanges,
    [],
  ],
  [
    'relay: {relays: -10.1.1.1}',
    'relay.relays: expected a list (each entry: an IP address), found "-10.1.1.1"; the default [] is in force',
    () => null,
    null,
  ],
  [
    'listen: {port: true}',
    'listen.port: expected a whole number from 0 to 65535, found "true"; the default 0 is in force',
    (config) => config.listen.port,
    0,
  ],
  [
    'listen: {port: 4242.5}',
    'listen.port: expected a whole number from 0 to 65535, found "4242.5"; the default 0 is in force',
    (config) => config.listen.port,
    0,
  ],
  [
    'listen: {port: [1]}',
    'listen.port: expected a whole number from 0 to 65535, found a list; the default 0 is in force',
    (config) => config.listen.port,
    0,
  ],
  [
    'tun: {mtu: {a: 1}}',
    'tun.mtu: expected a whole number from 68 to 65535, found a map; the default 1300 is in force',
    (config) => config.tun.mtu,
    1300,
  ],
  [
    'punchy: {punch: on}',
    'punchy.punch: expected true or false, found "on"; the default false is in force',
    (config) => config.punchy.punch,
    false,
  ],
  [
    'punchy: {punch: 5}',
    'punchy.punch: expected true or false, found "5"; the default false is in force',
    (config) => config.punchy.punch,
    false,
  ],
  [
    'counters: {try_promote: 0}',
    'counters.try_promote: expected a whole number from 1 to 4294967295, found "0"; the default 1000 is in force',
    (config) => config.counters.tryPromote,
    1000,
  ],
  [
    'timers: {connection_alive_interval: 5s}',
    'timers.connection_alive_interval: expected a whole number of seconds from 1 to 86400, found "5s"; the default 5 is in force',
    (config) => config.timers.connectionAliveIntervalMs,
    5000,
  ],
  [
    'timers: {connection_alive_interval: 0}',
    'timers.connection_alive_interval: expected a whole number of seconds from 1 to 86400, found "0"; 1 is in force',
    (config) => config.timers.connectionAliveIntervalMs,
    1000,
  ],
  [
    'handshakes: {retries: 5000}',
    'handshakes.retries: expected a whole number from 1 to 1000, found "5000"; 1000 is in force',
    (config) => config.handshakes.retries,
    1000,
  ],
  [
    'firewall: {inbound_action: Reject}',
    'firewall.inbound_action: expected one of drop, reject, found "Reject"; the default drop is in force',
    (config) => config.firewall.inboundAction,
    'drop',
  ],
  [
    'listen: {send_recv_error: Never}',
    'listen.send_recv_error: expected one of always, never, private, found "Never"; the default always is in force',
    (config) => config.listen.sendRecvError,
    'always',
  ],
  [
    'routines: 2\nfirewall: {conntrack: {routine_cache_timeout: soon}}',
    `firewall.conntrack.routine_cache_timeout: expected ${DURATION}, and not negative, found "soon"; the cache is off`,
    (config) => config.firewall.conntrack.routineCacheTimeoutMs,
    0,
  ],
  ['listen: 5', 'listen: expected a map of settings, found "5"; it is ignored', (config) => config.listen.port, 0],
  ['tun: [a]', 'tun: expected a map of settings, found a list; it is ignored', (config) => config.tun.mtu, 1300],
  [
    'listen: {host: " 192.0.2.1 "}',
    'listen.host: expected an address or a name, without blanks, found " 192.0.2.1 "; "192.0.2.1" is in force',
    (config) => config.listen.host,
    '192.0.2.1',
  ],
];

describe('values that Nebula ignores', () => {
  for (const [text, complaint, inForce, value] of CASES) {
    it(`are warned about, and the same is in force: ${text.replace('\n', ', ')}`, () => {
      const line = text.split('\n').length + 5;
      expect(complaints(`${text}\n`)).to.include(`${line}: warning: ${complaint}`);
      expect(inForce(configOf(`${text}\n`))).to.deep.equal(value);
    });
  }

  for (const text of [
    'local_range: ""',
    'stats: {interval: "", type: none}',
    'pki: {ca: a, cert: b, key: c, initiating_version: ""}',
    'logging: {timestamp_format: ""}',
    'tun: {dev: ""}',
    'punchy: ""',
    'relay: ""',
    'firewall: ""',
  ]) {
    it(`need no word when they are empty and nothing takes their place: ${text}`, () => {
      const base = text.startsWith('pki') ? BASE.slice(BASE.indexOf('\n') + 1) : BASE;
      expect(problemsOf(`${base}${text}\n`)).to.deep.equal([]);
    });
  }

  it('are lighthouses and peers that are no list or map', () => {
    const pki = 'pki: {ca: a, cert: b, key: c}\n';
    for (const hosts of ['"10.0.0.1"', '\n    -10.0.0.1']) {
      const { config, problems } = load(`${pki}lighthouse:\n  hosts: ${hosts}\n`);
      expect(config?.lighthouse.hosts).to.deep.equal([]);
      expect(problems.map(({ message }) => message).join('\n')).to.match(
        /^expected a list .*, found "-?10\.0\.0\.1"; the default \[\] is in force$/m,
      );
    }
    const { config, problems } = load(`${pki}static_host_map: 5\n`);
    expect(config?.staticHostMap).to.deep.equal([]);
    expect(problems.map(({ path }) => path)).to.include('static_host_map');
  });

  it('are entries of a blocklist that are no fingerprint', () => {
    const good = 'ab'.repeat(32);
    const text = BASE.replace('key: host.key}', `key: host.key, blocklist: [junk, " ${good.toUpperCase()}", 5]}`);
    const { config, problems } = load(text);
    expect(config?.pki.blocklist).to.deep.equal([good]);
    expect(linesOf(problems)).to.deep.equal(
      [
        ['0', '"junk"'],
        ['2', '"5"'],
      ].map(
        ([index, found]) =>
          `a.yml:1: warning: pki.blocklist[${index}]: expected a certificate fingerprint (64 hexadecimal digits), found ${found}; it is ignored`,
      ),
    );
  });

  it('are not entries of blocklist_keys that are no public key: nobody else knows the list', () => {
    const keyed = (entries: string) => BASE.replace('key: host.key}', `key: host.key, blocklist_keys: [${entries}]}`);
    const keys = ['ab'.repeat(32), `04${'cd'.repeat(64)}`];
    expect(load(keyed(` "${keys[0].toUpperCase()} ", ${keys[1]}`)).config?.pki.blocklistKeys).to.deep.equal(keys);
    for (const junk of ['junk', `05${'cd'.repeat(64)}`, 'ab'.repeat(33)]) {
      const { config, problems } = load(keyed(junk));
      expect(config).to.equal(null);
      expect(linesOf(problems)[0]).to.match(
        /^a\.yml:1: (error: )?pki\.blocklist_keys\[0\]: expected a public key \(64 hexadecimal digits, 130 on P256\)/,
      );
    }
  });

  it('are blanks around an endpoint', () => {
    for (const [written, taken] of [
      ['192.0.2.2:4242 ', '192.0.2.2:4242'],
      ['192.0.2.2 :4242', '192.0.2.2:4242'],
      [' 192.0.2.2:4242', '192.0.2.2:4242'],
    ]) {
      const text = BASE.replace('["192.0.2.1:4242"]', `["${written}"]`);
      const { config, problems } = load(text);
      expect(config?.staticHostMap[0].targets[0].endpoint?.text).to.equal(taken);
      expect(linesOf(problems)).to.deep.equal([
        `a.yml:3: warning: static_host_map["10.0.0.1"][0]: expected ${HOST_PORT}, without blanks, found "${written}"; "${taken}" is in force`,
      ]);
    }
  });

  it('let the later of two files win, whatever their kinds', () => {
    const files = ['punchy: true\n', 'punchy: {punch: true, respond: true}\n'].map((text, index) => ({
      file: `${index}.yml`,
      text: index === 0 ? BASE + text : text,
    }));
    const { config, problems } = parseConfig(files, 'dir');
    expect(config?.punchy).to.deep.include({ punch: true, respond: true });
    expect(linesOf(problems)).to.deep.equal([
      '1.yml:1: warning: punchy: a map here takes the place of a single value in 0.yml:6; remove one of them',
    ]);
  });
});

describe('values that Nebula takes', () => {
  it('are taken without a word', () => {
    expect(complaints('listen: {so_mark: 4294967295}\n')).to.deep.equal([]);
    expect(configOf('listen: {so_mark: 4294967295}\n').listen.soMark).to.equal(0xffff_ffff);
    expect(configOf('tun: {dev: 5}\n').tun.dev).to.equal('5');
    expect(complaints('logging: {level: INFO, format: JSON}\n')).to.deep.equal([]);
  });

  it('are patterns in the syntax of Go', () => {
    const more = '  local_allow_list: {interfaces: {"(?i)ETH[[:digit:]]+": true}}\n';
    const [{ pattern }] = configOf(more).lighthouse.localAllowList.interfaces;
    expect(['eth0', 'ETH12', 'xeth0', 'eth'].map((name) => pattern.test(name))).to.deep.equal([
      true,
      true,
      false,
      false,
    ]);
  });
});

describe('values that Nebula refuses', () => {
  for (const text of [
    'cipher: AES',
    'logging: {level: ""}',
    'static_map: {cadence: 10}',
    'lighthouse_: 1\npki: 5',
    'firewall: 5',
    'firewall: {inbound: [{port: any, proto: any, cidr: 10.0.0.0/024}]}',
    'tun: {unsafe_routes: [{route: 192.168.0.0/024, via: 10.0.0.1}]}',
    'tun: {routes: ""}',
    'tun: {mtu: 40}',
    'crypto: {provider: openssl}',
    'stats: {type: influx}',
  ]) {
    it(`are refused: ${text.replace('\n', ', ')}`, () => {
      const base = text.includes('pki') ? BASE.slice(BASE.indexOf('\n') + 1) : BASE;
      expect(load(`${base}${text}\n`).config).to.equal(null);
    });
  }

  it('are those that decide on access', () => {
    for (const [key, value] of [
      ['blocklist', 'ab'],
      ['disconnect_invalid', 'maybe'],
      ['initiating_version', '3'],
    ]) {
      expect(load(BASE.replace('key: host.key}', `key: host.key, ${key}: ${value}}`)).config, key).to.equal(null);
    }
    for (const more of ['  remote_allow_list: ""\n', '  local_allow_list: 5\n', '  remote_allow_ranges: [1]\n']) {
      expect(load(BASE + more).config, more).to.equal(null);
    }
    expect(load(`${BASE}firewall: {default_local_cidr_any: maybe}\n`).config).to.equal(null);
  });

  it('are named with what would be accepted', () => {
    expect(complaints('crypto: {provider: openssl}\n')).to.deep.equal([
      '6: crypto.provider: expected one of "", ipsec-mb, libgcrypt, node-evp, libcrypto, boringssl, node, found "openssl"',
    ]);
    expect(complaints('tun: {dev: abcdefghijklmnop}\n')[0]).to.include('of 1 to 15 characters');
  });
});
