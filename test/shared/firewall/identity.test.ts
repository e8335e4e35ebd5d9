import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Verdict } from '../../../src/shared/firewall/verdict.ts';
import { ownIdentity, peerIdentity, tupleOf } from './certificates.ts';

describe('peer identity', () => {
  const own = ownIdentity({ networks: ['1.1.1.1/8'] });

  function check(networks: readonly string[], remote: string, unsafeNetworks: readonly string[] = [], mine = own) {
    return peerIdentity({ networks, unsafeNetworks }, mine).checkRemote(
      tupleOf({ local: remote.includes(':') ? 'fd00::9' : '1.1.1.1', remote }),
    );
  }

  it('accepts the only address of a peer in one of our networks, and nothing else', () => {
    expect(check(['1.2.3.4/24'], '1.2.3.4')).to.equal(0);
    expect(check(['1.2.3.4/24'], '1.2.3.10')).to.equal(Verdict.RemoteAddress);
    expect(check(['1.2.3.4/24'], '9.9.9.9')).to.equal(Verdict.RemoteAddress);
  });

  it('refuses an address of the peer that is in none of our networks', () => {
    expect(check(['2.2.2.2/24'], '2.2.2.2')).to.equal(Verdict.PeerAddress);
    expect(check(['1.2.3.4/24', '2.2.2.2/24'], '1.2.3.4')).to.equal(0);
    expect(check(['1.2.3.4/24', '2.2.2.2/24'], '2.2.2.2')).to.equal(Verdict.PeerAddress);
    expect(check(['1.2.3.4/24', '2.2.2.2/24'], '9.9.9.9')).to.equal(Verdict.RemoteAddress);
    const other = ownIdentity({ networks: ['2.2.2.1/24'] });
    expect(check(['1.2.3.4/24', '2.2.2.2/24'], '2.2.2.2', [], other)).to.equal(0);
  });

  it('accepts the unsafe networks of the peer, but no neighbour of its address', () => {
    const mine = ownIdentity({ networks: ['192.0.2.1/24'] });
    expect(check(['192.0.2.2/24'], '198.51.100.77', ['198.51.100.0/24'], mine)).to.equal(0);
    expect(check(['192.0.2.2/24'], '192.0.2.2', ['198.51.100.0/24'], mine)).to.equal(0);
    expect(check(['192.0.2.2/24'], '192.0.2.3', ['198.51.100.0/24'], mine)).to.equal(Verdict.RemoteAddress);
  });

  it('does not take an IPv6 prefix for an IPv4 one', () => {
    expect(check(['1.2.3.4/24'], '9.9.9.9', ['::/0'])).to.equal(Verdict.RemoteAddress);
    expect(check(['1.2.3.4/24'], 'fd00::1', ['0.0.0.0/0'])).to.equal(Verdict.RemoteAddress);
    expect(check(['1.2.3.4/24'], 'fd00::1', ['::/0'])).to.equal(0);
    const mine = ownIdentity({ networks: ['1.1.1.1/8'], unsafeNetworks: ['::/0'] });
    expect(mine.isLocal(tupleOf({ local: '9.9.9.9', remote: '1.2.3.4' }))).to.equal(false);
  });

  it('compares all four words of an IPv6 address', () => {
    const mine = ownIdentity({ networks: ['fd42::1/64'] });
    for (const remote of ['fd42::2', 'fd42::3', 'fd43::2', 'fd42:0:0:1::2', 'fd42::1:0:2']) {
      const verdict = peerIdentity({ networks: ['fd42::2/64'] }, mine).checkRemote(
        tupleOf({ local: 'fd42::1', remote }),
      );
      expect(verdict, remote).to.equal(remote === 'fd42::2' ? 0 : Verdict.RemoteAddress);
    }
  });

  it('knows the name of the authority from the pool', () => {
    const mine = ownIdentity({ networks: ['1.1.1.1/8'] }, { abc: 'the ca' });
    expect(peerIdentity({ networks: ['1.2.3.4/24'], issuer: 'abc' }, mine).caName).to.equal('the ca');
    expect(peerIdentity({ networks: ['1.2.3.4/24'], issuer: 'def' }, mine).caName).to.equal(null);
  });
});

describe('own identity', () => {
  it('accepts own addresses exactly and own unsafe networks by prefix', () => {
    const own = ownIdentity({ networks: ['1.1.1.1/8', 'fd42::1/64'], unsafeNetworks: ['192.168.0.0/24'] });
    const isLocal = (local: string) => own.isLocal(tupleOf({ local, remote: local }));
    expect(isLocal('1.1.1.1')).to.equal(true);
    expect(isLocal('1.2.3.8')).to.equal(false);
    expect(isLocal('fd42::1')).to.equal(true);
    expect(isLocal('fd42::2')).to.equal(false);
    expect(isLocal('192.168.0.3')).to.equal(true);
    expect(isLocal('192.168.1.3')).to.equal(false);
  });
});
