import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CaPool } from '../../../src/primary/pki/caPool.ts';
import { handshakeForm } from '../../../src/primary/pki/handshakeForm.ts';
import { keyOf, VerifiedCertificates } from '../../../src/primary/pki/verifiedCertificates.ts';
import { makeCa, makeHost, NOW } from '../../support/certificates.ts';
import { Random } from '../../support/random.ts';

const random = new Random(0x7663);

describe('verified certificates', () => {
  for (const version of [1, 2] as const) {
    it(`are parsed once and judged at every use, version ${version}`, () => {
      const ca = makeCa(random, { version });
      const { certificate: host } = makeHost(random, ca, { version });
      const pool = new CaPool([ca.certificate]);
      const verdict = (unixSeconds: number, from = pool) =>
        from.verifyHandshake(handshakeForm(host), version, host.publicKey, host.curve, unixSeconds);
      const first = verdict(NOW);
      expect(first).to.deep.include({ certificate: host, ca: ca.certificate });
      expect(verdict(NOW + 1)).to.equal(first);
      expect(verdict(NOW + 500)).to.include({ fault: 'certificate is expired' });
      expect(verdict(NOW + 2)).to.equal(first);
      const blocking = new CaPool([ca.certificate], [host.fingerprint]);
      expect(verdict(NOW, blocking)).to.include({ fault: 'certificate is in the block list' });
      expect(verdict(NOW, new CaPool([]))).to.include({ fault: 'could not find ca for the certificate' });
    });

    it(`of another key, or altered, are not taken for a known one, version ${version}`, () => {
      const ca = makeCa(random, { version });
      const { certificate: host } = makeHost(random, ca, { version });
      const pool = new CaPool([ca.certificate]);
      const form = handshakeForm(host);
      pool.verifyHandshake(form, version, host.publicKey, host.curve, NOW);
      const otherKey = new Uint8Array(host.publicKey);
      otherKey[5] ^= 1;
      const mismatch = { fault: 'certificate signature did not match' };
      expect(pool.verifyHandshake(form, version, otherKey, host.curve, NOW)).to.include(mismatch);
      const altered = new Uint8Array(form);
      altered[altered.length - 3] ^= 1;
      expect(pool.verifyHandshake(altered, version, host.publicKey, host.curve, NOW)).to.include(mismatch);
    });
  }

  it('have a key of all that they are made of', () => {
    const key = new Uint8Array(32).fill(1);
    const [a, b] = [Uint8Array.of(1, 2), Uint8Array.of(1, 2, 3)];
    const keys = [keyOf(a, 1, key, 0), keyOf(b, 1, key, 0), keyOf(a, 2, key, 0), keyOf(a, 1, key, 1)];
    keys.push(keyOf(a, 1, key.subarray(1), 0), keyOf(Uint8Array.of(1, 1, 2), 1, key.subarray(1), 0));
    expect(new Set(keys).size).to.equal(keys.length);
  });

  it('are bounded: the one not used longest goes', () => {
    const { certificate } = makeCa(random);
    const kept = new VerifiedCertificates(3);
    const entry = { certificate, ca: certificate };
    for (const key of ['a', 'b', 'c']) {
      kept.add(key, entry);
    }
    expect(kept.find('a')).to.equal(entry);
    kept.add('d', entry);
    expect(['a', 'b', 'c', 'd'].map((key) => kept.find(key) !== null)).to.deep.equal([true, false, true, true]);
    expect(kept.size).to.equal(3);
  });
});
