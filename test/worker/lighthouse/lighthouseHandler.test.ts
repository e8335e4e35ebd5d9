import { expect } from 'chai';
import { describe, it } from 'mocha';
import { LighthouseType } from '../../../src/shared/wire/lighthouseMessage.ts';
import { EndpointFilter } from '../../../src/worker/datapath/endpointFilter.ts';
import {
  LIGHTHOUSE_OUTPUT_BYTES,
  LighthouseHandler,
  LighthouseVerdict,
} from '../../../src/worker/lighthouse/lighthouseHandler.ts';
import { allocatedBytes } from '../../bench/lighthouse/allocation.ts';
import { World } from '../../bench/lighthouse/world.ts';
import { ep, ip, net, texts } from '../../support/addresses.ts';
import { remoteAllowRules } from '../../support/allowLists.ts';
import { least } from '../least.ts';
import {
  allowAll,
  HostPunchNotification,
  HostQuery,
  HostQueryReply,
  HostUpdateNotification,
  HostUpdateNotificationAck,
  Lighthouse,
} from './lighthouseWorker.ts';

describe('worker/datapath/lighthouseHandler', () => {
  it('answers a query with learned before reported endpoints, and tells the queried host to punch', () => {
    const node = new Lighthouse();
    const a = node.connect(1, 1, ['10.42.0.1/24'], ['203.0.113.1:1111', '[2001:db8::1]:1111']);
    const b = node.connect(2, 1, ['10.42.0.2/24'], ['203.0.113.2:2222']);
    node.send(a, HostUpdateNotification, 1, '10.42.0.1', ['192.168.1.1:1111', '[2001:db8::ff]:1111'], ['10.42.0.9']);
    expect(node.sent).to.deep.equal([
      {
        how: 'reply',
        slot: 1,
        type: HostUpdateNotificationAck,
        version: 1,
        target: '10.42.0.1',
        endpoints: [],
        relays: [],
      },
    ]);
    expect(node.send(b, HostQuery, 1, '10.42.0.1')).to.equal(LighthouseVerdict.Done);
    expect(node.sent).to.deep.equal([
      {
        how: 'reply',
        slot: 2,
        type: HostQueryReply,
        version: 1,
        target: '10.42.0.1',
        endpoints: ['203.0.113.1:1111', '192.168.1.1:1111', '[2001:db8::1]:1111', '[2001:db8::ff]:1111'],
        relays: ['10.42.0.9'],
      },
      {
        how: 'notify',
        slot: 1,
        type: HostPunchNotification,
        version: 1,
        target: '10.42.0.2',
        endpoints: ['203.0.113.2:2222'],
        relays: [],
      },
    ]);
  });

  it('is silent about unknown hosts and about hosts without any endpoint that never reported', () => {
    const node = new Lighthouse();
    const a = node.connect(1, 1, ['10.42.0.1/24'], ['203.0.113.1:1111']);
    node.connect(2, 1, ['10.42.0.2/24']);
    node.send(a, HostQuery, 1, '10.42.0.77');
    expect(node.sent).to.deep.equal([]);
    node.send(a, HostQuery, 1, '10.42.0.2');
    expect(node.sent).to.deep.equal([]);
    expect(node.count('lighthouse.queries.not_found')).to.equal(2);
  });

  it('answers for a host that reported nothing at all: it is known', () => {
    const node = new Lighthouse();
    const a = node.connect(1, 1, ['10.42.0.1/24'], ['203.0.113.1:1111']);
    const b = node.connect(2, 1, ['10.42.0.2/24']);
    node.send(b, HostUpdateNotification, 1, '10.42.0.2');
    node.send(a, HostQuery, 1, '10.42.0.2');
    expect(node.sent.map((sent) => [sent.how, sent.endpoints.length])).to.deep.equal([
      ['reply', 0],
      ['notify', 1],
    ]);
  });

  it('does not announce a querier that it does not know', () => {
    const node = new Lighthouse();
    node.connect(1, 1, ['10.42.0.1/24'], ['203.0.113.1:1111']);
    const b = node.connect(2, 1, ['10.42.0.2/24']);
    node.send(b, HostQuery, 1, '10.42.0.1');
    expect(node.sent.map((sent) => sent.how)).to.deep.equal(['reply']);
  });

  it('finds a host by any of its addresses', () => {
    const node = new Lighthouse();
    const networks = Array.from({ length: 8 }, (_, index) => `10.${index}.0.1/24`);
    node.connect(1, 2, [...networks.slice(0, 7), 'fd42::1/64'], ['203.0.113.1:1111']);
    const b = node.connect(2, 2, ['10.0.0.2/24'], ['203.0.113.2:2222']);
    for (const target of ['10.0.0.1', '10.1.0.1', '10.2.0.1', '10.6.0.1', 'fd42::1']) {
      node.send(b, HostQuery, 2, target);
      expect(node.sent[0]).to.include({ type: HostQueryReply, target, version: 2 });
      expect(node.sent[1]).to.include({ type: HostPunchNotification, target: '10.0.0.2', slot: 1 });
    }
  });

  it('replies in the form of the query and notifies in the form of the queried host', () => {
    const node = new Lighthouse();
    const a = node.connect(1, 1, ['10.42.0.1/24'], ['203.0.113.1:1111']);
    const b = node.connect(2, 2, ['10.42.0.2/24'], ['203.0.113.2:2222']);
    node.send(a, HostQuery, 1, '10.42.0.2');
    expect(node.sent.map((sent) => sent.version)).to.deep.equal([1, 2]);
    node.send(b, HostQuery, 2, '10.42.0.1');
    expect(node.sent.map((sent) => sent.version)).to.deep.equal([2, 1]);
  });

  it('names the querier by the address that lies in a network of the queried host, network by network', () => {
    const cases: [string[], string[], string][] = [
      [['10.0.0.9/8'], ['10.0.0.1/8'], '10.0.0.1'],
      [['10.0.0.9/8', '172.16.0.9/16', 'fe80::9/8'], ['fe80::1/64', '10.0.0.1/8'], '10.0.0.1'],
      [['fe80::9/8', '10.0.0.9/8', '172.16.0.9/16'], ['fe80::1/64', '10.0.0.1/8'], 'fe80::1'],
      [['172.16.0.9/16', 'fe80::9/8'], ['10.0.0.1/8', '11.0.0.1/8'], '10.0.0.1'],
    ];
    for (const [target, querier, expected] of cases) {
      const node = new Lighthouse();
      node.connect(1, 2, target, ['203.0.113.1:1111']);
      const from = node.connect(2, 2, querier, ['203.0.113.2:2222']);
      node.send(from, HostQuery, 2, target[0].split('/')[0]);
      expect(node.sent[1].target, target.join()).to.equal(expected);
    }
  });

  it('names the querier by its first address when the tunnel of the queried host has just ended', () => {
    const node = new Lighthouse();
    node.connect(1, 2, ['10.0.0.9/8'], ['203.0.113.1:1111']);
    const from = node.connect(2, 2, ['fd42::1/64', '10.0.0.1/8'], ['203.0.113.2:2222']);
    node.peers.delete(1);
    node.send(from, HostQuery, 2, '10.0.0.9');
    expect(node.sent[1].target).to.equal('fd42::1');
  });

  it('does not notify where the form has no place for the querier', () => {
    const node = new Lighthouse();
    node.connect(1, 1, ['10.0.0.9/8'], ['203.0.113.1:1111']);
    const from = node.connect(2, 2, ['fd42::1/64'], ['203.0.113.2:2222']);
    node.send(from, HostQuery, 2, '10.0.0.9');
    expect(node.sent.map((sent) => sent.how)).to.deep.equal(['reply']);
    expect(node.count('lighthouse.drop.form')).to.equal(1);
  });

  it('replaces what the host reported, and only that', () => {
    const node = new Lighthouse();
    const a = node.connect(1, 2, ['10.42.0.1/24'], ['203.0.113.1:1111']);
    const many = Array.from({ length: 10 }, (_, index) => `198.51.100.${index}:${index + 1}`);
    const manySixes = Array.from({ length: 10 }, (_, index) => `[2001:db8:ffff:ffff:ffff:ffff:ffff:${index}]:65535`);
    const relays = Array.from({ length: 10 }, (_, index) => `fd42:ffff:ffff:ffff:ffff:ffff:ffff:${index}`);
    node.send(a, HostUpdateNotification, 2, null, [...many, ...manySixes], relays);
    expect(node.sent[0]).to.include({ type: HostUpdateNotificationAck, version: 2, target: undefined });
    expect(node.hosts.find(ip('10.42.0.1'))).to.deep.equal({
      vpnAddresses: [ip('10.42.0.1')],
      learned: [ep('203.0.113.1:1111')],
      reported: [...many, ...manySixes].map(ep),
      relays: relays.map(ip),
    });
    node.send(a, HostUpdateNotification, 2, '10.42.0.1', ['192.0.2.1:1']);
    expect(texts(node.hosts.find(ip('10.42.0.1'))!.reported)).to.deep.equal(['192.0.2.1:1']);
    expect(node.hosts.find(ip('10.42.0.1'))!.relays).to.deep.equal([]);
  });

  it('sends the largest record whole, in both forms', () => {
    const node = new Lighthouse();
    const a = node.connect(1, 2, ['10.42.0.1/24'], ['255.255.255.255:65535', '[ffff:ffff::ffff]:65535']);
    const four = Array.from({ length: 10 }, (_, index) => `255.255.255.${index}:65535`);
    const six = Array.from({ length: 10 }, (_, index) => `[ffff:ffff:ffff:ffff:ffff:ffff:ffff:${index}]:65535`);
    const relays = Array.from({ length: 10 }, (_, index) => `255.255.0.${index}`);
    node.send(a, HostUpdateNotification, 2, null, [...four, ...six], relays);
    node.output.fill(0xee);
    for (const version of [1, 2] as const) {
      const b = node.connect(2 + version, version, [`10.42.0.${version + 1}/24`]);
      // The decoder looks at ten of a family, so the eleventh of each is seen by the length.
      node.send(b, HostQuery, version, '10.42.0.1');
      expect(node.sent[0].endpoints).to.deep.equal([
        '255.255.255.255:65535',
        ...four.slice(0, 9),
        '[ffff:ffff::ffff]:65535',
        ...six.slice(0, 9),
      ]);
      expect(node.sent[0].relays).to.deep.equal(relays);
      expect(node.output.subarray(0, 7).every((byte) => byte === 0xee)).to.equal(true);
    }
  });

  it('refuses an update for an address that is not the sender’s', () => {
    const node = new Lighthouse();
    const a = node.connect(1, 1, ['10.42.0.1/24'], ['203.0.113.1:1111']);
    node.connect(2, 1, ['10.42.0.2/24'], ['203.0.113.2:2222']);
    expect(node.send(a, HostUpdateNotification, 1, '10.42.0.2', ['6.6.6.6:6'])).to.equal(LighthouseVerdict.NotOwner);
    expect(node.sent).to.deep.equal([]);
    expect(node.hosts.find(ip('10.42.0.2'))!.reported).to.deep.equal([]);
    expect(node.count('lighthouse.drop.not_owner')).to.equal(1);
  });

  it('does not ack an update that it cannot keep', () => {
    const node = new Lighthouse();
    const a = node.connect(1, 1, ['10.42.0.1/24']);
    node.hosts.remove(ip('10.42.0.1'));
    expect(node.send(a, HostUpdateNotification, 1, '10.42.0.1')).to.equal(LighthouseVerdict.UnknownHost);
    expect(node.sent).to.deep.equal([]);
  });

  it('stores only endpoints that the allow lists allow, outside of its own networks, with a port', () => {
    const node = new Lighthouse({
      ...remoteAllowRules(
        { '172.16.0.0/12': false, '172.16.5.0/24': true, '2001:db8::/32': false, '0.0.0.0/0': true },
        { '10.42.0.0/16': { '192.0.2.66/32': false }, '10.42.0.7/32': { '0.0.0.0/0': false } },
      ),
      ownNetworks: ['10.42.0.100/24', 'fd42::100/64'].map(net),
    });
    const a = node.connect(1, 2, ['10.42.0.1/24']);
    const all = [
      '172.16.1.1:1',
      '172.16.5.1:1',
      '10.42.0.3:1',
      '192.0.2.66:1',
      '192.0.2.67:1',
      '192.0.2.68:0',
      '[2001:db8::1]:1',
      '[fd42::3]:1',
      '[2001:db9::1]:1',
      '[2001:db9::2]:0',
    ];
    node.send(a, HostUpdateNotification, 2, null, all);
    expect(texts(node.hosts.find(ip('10.42.0.1'))!.reported)).to.deep.equal([
      '172.16.5.1:1',
      '192.0.2.67:1',
      '[2001:db9::1]:1',
    ]);
    const b = node.connect(2, 2, ['10.42.0.1/24', '10.42.0.7/32']);
    node.send(b, HostUpdateNotification, 2, null, all);
    expect(texts(node.hosts.find(ip('10.42.0.1'))!.reported)).to.deep.equal(['[2001:db9::1]:1']);
    node.handler.applyFilter(new EndpointFilter(allowAll));
    node.send(b, HostUpdateNotification, 2, null, all);
    expect(node.hosts.find(ip('10.42.0.1'))!.reported).to.have.length(8);
  });

  it('punts what is for its own client, and ignores the rest', () => {
    const node = new Lighthouse();
    const a = node.connect(1, 1, ['10.42.0.1/24']);
    expect(node.send(a, HostQueryReply, 1, '10.42.0.1')).to.equal(LighthouseVerdict.Punt);
    expect(node.send(a, HostPunchNotification, 1, '10.42.0.1')).to.equal(LighthouseVerdict.Punt);
    expect(node.send(a, HostUpdateNotificationAck, 1, '10.42.0.1')).to.equal(LighthouseVerdict.Done);
    expect(node.send(a, LighthouseType.HostMovedNotification, 1, '10.42.0.1')).to.equal(LighthouseVerdict.Done);
    expect(node.send(a, 77, 1, '10.42.0.1')).to.equal(LighthouseVerdict.Done);
    expect(node.sent).to.deep.equal([]);
    expect(node.count('lighthouse.rx.other')).to.equal(2);
    const bytes = Uint8Array.of(8, 1);
    expect(node.handler.handle(bytes, 0, 2, a)).to.equal(LighthouseVerdict.Malformed);
    expect(node.count('lighthouse.drop.malformed')).to.equal(1);
  });

  it('needs its output in full', () => {
    const node = new Lighthouse();
    expect(
      () =>
        new LighthouseHandler({
          table: node.table,
          peers: { networks: () => null },
          sink: { reply: () => {}, notify: () => {} },
          filter: new EndpointFilter(allowAll),
          output: new Uint8Array(LIGHTHOUSE_OUTPUT_BYTES),
          outputOffset: 1,
          worker: 0,
          metrics: node.metrics,
        }),
    ).to.throw(RangeError);
  });

  for (const version of [1, 2] as const) {
    it(`sends the same bytes as a straightforward handler with a protobuf library, form ${version}`, () => {
      const world = new World(200, version, 4);
      world.keeps = true;
      const rounds = [world.queries(1500, true), world.queries(100, false), world.updates([5, 6, 7, 5, 199, 0])];
      for (const requests of [...rounds, world.queries(500, true)]) {
        world.resetSent();
        world.runHandler(requests);
        const ours = world.sent;
        world.resetSent();
        world.runStraightforward(requests);
        expect(ours).to.deep.equal(world.sent);
      }
      expect(world.sent.length).to.equal(1000);
    });
  }

  it('allocates nothing per request', () => {
    const world = new World(100, 2, 5);
    for (const requests of [world.queries(2000, true), world.queries(2000, false), world.updates([1, 2, 3, 4])]) {
      const run = (): void => {
        for (let sum = 0; sum < 60_000; sum += requests.offsets.length) {
          world.runHandler(requests);
        }
      };
      run();
      run();
      const leastOfThree = (): number => Math.min(allocatedBytes(run), allocatedBytes(run), allocatedBytes(run));
      expect(least(0.5, () => leastOfThree() / 60_000)).to.be.lessThan(0.5);
    }
  }).timeout(60_000);
});
