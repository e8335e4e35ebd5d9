import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RemoteAllowList } from '../../../../src/primary/control/discovery/allowList.ts';
import { sortEndpoints } from '../../../../src/primary/control/discovery/endpointOrder.ts';
import { Remotes, type RemotesPolicy } from '../../../../src/primary/control/discovery/remotes.ts';
import { addressFromBytes, endpointOf } from '../../../../src/shared/ip/address.ts';
import { ep, ip, net, texts } from '../../../support/addresses.ts';
import { remoteAllowList } from '../../../support/allowLists.ts';
import { Random } from '../../../support/random.ts';

const policy = (changes: Partial<RemotesPolicy>): RemotesPolicy => ({
  ownNetworks: [],
  allowList: RemoteAllowList.all,
  preferredRanges: [],
  ...changes,
});

const me = ip('10.0.0.1');
const lighthouse = ip('10.0.0.100');
const peer = ip('10.0.0.7');

const fromX = [
  '70.199.182.92:1475',
  '172.17.0.182:10101',
  '172.17.1.1:10101',
  '172.18.0.1:10101',
  '172.18.0.1:10101',
  '172.19.0.1:10101',
  '172.31.0.1:10101',
  '172.17.1.1:10101',
  '70.199.182.92:1476',
  '70.199.182.92:1475',
].map(ep);
const fromY = ['[1::1]:1', '[1::1]:2', '[1:100::1]:1', '[1::1]:1', '[1::1]:2'].map(ep);
const sixes = ['[1::1]:1', '[1::1]:2', '[1:100::1]:1'];
const publics = ['70.199.182.92:1475', '70.199.182.92:1476'];
const seventeens = ['172.17.0.182:10101', '172.17.1.1:10101'];
const others = ['172.18.0.1:10101', '172.19.0.1:10101', '172.31.0.1:10101'];

describe('primary/control/remotes', () => {
  function filled(preferred: readonly string[]): Remotes {
    const remotes = new Remotes(policy({ preferredRanges: preferred.map(net) }));
    remotes.report(me, peer, fromX, []);
    remotes.report(lighthouse, peer, fromY, ['1::1', '1.2.3.4', '1.2.3.4', '1::1'].map(ip));
    return remotes;
  }

  it('sorts as published, without duplicates', () => {
    expect(texts(filled([]).list(peer))).to.deep.equal([...sixes, ...publics, ...seventeens, ...others]);
    expect(texts(filled(['0.0.0.0/0']).list(peer))).to.deep.equal([...publics, ...seventeens, ...others, ...sixes]);
    expect(texts(filled(['172.17.0.0/16']).list(peer))).to.deep.equal([...seventeens, ...sixes, ...publics, ...others]);
    expect(texts(filled([]).relays(peer))).to.deep.equal(['1.2.3.4', '1::1']);
  });

  it('sorts anew after a reload of the ranges', () => {
    const remotes = filled([]);
    expect(remotes.list(peer)[0].text).to.equal('[1::1]:1');
    remotes.applyPolicy(policy({ preferredRanges: [net('172.31.0.0/16')] }));
    expect(remotes.list(peer)[0].text).to.equal('172.31.0.1:10101');
  });

  it('unites what several owners say and replaces what one said', () => {
    const remotes = new Remotes();
    remotes.report(lighthouse, peer, [ep('192.0.2.1:1'), ep('192.0.2.2:1')], [ip('10.0.0.50')]);
    remotes.report(me, peer, [ep('192.0.2.3:1')], []);
    remotes.report(lighthouse, peer, [ep('192.0.2.4:1')], []);
    expect(texts(remotes.list(peer))).to.deep.equal(['192.0.2.3:1', '192.0.2.4:1']);
    expect(remotes.relays(peer)).to.deep.equal([]);
    remotes.retract(me, peer);
    expect(texts(remotes.list(peer))).to.deep.equal(['192.0.2.4:1']);
  });

  it('keeps one learned endpoint per owner and family', () => {
    const remotes = new Remotes();
    remotes.learn(peer, peer, ep('192.0.2.1:1'));
    remotes.learn(peer, peer, ep('192.0.2.1:2'));
    remotes.learn(peer, peer, ep('[2001:db8::1]:3'));
    remotes.report(peer, peer, [ep('192.0.2.9:9')], []);
    expect(texts(remotes.list(peer))).to.deep.equal(['[2001:db8::1]:3', '192.0.2.1:2', '192.0.2.9:9']);
    expect(remotes.entries(peer)).to.deep.equal([
      {
        owner: peer,
        learned: [ep('192.0.2.1:2'), ep('[2001:db8::1]:3')],
        reported: [ep('192.0.2.9:9')],
        relays: [],
      },
    ]);
  });

  it('considers ten endpoints per family and ten relays of one message', () => {
    const remotes = new Remotes();
    const four = Array.from({ length: 30 }, (_, index) => ep(`192.0.2.${index}:1`));
    const six = Array.from({ length: 30 }, (_, index) => ep(`[2001:db8::${index.toString(16)}]:1`));
    const relays = Array.from({ length: 30 }, (_, index) => ip(`10.0.0.${index}`));
    remotes.report(lighthouse, peer, [...four, ...six], relays);
    expect(texts(remotes.list(peer))).to.deep.equal(texts([...six.slice(0, 10), ...four.slice(0, 10)]));
    expect(texts(remotes.relays(peer))).to.deep.equal(texts(relays.slice(0, 10)));
  });

  it('counts the ten before it filters', () => {
    const remotes = new Remotes(policy({ ownNetworks: [net('10.0.0.1/24')] }));
    const inside = Array.from({ length: 10 }, (_, index) => ep(`10.0.0.${index}:1`));
    remotes.report(lighthouse, peer, [...inside, ep('192.0.2.1:1')], []);
    expect(remotes.list(peer)).to.deep.equal([]);
  });

  it('filters reported and resolved endpoints by allow list and own networks, not learned ones', () => {
    const allowList = remoteAllowList({ '172.16.0.0/12': false }, { '10.0.0.0/24': { '192.0.2.66/32': false } });
    const remotes = new Remotes(policy({ allowList, ownNetworks: [net('10.0.0.1/24')] }));
    remotes.report(lighthouse, peer, ['172.16.1.1:1', '10.0.0.9:1', '192.0.2.66:1', '192.0.2.1:1'].map(ep), []);
    remotes.resolve(peer, ['172.16.1.2:1', '192.0.2.2:1'].map(ep));
    remotes.learn(peer, peer, ep('172.16.1.3:1'));
    expect(texts(remotes.list(peer))).to.deep.equal(['192.0.2.1:1', '192.0.2.2:1', '172.16.1.3:1']);
    remotes.applyPolicy(policy({}));
    expect(remotes.list(peer)).to.have.length(7);
  });

  it('replaces resolved endpoints and forgets them when a name yields nothing', () => {
    const remotes = new Remotes();
    remotes.resolve(peer, [ep('192.0.2.1:1')]);
    remotes.resolve(peer, [ep('192.0.2.2:1')]);
    expect(texts(remotes.list(peer))).to.deep.equal(['192.0.2.2:1']);
    remotes.resolve(peer, []);
    expect(remotes.list(peer)).to.deep.equal([]);
  });

  it('leaves blocked endpoints out until they are unblocked, whoever reports them', () => {
    const remotes = new Remotes();
    remotes.report(lighthouse, peer, ['192.0.2.1:1', '192.0.2.2:1'].map(ep), []);
    remotes.block(peer, ep('192.0.2.1:1'));
    remotes.report(me, peer, [ep('192.0.2.1:1')], []);
    expect(remotes.isBlocked(peer, ep('192.0.2.1:1'))).to.equal(true);
    expect(remotes.isBlocked(peer, ep('192.0.2.2:1'))).to.equal(false);
    expect(texts(remotes.list(peer))).to.deep.equal(['192.0.2.2:1']);
    remotes.unblock(peer);
    expect(remotes.list(peer)).to.have.length(2);
  });

  it('bounds the block list', () => {
    const remotes = new Remotes();
    for (let port = 1; port <= 1000; port++) {
      remotes.block(peer, endpointOf(ip('192.0.2.1'), port));
    }
    expect(remotes.isBlocked(peer, ep('192.0.2.1:1'))).to.equal(false);
    expect(remotes.isBlocked(peer, ep('192.0.2.1:1000'))).to.equal(true);
  });

  it('lets several addresses of one peer share one list, keeping what was known under each', () => {
    const remotes = new Remotes();
    const other = ip('fd00::7');
    remotes.report(lighthouse, peer, [ep('192.0.2.1:1')], []);
    remotes.report(me, other, [ep('192.0.2.2:1')], []);
    remotes.block(other, ep('192.0.2.1:1'));
    remotes.join([peer, other]);
    expect(texts(remotes.list(peer))).to.deep.equal(['192.0.2.2:1']);
    expect(remotes.list(other)).to.equal(remotes.list(peer));
    remotes.learn(peer, other, ep('192.0.2.3:1'));
    expect(texts(remotes.list(peer))).to.deep.equal(['192.0.2.2:1', '192.0.2.3:1']);
    remotes.join([peer, other]);
    expect(remotes.list(other)).to.equal(remotes.list(peer));
    expect(texts(remotes.addressesOf(other))).to.deep.equal(['10.0.0.7', 'fd00::7']);
    expect(remotes.peers()).to.have.length(1);
  });

  it('joins even what it did not know', () => {
    const remotes = new Remotes();
    remotes.join([peer, ip('fd00::7')]);
    remotes.learn(peer, ip('fd00::7'), ep('192.0.2.3:1'));
    expect(texts(remotes.list(peer))).to.deep.equal(['192.0.2.3:1']);
  });

  it('gives an address that left the peer a list of its own', () => {
    const remotes = new Remotes();
    const former = ip('fd00::7');
    remotes.join([peer, former]);
    remotes.report(lighthouse, peer, [ep('192.0.2.1:1')], []);
    remotes.join([peer, ip('fd00::8')]);
    remotes.report(lighthouse, peer, [ep('192.0.2.2:1')], []);
    expect(texts(remotes.list(former))).to.deep.equal(['192.0.2.1:1']);
    expect(texts(remotes.list(ip('fd00::8')))).to.deep.equal(['192.0.2.2:1']);
    remotes.forget([former]);
    expect(remotes.has(former)).to.equal(false);
    expect(remotes.has(peer)).to.equal(true);
  });

  it('forgets a peer under all its addresses, but never a static host', () => {
    const remotes = new Remotes();
    const other = ip('fd00::7');
    remotes.join([peer, other]);
    remotes.learn(peer, peer, ep('192.0.2.1:1'));
    remotes.applyStaticHosts([other]);
    remotes.forget([peer]);
    expect(remotes.has(peer)).to.equal(true);
    remotes.applyStaticHosts([]);
    remotes.forget([peer]);
    expect(remotes.has(peer)).to.equal(false);
    expect(remotes.has(other)).to.equal(false);
    expect(remotes.list(peer)).to.deep.equal([]);
    expect(remotes.relays(peer)).to.deep.equal([]);
  });

  it('has a total order: sorting is independent of the input order', () => {
    const random = new Random(7);
    for (let round = 0; round < 200; round++) {
      const endpoints = Array.from({ length: 12 }, () =>
        endpointOf(addressFromBytes(random.bytes(random.bool() ? 4 : 16)), random.below(3)),
      );
      const ranges = [net('128.0.0.0/1'), net('8000::/1')];
      const sorted = sortEndpoints(endpoints, ranges);
      const shuffled = [...endpoints].sort(() => (random.bool() ? 1 : -1));
      expect(texts(sortEndpoints(shuffled, ranges))).to.deep.equal(texts(sorted));
    }
  });
});
