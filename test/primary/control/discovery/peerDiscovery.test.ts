import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CalculatedRemotes } from '../../../../src/primary/control/discovery/calculatedRemotes.ts';
import { PUNCH_JOBS_MAX } from '../../../../src/primary/control/discovery/punching.ts';
import type { IpAddress } from '../../../../src/shared/ip/address.ts';
import { LighthouseType } from '../../../../src/shared/wire/lighthouseMessage.ts';
import { ep, ip, net, target, texts } from '../../../support/addresses.ts';
import { remoteAllowList } from '../../../support/allowLists.ts';
import {
  Bench,
  describeEffect,
  lighthouse1,
  lighthouse2,
  local,
  me,
  peer,
  resolves,
  words,
} from './peerDiscoveryBench.ts';

describe('primary/control/peerDiscovery', () => {
  describe('queries', () => {
    it('go to every lighthouse, through a tunnel now or when it is up', () => {
      const bench = new Bench();
      bench.tunnel(3, lighthouse1);
      expect(words(bench.ask(peer))).to.deep.equal([`slot 3 type 1 v1 | ${peer}`, `connect ${lighthouse2}`]);
      expect(words(bench.ask('10.0.0.8'))).to.deep.equal(['slot 3 type 1 v1 | 10.0.0.8', `connect ${lighthouse2}`]);
      bench.ask(peer);
      const sent = words(bench.up(4, lighthouse2)).filter((text) => text.includes('type 1 '));
      expect(sent).to.deep.equal([`slot 4 type 1 v1 | ${peer}`, 'slot 4 type 1 v1 | 10.0.0.8']);
      expect(words(bench.up(4, lighthouse2))).to.deep.equal([]);
    });

    it('take the form of our certificate in the tunnel, which in v1 has no place for IPv6', () => {
      const bench = new Bench();
      bench.tunnel(3, lighthouse1, 2);
      bench.tunnel(4, lighthouse2, 1);
      expect(words(bench.ask('fd42::7'))).to.deep.equal([
        'slot 3 type 1 v2 | fd42::7',
        'error Cannot query a lighthouse for an IPv6 address with a version 1 certificate',
      ]);
    });

    it('for IPv6 wait for a tunnel of version 2 where this node has such a certificate, once', () => {
      const bench = new Bench();
      bench.reload({ client: { ...bench.settings.client, lighthouses: [ip(lighthouse1)], hasTwoVersions: true } });
      const up = words(bench.up(3, lighthouse1));
      expect(up.filter((text) => text.includes('upgrade'))).to.deep.equal([`upgrade ${lighthouse1}`]);
      expect(words(bench.ask('fd42::7'))).to.deep.equal([]);
      expect(words(bench.ask(peer)), 'IPv4 need not wait').to.deep.equal([`slot 3 type 1 v1 | ${peer}`]);
      const sent = words(bench.up(4, lighthouse1, 2)).filter((text) => text.includes('type 1 '));
      expect(sent).to.deep.equal(['slot 4 type 1 v2 | fd42::7']);
      bench.up(5, lighthouse1);
      bench.nowMs += 15_000;
      const failed = words(bench.ask('fd42::8'));
      expect(failed).to.deep.equal([
        'error Cannot query a lighthouse for an IPv6 address with a version 1 certificate',
      ]);
    });

    it('are not sent by a lighthouse, nor for a lighthouse', () => {
      const bench = new Bench();
      bench.tunnel(3, lighthouse1);
      expect(bench.ask(lighthouse2)).to.deep.equal([]);
      const other = new Bench();
      other.tunnel(3, lighthouse1);
      other.reload({ client: { ...other.settings.client, amLighthouse: true } });
      expect(other.ask(peer)).to.deep.equal([]);
    });

    it('wait in a bounded number, and no longer than the handshake they wait for', () => {
      const bench = new Bench();
      for (let index = 1; index <= 9; index++) {
        bench.ask(`10.0.0.${index + 10}`);
      }
      const sent = words(bench.up(3, lighthouse1)).filter((text) => text.includes('type 1 '));
      expect(sent).to.deep.equal([11, 12, 13].map((last) => `slot 3 type 1 v1 | 10.0.0.${last}`));
      bench.discovery.onHostFailed(ip(lighthouse2));
      expect(words(bench.up(4, lighthouse2)).filter((text) => text.includes('type 1 '))).to.deep.equal([]);
    });
  });

  describe('replies', () => {
    it('of several lighthouses are united, and try the handshake again', () => {
      const bench = new Bench();
      const [one, two] = [bench.tunnel(3, lighthouse1), bench.tunnel(4, lighthouse2, 1, 'fd42::101')];
      bench.ask(peer);
      const effects = bench.receive(one, LighthouseType.HostQueryReply, peer, ['192.0.2.1:1'], ['10.0.0.50']);
      expect(words(effects)).to.deep.equal([`retry ${peer}`]);
      bench.receive(two, LighthouseType.HostQueryReply, peer, ['192.0.2.2:2', '192.0.2.9:0']);
      expect(texts(bench.remotes.list(ip(peer)))).to.deep.equal(['192.0.2.1:1', '192.0.2.2:2']);
      expect(texts(bench.remotes.relays(ip(peer)))).to.deep.equal(['10.0.0.50']);
      bench.receive(one, LighthouseType.HostQueryReply, peer, []);
      expect(texts(bench.remotes.list(ip(peer)))).to.deep.equal(['192.0.2.2:2']);
      expect(texts(bench.remotes.entries(ip(peer)).map((entry) => entry.owner))).to.deep.equal([
        lighthouse1,
        lighthouse2,
      ]);
    });

    it('of others than lighthouses, and unasked ones, are dropped', () => {
      const bench = new Bench();
      const [one, stranger] = [bench.tunnel(3, lighthouse1), bench.tunnel(9, '10.0.0.66')];
      bench.ask(peer);
      expect(bench.receive(stranger, LighthouseType.HostQueryReply, peer, ['6.6.6.6:6'])).to.deep.equal([]);
      expect(bench.receive(stranger, LighthouseType.HostPunchNotification, peer, ['6.6.6.6:6'])).to.deep.equal([]);
      expect(bench.receive(one, LighthouseType.HostQueryReply, '10.0.0.55', ['6.6.6.6:6'])).to.deep.equal([]);
      bench.pass(61_000);
      expect(bench.receive(one, LighthouseType.HostQueryReply, peer, ['6.6.6.6:6'])).to.deep.equal([]);
      expect([bench.remotes.has(ip(peer)), bench.remotes.has(ip('10.0.0.55'))]).to.deep.equal([false, false]);
      expect(bench.pass(10_000).filter(({ effect }) => effect.kind === 'punch')).to.deep.equal([]);
    });

    it('that cannot be decoded, and messages for lighthouses, are dropped', () => {
      const bench = new Bench();
      const one = bench.tunnel(3, lighthouse1);
      bench.discovery.onMessage(bench.now, one, Uint8Array.of(8, 2));
      expect(bench.outbox.drain()).to.deep.equal([{ kind: 'count', metric: 'lighthouse.drop.malformed', n: 1 }]);
      expect(bench.receive(one, LighthouseType.HostQuery, peer, [])).to.deep.equal([]);
      expect(bench.receive(one, LighthouseType.HostUpdateNotification, peer, ['6.6.6.6:6'])).to.deep.equal([]);
    });

    it('are forgotten when nobody answers there and there is no tunnel', () => {
      const bench = new Bench();
      const one = bench.tunnel(3, lighthouse1);
      bench.ask(peer);
      bench.receive(one, LighthouseType.HostQueryReply, peer, ['192.0.2.1:1']);
      bench.tunnel(5, peer);
      bench.discovery.onHostFailed(ip(peer));
      expect(bench.remotes.has(ip(peer))).to.equal(true);
      bench.tunnels.delete(peer);
      bench.discovery.onHostFailed(ip(peer));
      expect(bench.remotes.has(ip(peer))).to.equal(false);
    });
  });

  describe('updates', () => {
    it('are sent at start, every interval, and when a lighthouse is up', () => {
      const bench = new Bench();
      bench.tunnel(3, lighthouse1);
      const update = `type 3 v1 | ${me} | 192.168.1.1:4242`;
      expect(words(bench.start(local('eth0', '192.168.1.1')))).to.deep.equal([
        `slot 3 ${update}`,
        `connect ${lighthouse2}`,
      ]);
      expect(words(bench.up(4, lighthouse2))).to.deep.equal([`slot 4 ${update}`]);
      const passed = bench.pass(25_000).map(({ atMs, effect }) => `${atMs} ${describeEffect(effect)}`);
      expect(passed).to.deep.equal([
        `11000 slot 3 ${update}`,
        `11000 slot 4 ${update}`,
        `21000 slot 3 ${update}`,
        `21000 slot 4 ${update}`,
      ]);
      expect(bench.up(4, lighthouse2)).to.deep.equal([]);
      expect(words(bench.up(7, lighthouse2))).to.deep.equal([`slot 7 ${update}`]);
      bench.discovery.onHostGone(bench.now, [ip(lighthouse2)]);
      expect(words(bench.up(7, lighthouse2))).to.deep.equal([`slot 7 ${update}`]);
      expect(bench.up(8, peer)).to.deep.equal([]);
    });

    it('go out at once when the local addresses change, and only then', () => {
      const bench = new Bench();
      bench.tunnel(3, lighthouse1);
      bench.tunnel(4, lighthouse2);
      bench.start(local('eth0', '192.168.1.1'));
      bench.discovery.onLocalAddresses(bench.now, [local('eth0', '192.168.1.1'), local('lo', '127.0.0.1')]);
      expect(bench.take()).to.deep.equal([]);
      bench.pass(4000);
      bench.discovery.onLocalAddresses(bench.now, [local('wlan0', '192.168.7.7'), local('wlan0', '2001:db8::7')]);
      const update = `type 3 v1 | ${me} | 192.168.7.7:4242 [2001:db8::7]:4242`;
      expect(words(bench.take())).to.deep.equal([`slot 3 ${update}`, `slot 4 ${update}`]);
      expect(bench.pass(10_000).map(({ atMs }) => atMs)).to.deep.equal([15_000, 15_000]);
    });

    it('carry advertised endpoints first, with the own port for 0, and relays; in v2 no address', () => {
      const bench = new Bench({ advertiseAddrs: [target('203.0.113.5:0'), target('203.0.113.6:99')] });
      bench.reload({ client: { ...bench.settings.client, relays: [ip('10.0.0.50'), ip('fd42::50')] } });
      bench.tunnel(3, lighthouse1, 2);
      bench.tunnel(4, lighthouse2, 1);
      const endpoints = '203.0.113.5:4242 203.0.113.6:99 192.168.1.1:4242';
      expect(words(bench.start(local('eth0', '192.168.1.1')))).to.deep.equal([
        `slot 3 type 3 v2 | - | ${endpoints} | 10.0.0.50 fd42::50`,
        `slot 4 type 3 v1 | ${me} | ${endpoints} | 10.0.0.50`,
      ]);
    });

    it('look up advertised names until they are found once', () => {
      const bench = new Bench({ advertiseAddrs: [target('home.example:0')] });
      bench.tunnel(3, lighthouse1);
      bench.tunnel(4, lighthouse2);
      const [request] = resolves(bench.start());
      expect(request).to.deep.include({ network: 'ip', targets: [target('home.example:0')] });
      expect(words(bench.answer(request, [], ['home.example']))).to.deep.equal([
        'error DNS resolution failed for lighthouse.advertise_addrs',
      ]);
      const [again] = resolves(bench.pass(30_000).map(({ effect }) => effect));
      expect(bench.answer(request, ['6.6.6.6:6'])).to.deep.equal([]);
      expect(words(bench.answer(again, ['203.0.113.7:0', '203.0.113.8:0']))).to.deep.equal([
        `slot 3 type 3 v1 | ${me} | 203.0.113.7:4242`,
        `slot 4 type 3 v1 | ${me} | 203.0.113.7:4242`,
      ]);
      expect(resolves(bench.reload({}))).to.deep.equal([]);
    });

    it('are not sent with interval 0, by a lighthouse, or without lighthouses', () => {
      for (const changes of [{ intervalMs: 0 }, { amLighthouse: true }, { lighthouses: [] }]) {
        const bench = new Bench();
        bench.tunnel(3, lighthouse1);
        bench.reload({ client: { ...bench.settings.client, ...changes } });
        expect(bench.start(local('eth0', '192.168.1.1'))).to.deep.equal([]);
        expect(bench.up(4, lighthouse2)).to.deep.equal([]);
        expect(bench.pass(60_000)).to.deep.equal([]);
      }
    });

    it('go to new lighthouses right after a reload, at the new interval', () => {
      const bench = new Bench();
      bench.start(local('eth0', '192.168.1.1'));
      bench.tunnel(8, '10.0.0.102');
      const client = { ...bench.settings.client, lighthouses: [ip('10.0.0.102')], intervalMs: 60_000 };
      expect(words(bench.reload({ client }))).to.deep.equal([`slot 8 type 3 v1 | ${me} | 192.168.1.1:4242`]);
      expect(bench.pass(60_000)).to.have.length(1);
      expect(bench.reload({})).to.deep.equal([]);
    });
  });

  describe('punching', () => {
    const notify = LighthouseType.HostPunchNotification;

    it('keeps two notifications within the delay apart', () => {
      const bench = new Bench();
      const one = bench.tunnel(3, lighthouse1);
      bench.receive(one, notify, peer, ['192.0.2.1:1', '[2001:db8::1]:1']);
      bench.pass(400);
      bench.receive(one, notify, '10.0.0.8', ['192.0.2.2:2']);
      const passed = bench.pass(5000).map(({ atMs, effect }) => `${atMs} ${describeEffect(effect)}`);
      expect(passed).to.deep.equal([
        '2000 punch 192.0.2.1:1 0',
        '2000 punch [2001:db8::1]:1 0',
        '2400 punch 192.0.2.2:2 0',
      ]);
    });

    it('responds when told to, with the delays of the configuration', () => {
      const bench = new Bench({ punchy: { delayMs: 200, respond: true, respondDelayMs: 700 } });
      const one = bench.tunnel(3, lighthouse1);
      bench.receive(one, notify, peer, ['192.0.2.1:1']);
      bench.receive(one, notify, '10.0.0.8', []);
      const passed = bench.pass(5000).map(({ atMs, effect }) => `${atMs} ${describeEffect(effect)}`);
      expect(passed).to.deep.equal(['1200 punch 192.0.2.1:1 0', `1700 test ${peer}`, '1700 test 10.0.0.8']);
      bench.reload({ punchy: { delayMs: 0, respond: false, respondDelayMs: 0 } });
      bench.receive(one, notify, peer, ['192.0.2.1:1']);
      expect(bench.pass(0).map(({ effect }) => describeEffect(effect))).to.deep.equal(['punch 192.0.2.1:1 0']);
    });

    it('punches only where the allow list allows, and not into its own networks', () => {
      const bench = new Bench({
        remoteAllowList: remoteAllowList({ '172.16.0.0/12': false }, { '10.0.0.0/24': { '192.0.2.66/32': false } }),
      });
      const one = bench.tunnel(3, lighthouse1);
      bench.receive(one, notify, peer, ['172.16.0.1:1', '192.0.2.66:1', '10.0.0.9:1', '192.0.2.1:1', '192.0.2.2:0']);
      expect(bench.pass(5000).map(({ effect }) => describeEffect(effect))).to.deep.equal(['punch 192.0.2.1:1 0']);
    });

    it('bounds the work that waits', () => {
      const bench = new Bench();
      const one = bench.tunnel(3, lighthouse1);
      for (let index = 0; index < PUNCH_JOBS_MAX / 2; index++) {
        bench.receive(one, notify, peer, ['192.0.2.1:1', '192.0.2.2:1', '192.0.2.3:1']);
      }
      expect(bench.pass(5000).filter(({ effect }) => effect.kind === 'punch')).to.have.length(PUNCH_JOBS_MAX);
    });
  });

  describe('static hosts', () => {
    const host = (vpn: string, ...targets: string[]) => ({ vpnAddress: ip(vpn), targets: targets.map(target) });

    it('are known at once by address, and never forgotten', () => {
      const bench = new Bench({ staticHosts: [host(peer, '192.0.2.1:1', '[2001:db8::1]:1')] });
      expect(resolves(bench.start())).to.deep.equal([]);
      expect(texts(bench.remotes.list(ip(peer)))).to.deep.equal(['[2001:db8::1]:1', '192.0.2.1:1']);
      bench.remotes.forget([ip(peer)]);
      expect(bench.remotes.has(ip(peer))).to.equal(true);
    });

    it('are looked up at once and every cadence, all targets together; changes are logged and tried', () => {
      const bench = new Bench({ staticHosts: [host(peer, 'a.example:1', '192.0.2.1:1')] });
      const [first] = resolves(bench.start());
      expect(first).to.deep.include({
        network: 'ip4',
        timeoutMs: 250,
        targets: [target('a.example:1'), target('192.0.2.1:1')],
      });
      expect(texts(bench.remotes.list(ip(peer)))).to.deep.equal(['192.0.2.1:1']);
      expect(words(bench.answer(first, ['192.0.2.7:1', '192.0.2.1:1']))).to.deep.equal([
        'info DNS results changed for host list',
        `retry ${peer}`,
      ]);
      expect(texts(bench.remotes.list(ip(peer)))).to.deep.equal(['192.0.2.1:1', '192.0.2.7:1']);
      const passed = bench.pass(30_000).filter(({ effect }) => effect.kind === 'resolve');
      expect(passed.map(({ atMs }) => atMs)).to.deep.equal([31_000]);
      const [second] = resolves(passed.map(({ effect }) => effect));
      expect(bench.answer(second, ['192.0.2.1:1', '192.0.2.7:1'])).to.deep.equal([]);
      expect(bench.answer(first, ['6.6.6.6:6'])).to.deep.equal([]);
      const [third] = resolves(bench.pass(30_000).map(({ effect }) => effect));
      expect(words(bench.answer(third, ['192.0.2.1:1'], ['a.example']))).to.deep.equal([
        'error DNS resolution failed for static_map host',
        'info DNS results changed for host list',
        `retry ${peer}`,
      ]);
      expect(texts(bench.remotes.list(ip(peer)))).to.deep.equal(['192.0.2.1:1']);
    });

    it('are rebuilt by a reload: new ones added, old ones and their names dropped', () => {
      const bench = new Bench({
        staticHosts: [host(peer, 'a.example:1', '192.0.2.1:1'), host('10.0.0.8', '192.0.2.8:1')],
      });
      const [first] = resolves(bench.start());
      bench.answer(first, ['192.0.2.7:1']);
      const [again] = resolves(bench.reload({ staticHosts: [host(peer, 'b.example:1')] }));
      expect(texts(bench.remotes.list(ip(peer)))).to.deep.equal(['192.0.2.7:1']);
      expect(bench.remotes.list(ip('10.0.0.8'))).to.deep.equal([]);
      expect(bench.remotes.isStatic(ip('10.0.0.8'))).to.equal(false);
      bench.answer(again, ['192.0.2.9:1']);
      expect(texts(bench.remotes.list(ip(peer)))).to.deep.equal(['192.0.2.9:1']);
      bench.reload({ staticHosts: [] });
      expect(bench.remotes.list(ip(peer))).to.deep.equal([]);
      expect(bench.pass(90_000).filter(({ effect }) => effect.kind === 'resolve')).to.deep.equal([]);
      expect(bench.answer(again, ['192.0.2.9:1'])).to.deep.equal([]);
    });
  });

  describe('calculated remotes', () => {
    const calculated = (...entries: [string, string, number][]) =>
      new CalculatedRemotes(
        entries.map(([network, mask, port]) => ({ network: net(network), remotes: [{ mask: net(mask), port }] })),
      );

    it('combine mask and vpn address as published', () => {
      const beef = ip('beef:beef:beef:beef:beef:beef:beef:beef');
      const cases: [string, string, IpAddress, string][] = [
        ['10.0.10.0/24', '192.168.1.0/24', ip('10.0.10.182'), '192.168.1.182'],
        ['::/0', 'ffff:ffff:ffff:ffff::/64', beef, 'ffff:ffff:ffff:ffff:beef:beef:beef:beef'],
        ['::/0', 'ffff:ffff:ffff:ffff:ffff::/80', beef, 'ffff:ffff:ffff:ffff:ffff:beef:beef:beef'],
        ['::/0', 'ffff:ffff:ffff::/48', beef, 'ffff:ffff:ffff:beef:beef:beef:beef:beef'],
        ['10.0.0.0/8', '172.16.0.0/12', ip('10.99.2.3'), '172.19.2.3'],
      ];
      for (const [network, mask, address, expected] of cases) {
        expect(
          texts(
            calculated([network, mask, 4242])
              .of(address)
              .map((endpoint) => endpoint.address),
          ),
        ).to.deep.equal([ip(expected).text]);
      }
      expect(
        calculated(['10.0.0.0/8', '172.16.0.0/12', 1], ['10.1.0.0/16', '1.1.0.0/16', 2]).of(ip('10.1.2.3')),
      ).to.deep.equal([ep('1.1.2.3:2')]);
      expect(calculated(['10.0.0.0/8', '172.16.0.0/12', 1]).of(ip('11.0.0.1'))).to.deep.equal([]);
    });

    it('are tried when a handshake starts, but not for static hosts', () => {
      const bench = new Bench({
        calculatedRemotes: calculated(['10.0.0.0/24', '192.168.1.0/24', 4242]),
        staticHosts: [{ vpnAddress: ip('10.0.0.8'), targets: [target('192.0.2.8:1')] }],
      });
      bench.start();
      expect(words(bench.ask(peer))[0]).to.equal(`retry ${peer}`);
      expect(texts(bench.remotes.list(ip(peer)))).to.deep.equal(['192.168.1.7:4242']);
      bench.ask('10.0.0.8');
      expect(texts(bench.remotes.list(ip('10.0.0.8')))).to.deep.equal(['192.0.2.8:1']);
    });
  });
});
