import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Config } from '../../../src/primary/config/config.ts';
import { comparedKeys, fieldOf, fieldPath } from '../../../src/primary/config/difference.ts';
import { RuleProto } from '../../../src/shared/firewall/rule.ts';
import { endpointOf, parseAddress, parsePrefix } from '../../../src/shared/ip/address.ts';
import { complaints, configOf, load } from './support.ts';

describe('typed configuration', () => {
  it('has every default', () => {
    const { pki, staticHostMap, lighthouse, ...rest } = configOf();
    expect(pki).to.deep.equal({
      ca: 'ca.crt',
      cert: 'host.crt',
      key: 'host.key',
      blocklist: [],
      blocklistKeys: [],
      disconnectInvalid: true,
      initiatingVersion: null,
    });
    expect(staticHostMap[0].vpnAddress.text).to.equal('10.0.0.1');
    expect({ ...lighthouse, hosts: [] }).to.deep.equal({
      amLighthouse: false,
      hosts: [],
      intervalMs: 10_000,
      serveDns: false,
      dns: { host: '', port: 53 },
      remoteAllowList: [],
      remoteAllowRanges: [],
      localAllowList: { addresses: [], interfaces: [] },
      advertiseAddrs: [],
      calculatedRemotes: [],
      maxHosts: 131_072,
    });
    expect(rest).to.deep.equal({
      staticMap: { cadenceMs: 30_000, network: 'ip4', lookupTimeoutMs: 250 },
      preferredRanges: [],
      punchy: { punch: false, respond: false, delayMs: 1000, respondDelayMs: 5000, targetAllRemotes: false },
      cipher: 'aes',
      crypto: { provider: null },
      routines: 1,
      listen: {
        host: '0.0.0.0',
        port: 0,
        batch: 64,
        readBufferBytes: 4_194_304,
        writeBufferBytes: 0,
        sendRecvError: 'always',
        acceptRecvError: 'always',
        soMark: 0,
        udpOffloads: true,
        flowLabels: true,
      },
      tun: {
        disabled: false,
        dev: '',
        mtu: 1300,
        txQueue: 500,
        dropLocalBroadcast: false,
        dropMulticast: false,
        routes: [],
        unsafeRoutes: [],
        useOffloads: true,
      },
      handshakes: { tryIntervalMs: 100, retries: 10, queryBuffer: 64 },
      tunnels: { dropInactive: false, inactivityTimeoutMs: 600_000, max: 16_384 },
      timers: { connectionAliveIntervalMs: 5000, pendingDeletionIntervalMs: 10_000, requeryWaitDurationMs: 60_000 },
      counters: { tryPromote: 1000, requeryEveryPackets: 5000 },
      firewall: {
        inbound: [],
        outbound: [],
        inboundAction: 'drop',
        outboundAction: 'drop',
        defaultLocalCidrAny: false,
        conntrack: {
          tcpTimeoutMs: 720_000,
          udpTimeoutMs: 180_000,
          defaultTimeoutMs: 600_000,
          maxConnections: 131_072,
          routineCacheTimeoutMs: 0,
        },
      },
      logging: { level: 'info', format: 'text', disableTimestamp: false },
      stats: {
        type: '',
        intervalMs: 0,
        protocol: 'tcp',
        host: '',
        listen: '',
        path: '',
        prefix: 'nebula',
        namespace: '',
        subsystem: '',
        messageMetrics: false,
        lighthouseMetrics: false,
        peerMetrics: false,
        peerMetricsMax: 1000,
      },
      api: { socket: '' },
    });
  });

  it('has a field for every key that it compares on a reload', () => {
    const config = configOf();
    for (const key of comparedKeys) {
      expect(fieldOf(config, key), key.path).to.not.equal(undefined);
    }
  });

  it('has no field that is not compared on a reload', () => {
    const config = configOf();
    const compared = new Set(comparedKeys.map((key) => fieldOf(marked(config), key)));
    const leaves: string[] = [];
    const visit = (value: unknown): void => {
      if (typeof value === 'string' && value.startsWith('$')) {
        if (!compared.has(value)) {
          leaves.push(value);
        }
      } else if (typeof value === 'object' && value !== null) {
        Object.values(value).forEach(visit);
      }
    };
    visit(marked(config));
    expect(leaves).to.deep.equal([]);
  });

  it('cannot be changed', () => {
    const config = configOf('preferred_ranges: [10.0.0.0/8]\n');
    for (const part of [config, config.pki, config.listen, config.lighthouse.hosts, config.preferredRanges[0]]) {
      expect(Object.isFrozen(part)).to.equal(true);
    }
  });

  it('parses values into addresses, networks, endpoints and milliseconds', () => {
    const config = configOf(`
preferred_ranges: [192.168.0.0/16, "fd00::/8"]
punchy: {punch: y, respond: "Yes", delay: 0s, respond_delay: 1m30s, target_all_remotes: 1}
cipher: chachapoly
listen: {host: "[::]", port: "4242", batch: 128, read_buffer: 10485760, send_recv_error: no, accept_recv_error: private}
timers: {connection_alive_interval: "7"}
handshakes: {try_interval: 1s, retries: 20}
tun:
  dev: weft7
  routes: [{route: 10.0.0.0/24, mtu: "1400"}]
  unsafe_routes:
    - {route: 172.16.0.0/16, via: 10.0.0.9}
    - {route: 172.17.0.0/16, via: [{gateway: 10.0.0.8}, {gateway: 10.0.0.7, weight: 5}], mtu: 1200, metric: "10", install: no}
logging: {level: WARNING, format: JSON, disable_timestamp: true}
`);
    expect(config.preferredRanges).to.deep.equal([parsePrefix('192.168.0.0/16'), parsePrefix('fd00::/8')]);
    expect(config.punchy).to.deep.equal({
      punch: true,
      respond: true,
      delayMs: 0,
      respondDelayMs: 90_000,
      targetAllRemotes: true,
    });
    expect(config.cipher).to.equal('chachapoly');
    expect(config.listen).to.deep.include({
      host: '::',
      port: 4242,
      batch: 128,
      readBufferBytes: 10_485_760,
      sendRecvError: 'never',
      acceptRecvError: 'private',
    });
    expect(config.timers.connectionAliveIntervalMs).to.equal(7000);
    expect(config.handshakes).to.deep.include({ tryIntervalMs: 1000, retries: 20 });
    expect(config.tun.routes).to.deep.equal([{ route: parsePrefix('10.0.0.0/24'), mtu: 1400 }]);
    expect(config.tun.unsafeRoutes).to.deep.equal([
      {
        route: parsePrefix('172.16.0.0/16'),
        via: [{ gateway: parseAddress('10.0.0.9'), weight: 1 }],
        mtu: 0,
        metric: 0,
        install: true,
      },
      {
        route: parsePrefix('172.17.0.0/16'),
        via: [
          { gateway: parseAddress('10.0.0.8'), weight: 1 },
          { gateway: parseAddress('10.0.0.7'), weight: 5 },
        ],
        mtu: 1200,
        metric: 10,
        install: false,
      },
    ]);
    expect(config.logging).to.deep.equal({ level: 'warn', format: 'json', disableTimestamp: true });
    expect(config.api.socket).to.equal('/run/weft/weft7.sock');
  });

  it('parses hosts, lists and networks of the lighthouse section', () => {
    const { config } = load(`pki: {ca: a, cert: b, key: c, initiating_version: 2, blocklist: [${'AB'.repeat(32)}]}
static_host_map: {"10.0.0.1": "vpn.example.com:4242", "fd00::1": ["192.0.2.1:1", "[2001:db8::1]:2"]}
static_map: {network: ip, cadence: 1m, lookup_timeout: 1s}
lighthouse:
  hosts: [10.0.0.1, "fd00:0::1"]
  interval: 60
  remote_allow_list: {"0.0.0.0/0": true, "10.0.0.0/8": no}
  remote_allow_ranges: {"10.42.42.0/24": {"192.168.0.0/16": y}}
  local_allow_list: {"10.0.0.0/8": true, interfaces: {"docker.*": false}}
  advertise_addrs: ["192.0.2.9:0", "me.example.com:4242"]
  calculated_remotes: {"10.0.10.0/24": [{mask: 192.168.1.0/24, port: "4242"}]}
`);
    expect(config?.pki).to.deep.include({ initiatingVersion: 2, blocklist: ['ab'.repeat(32)] });
    expect(config?.staticHostMap).to.deep.equal([
      {
        vpnAddress: parseAddress('10.0.0.1'),
        targets: [{ host: 'vpn.example.com', port: 4242, endpoint: null }],
      },
      {
        vpnAddress: parseAddress('fd00::1'),
        targets: [
          { host: '192.0.2.1', port: 1, endpoint: endpointOf(parseAddress('192.0.2.1')!, 1) },
          { host: '2001:db8::1', port: 2, endpoint: endpointOf(parseAddress('2001:db8::1')!, 2) },
        ],
      },
    ]);
    expect(config?.staticMap).to.deep.equal({ cadenceMs: 60_000, network: 'ip', lookupTimeoutMs: 1000 });
    expect(config?.lighthouse).to.deep.include({
      hosts: [parseAddress('10.0.0.1'), parseAddress('fd00::1')],
      intervalMs: 60_000,
      remoteAllowList: [
        { network: parsePrefix('0.0.0.0/0'), isAllowed: true },
        { network: parsePrefix('10.0.0.0/8'), isAllowed: false },
      ],
      remoteAllowRanges: [
        {
          network: parsePrefix('10.42.42.0/24'),
          rules: [
            { network: parsePrefix('192.168.0.0/16'), isAllowed: true },
            { network: parsePrefix('0.0.0.0/0'), isAllowed: false },
          ],
        },
      ],
      localAllowList: {
        addresses: [
          { network: parsePrefix('10.0.0.0/8'), isAllowed: true },
          { network: parsePrefix('0.0.0.0/0'), isAllowed: false },
        ],
        interfaces: [{ pattern: /^(?:docker.*)$/, isAllowed: false }],
      },
      calculatedRemotes: [
        { network: parsePrefix('10.0.10.0/24'), remotes: [{ mask: parsePrefix('192.168.1.0/24'), port: 4242 }] },
      ],
    });
    expect(config?.lighthouse.advertiseAddrs.map((target) => target.endpoint?.text ?? target.host)).to.deep.equal([
      '192.0.2.9:0',
      'me.example.com',
    ]);
  });

  it('reads firewall rules, each once', () => {
    const { firewall } = configOf(
      'firewall: {inbound: [{port: 443, proto: tcp, groups: [a, b]}, {port: any, proto: any, host: any}]}\n',
    );
    const nothing = { groups: [], host: null, cidr: null, localCidr: null, caName: null, caSha: null };
    expect(firewall.inbound).to.deep.equal([
      {
        ...nothing,
        incoming: true,
        index: 0,
        proto: RuleProto.Tcp,
        ports: { start: 443, end: 443 },
        groups: ['a', 'b'],
        text: 'port: 443, proto: tcp, groups: [a, b]',
      },
      {
        ...nothing,
        incoming: true,
        index: 1,
        proto: RuleProto.Any,
        ports: { start: 0, end: 0 },
        host: 'any',
        text: 'port: any, proto: any, host: any',
      },
    ]);
    expect(firewall.outbound).to.deep.equal([]);
  });

  it('takes a key without a value as absent', () => {
    const config = configOf('listen:\n  port:\ntun:\npreferred_ranges:\nfirewall:\n  inbound:\n');
    expect(config.listen.port).to.equal(0);
    expect(config.tun.mtu).to.equal(1300);
    expect(config.firewall.inbound).to.deep.equal([]);
  });

  it('puts the control socket where the device has its name from', () => {
    expect(configOf('tun: {dev: "weft%d"}\n').api.socket, 'the kernel numbers it').to.equal('');
    expect(configOf('tun: {disabled: true}\n').api.socket, 'no device').to.equal('/run/weft/weft.sock');
  });

  it('turns the control socket off and elsewhere', () => {
    expect(configOf('api: {socket: ""}\n').api.socket).to.equal(null);
    expect(configOf('api: {socket: /tmp/x.sock}\n').api.socket).to.equal('/tmp/x.sock');
  });

  it('reads the forms of old releases, with a warning each', () => {
    const text = 'punchy: true\npunch_back: true\nlocal_range: 192.168.1.0/24\npreferred_ranges: [10.0.0.0/8]\n';
    const config = configOf(text);
    expect(config.punchy).to.deep.include({ punch: true, respond: true });
    expect(config.preferredRanges.map((range) => range.text)).to.deep.equal(['10.0.0.0/8', '192.168.1.0/24']);
    expect(complaints(text)).to.deep.equal([
      '6: warning: punchy: a single value is the old form; write punchy.punch',
      '7: warning: punch_back: is the old name of punchy.respond',
      '8: warning: local_range: is the old name of preferred_ranges, which is a list; its network is used as the last of that list',
    ]);
    expect(configOf('punchy: {respond: false}\npunch_back: true\n').punchy.respond).to.equal(false);
  });
});

/** The same tree with a name of its own in place of every value that a key holds, and of all others. */
function marked(config: Config): Config {
  const fields = new Set(comparedKeys.map((key) => fieldPath(key).join('.')));
  let count = 0;
  const mark = (value: unknown, path: string): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value) && !fields.has(path)
      ? Object.fromEntries(
          Object.entries(value).map(([name, child]) => [name, mark(child, path === '' ? name : `${path}.${name}`)]),
        )
      : `$${count++}`;
  return mark(config, '') as Config;
}
