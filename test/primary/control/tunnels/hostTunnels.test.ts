import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { CompletedHandshake } from '../../../../src/primary/control/tunnels/handshakeMachine.ts';
import { HostTunnels } from '../../../../src/primary/control/tunnels/hostTunnels.ts';
import { Tunnel } from '../../../../src/primary/control/tunnels/tunnel.ts';
import { Cipher } from '../../../../src/shared/crypto/aead.ts';
import { ep, ip } from '../../../support/addresses.ts';
import { TestAuthority } from '../../../support/testAuthority.ts';

const authority = new TestAuthority(1);
const own = authority.identity('own', ['10.0.0.1/8']);

function tunnel(slot: number, networks: readonly string[], remoteIndex: number = 1000 + slot): Tunnel {
  const versions = [networks.length > 1 ? 2 : 1] as const;
  const { certificates } = authority.identity('peer', networks, { versions });
  const handshake: CompletedHandshake = {
    isInitiator: slot % 2 === 0,
    cipher: Cipher.Aes256Gcm,
    localIndex: 100 + slot,
    remoteIndex,
    sendKey: new Uint8Array(32),
    receiveKey: new Uint8Array(32),
    ownCertificate: own.certificates[0],
    peer: {
      certificate: certificates[0],
      ca: authority.certificate,
      timeNs: BigInt(slot),
      sendsCertificateVersion: true,
      index: remoteIndex,
    },
  };
  const answered = { requestDigest: `digest ${slot}`, answer: new Uint8Array(0) };
  return new Tunnel({
    handshake,
    slot,
    generation: 2,
    endpoint: ep('192.0.2.1:1'),
    answered,
    created: { ms: slot, unixMs: slot },
  });
}

describe('host table', () => {
  const x = ip('10.0.0.2');
  const y = ip('10.0.0.3');

  it('makes the newest tunnel primary and falls back to the one before', () => {
    const hosts = new HostTunnels();
    const [first, second] = [tunnel(1, ['10.0.0.2/8']), tunnel(2, ['10.0.0.2/8'])];
    hosts.add(first);
    expect(hosts.primary(x)).to.equal(first);
    hosts.add(second);
    expect(hosts.primary(x)).to.equal(second);
    expect(hosts.isPrimary(first)).to.equal(false);
    hosts.promote(first);
    expect(hosts.tunnelsTo(x)).to.deep.equal([first, second]);
    hosts.remove(first);
    expect(hosts.primary(x)).to.equal(second);
    hosts.remove(second);
    expect(hosts.primary(x)).to.equal(null);
    expect(hosts.size).to.equal(0);
  });

  it('lists a peer under each of its addresses, each with its own primary', () => {
    const hosts = new HostTunnels();
    const both = tunnel(1, ['10.0.0.2/8', '10.0.0.3/8']);
    const one = tunnel(2, ['10.0.0.2/8']);
    hosts.add(both);
    hosts.add(one);
    expect([hosts.primary(x), hosts.primary(y)]).to.deep.equal([one, both]);
    expect([hosts.isPrimary(one), hosts.isPrimary(both)]).to.deep.equal([true, true]);
    hosts.remove(one);
    expect(hosts.primary(x)).to.equal(both);
    expect(hosts.hasTunnelTo([y])).to.equal(true);
    hosts.remove(both);
    expect(hosts.hasTunnelTo([x, y])).to.equal(false);
  });

  it('finds tunnels by index, slot and the message that made them; of equal remote indexes the newest', () => {
    const hosts = new HostTunnels();
    const [old, shadow] = [tunnel(1, ['10.0.0.2/8'], 7), tunnel(2, ['10.0.0.3/8'], 7)];
    hosts.add(old);
    hosts.add(shadow);
    expect(hosts.byRemoteIndex(7)).to.equal(shadow);
    expect(hosts.byRequestDigest('digest 1')).to.equal(old);
    expect(hosts.bySlot(1, 2)).to.equal(old);
    expect(hosts.bySlot(1, 4)).to.equal(null);
    expect(hosts.bySlot(3, 2)).to.equal(null);
    hosts.remove(old);
    expect(hosts.byRemoteIndex(7)).to.equal(shadow);
    expect(hosts.byRequestDigest('digest 1')).to.equal(null);
    expect(hosts.bySlot(1, 2)).to.equal(null);
    expect(hosts.has(old)).to.equal(false);
    expect(hosts.all()).to.deep.equal([shadow]);
  });
});
