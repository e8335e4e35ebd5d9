import { expect } from 'chai';
import { describe, it } from 'mocha';
import { BASE, complaints, load, problemsOf } from './support.ts';

describe('unknown keys', () => {
  for (const [text, path, hint] of [
    ['listne: {port: 1}', 'listne', 'listen'],
    ['listen: {prot: 1}', 'listen.prot', 'listen.port'],
    ['tun: {drop_multicst: true}', 'tun.drop_multicst', 'tun.drop_multicast'],
    ['lighthouse_: {}', 'lighthouse_', 'lighthouse'],
    ['amLighthouse: true', 'amLighthouse', 'lighthouse.am_lighthouse'],
    ['firewall: {tcp_timeout: 12m}', 'firewall.tcp_timeout', 'firewall.conntrack.tcp_timeout'],
    ['tun: {listen-port: 1}', 'tun.listen-port', null],
    ['qwertz: 1', 'qwertz', null],
  ] as const) {
    it(`warns about ${text}`, () => {
      const question = hint === null ? '' : `; did you mean ${hint}?`;
      expect(complaints(`${text}\n`)).to.deep.equal([`6: warning: ${path}: unknown key${question}`]);
      expect(load(`${BASE}${text}\n`).config).to.not.equal(null);
    });
  }

  it('names fields inside lists', () => {
    const text = 'tun:\n  unsafe_routes:\n    - route: 1.0.0.0/8\n      via: 10.0.0.9\n      metrik: 5\n';
    expect(complaints(text)).to.deep.equal([
      '10: warning: tun.unsafe_routes[0].metrik: unknown key; did you mean metric?',
    ]);
  });

  it('explains dots and removed keys', () => {
    expect(complaints('listen.port: 4242\n')).to.deep.equal([
      '6: warning: listen.port: unknown key; write nested maps instead of dots',
    ]);
    const blacklist = BASE.replace('key: host.key', 'key: host.key, blacklist: [x]');
    expect(problemsOf(blacklist)).to.deep.equal([
      'a.yml:1: warning: pki.blacklist: is no longer read, so nothing in it is blocked; move its entries to pki.blocklist',
    ]);
  });
});

describe('unsupported keys', () => {
  for (const [text, path, consequence] of [
    ['sshd: {enabled: true, listen: "127.0.0.1:2222"}', 'sshd', 'there is no ssh console'],
    ['relay: {am_relay: true}', 'relay.am_relay', 'relays for nobody'],
    ['relay: {use_relays: true}', 'relay.use_relays', 'directly or not at all'],
    ['relay: {relays: [10.0.0.1]}', 'relay.relays', 'no relay is told'],
    [
      'tun: {use_system_route_table: true, use_system_route_table_buffer_size: 1000}',
      'tun.use_system_route_table',
      'not followed',
    ],
    ['tun: {pin_threads: true}', 'tun.pin_threads', 'the kernel chooses'],
    ['tun: {cpu_affinity: [0, 1]}', 'tun.cpu_affinity', 'the kernel chooses'],
    ['handshakes: {trigger_buffer: 128}', 'handshakes.trigger_buffer', 'made at once'],
    ['logging: {timestamp_format: "2006-01-02"}', 'logging.timestamp_format', 'RFC 3339'],
    ['listen: {windows_bypass_wdf: false}', 'listen.windows_bypass_wdf', 'only matters on Windows'],
  ] as const) {
    it(`gives one warning for ${text}`, () => {
      const lines = complaints(`${text}\n`);
      expect(lines).to.have.length(1);
      expect(lines[0]).to.match(new RegExp(`^6: warning: ${path.replaceAll('.', '\\.')}: .*${consequence}`));
    });
  }

  for (const text of [
    'sshd: {enabled: false, listen: "127.0.0.1:2222"}',
    'relay: {am_relay: false, use_relays: false, relays: []}',
    'tun: {use_system_route_table: false, pin_threads: false, cpu_affinity: []}',
  ]) {
    it(`is silent about ${text}`, () => {
      expect(complaints(`${text}\n`)).to.deep.equal([]);
    });
  }

  it('still have types', () => {
    expect(complaints('sshd: {enabled: perhaps}\n')).to.deep.equal([
      '6: warning: sshd.enabled: expected true or false, found "perhaps"; the default false is in force',
    ]);
  });
});
