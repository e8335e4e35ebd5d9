import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  type CompletedHandshake,
  type HandshakeFailure,
  HandshakeFault,
  type HandshakeSetup,
  Initiator,
  Responder,
} from '../../../../src/primary/control/tunnels/handshakeMachine.ts';
import { CaPool } from '../../../../src/primary/pki/caPool.ts';
import type { Identity } from '../../../../src/primary/pki/identity.ts';
import { parseCertificate } from '../../../../src/shared/cert/parse.ts';
import { Cipher } from '../../../../src/shared/crypto/aead.ts';
import { generateKeyPair } from '../../../../src/shared/crypto/dh.ts';
import { type HandshakeVector, handshakeVectors } from '../../../support/handshakeVectors.ts';
import { countingBytes, fromHex, toHex } from '../../../support/hex.ts';
import { Random } from '../../../support/random.ts';
import { TestAuthority } from '../../../support/testAuthority.ts';

const NOW_SECONDS = 1_750_000_000;
const A_TIME_NS = 1750000000000000000n;
const B_TIME_NS = 1750000000001000000n;

function identityOf(vector: HandshakeVector, side: 'A' | 'B'): Identity {
  const certificate = parseCertificate(fromHex(vector.values[`cert${side}`]), vector.version);
  return {
    curve: vector.curve,
    publicKey: certificate.publicKey,
    privateKey: countingBytes(side === 'A' ? 0x00 : 0x01),
    certificates: [certificate],
    initiatingVersion: vector.version,
    caPool: new CaPool([parseCertificate(fromHex(vector.values.ca), vector.version)]),
    networks: certificate.networks,
    warnings: [],
  };
}

function must<T extends object>(result: T | HandshakeFailure): T {
  if ('fault' in result) {
    throw new Error(`${result.fault}: ${result.detail}`);
  }
  return result;
}

function faultOf(result: object): string {
  return 'fault' in result ? String(result.fault) : 'none';
}

function start(setup: HandshakeSetup, version: 1 | 2, index: number = 0x11223344): Initiator | HandshakeFailure {
  const ephemeralKeys = generateKeyPair(setup.identity.curve, countingBytes(0x20));
  return Initiator.start(setup, version, { localIndex: index, ephemeralKeys, timeNs: A_TIME_NS });
}

function answer(setup: HandshakeSetup, packet: Uint8Array): { packet: Uint8Array; completed: CompletedHandshake } {
  const ephemeralKeys = generateKeyPair(setup.identity.curve, countingBytes(0x41));
  const responder = must(Responder.read(setup, packet, NOW_SECONDS));
  return must(responder.reply({ localIndex: 0x55667788, ephemeralKeys, timeNs: B_TIME_NS }));
}

describe('handshake machine', () => {
  for (const vector of handshakeVectors.filter(({ namesVersion }) => namesVersion)) {
    it(`reproduces ${vector.title}, byte for byte`, () => {
      const a: HandshakeSetup = { identity: identityOf(vector, 'A'), cipher: vector.cipher };
      const b: HandshakeSetup = { identity: identityOf(vector, 'B'), cipher: vector.cipher };
      const initiator = must(start(a, vector.version));
      expect(toHex(initiator.packet)).to.equal(vector.values.packet1);
      const reply = answer(b, initiator.packet);
      expect(toHex(reply.packet)).to.equal(vector.values.packet2);
      const result = must(initiator.finish(reply.packet, a.identity.caPool, NOW_SECONDS));
      expect(toHex(result.sendKey)).to.equal(vector.values.keyAToB);
      expect(toHex(result.receiveKey)).to.equal(vector.values.keyBToA);
      expect(toHex(reply.completed.sendKey)).to.equal(vector.values.keyBToA);
      expect(toHex(reply.completed.receiveKey)).to.equal(vector.values.keyAToB);
      expect([result.localIndex, result.remoteIndex]).to.deep.equal([0x11223344, 0x55667788]);
      expect([reply.completed.localIndex, reply.completed.remoteIndex]).to.deep.equal([0x55667788, 0x11223344]);
      expect(result.peer.certificate).to.deep.equal(b.identity.certificates[0]);
      expect(reply.completed.peer.certificate).to.deep.equal(a.identity.certificates[0]);
      expect([result.peer.timeNs, reply.completed.peer.timeNs]).to.deep.equal([B_TIME_NS, A_TIME_NS]);
      expect(result.peer.sendsCertificateVersion).to.equal(true);
    });
  }

  it('accepts the packets of peers before 1.10, which do not name the version of their certificate', () => {
    const vector = handshakeVectors.find(({ namesVersion }) => !namesVersion)!;
    const a: HandshakeSetup = { identity: identityOf(vector, 'A'), cipher: Cipher.Aes256Gcm };
    const b: HandshakeSetup = { identity: identityOf(vector, 'B'), cipher: Cipher.Aes256Gcm };
    const responder = must(Responder.read(b, fromHex(vector.values.packet1), NOW_SECONDS));
    expect(responder.peer.sendsCertificateVersion).to.equal(false);
    expect(responder.peer.certificate).to.deep.equal(a.identity.certificates[0]);
    expect(responder.peer.index).to.equal(0x11223344);
  });

  describe('with test identities', () => {
    const authority = new TestAuthority(1);
    const setup = (name: string, options = {}, pool = authority.pool()): HandshakeSetup => ({
      identity: authority.identity(name, [name === 'a' ? '10.0.0.1/24' : '10.0.0.2/24'], options, pool),
      cipher: Cipher.Aes256Gcm,
    });

    it('goes on waiting after forged answers, after a wrong certificate, and after one that was not wanted', () => {
      const a = setup('a');
      const initiator = must(start(a, 1));
      const { packet } = answer(setup('b'), initiator.packet);
      const random = new Random(5);
      for (let round = 0; round < 50; round++) {
        const forged = packet.slice();
        forged[16 + random.below(forged.length - 16)] ^= 1 << random.below(7);
        expect(faultOf(initiator.finish(forged, a.identity.caPool, NOW_SECONDS))).to.equal(HandshakeFault.Unreadable);
      }
      const stranger = new TestAuthority(2).pool();
      const refused = initiator.finish(packet, stranger, NOW_SECONDS);
      expect(refused).to.deep.include({ fault: HandshakeFault.BadCertificate });
      expect('fault' in refused && refused.detail).to.contain('could not find ca for the certificate');
      const first = must(initiator.finish(packet, a.identity.caPool, NOW_SECONDS));
      initiator.reopen();
      const second = must(initiator.finish(packet, a.identity.caPool, NOW_SECONDS));
      expect(second).to.deep.equal(first);
    });

    it('verifies the peer against time, blocklist and authority', () => {
      const b = setup('b');
      const cases: readonly (readonly [HandshakeSetup, HandshakeSetup, number, string])[] = [
        [setup('a', { notAfter: NOW_SECONDS - 1 }), b, NOW_SECONDS, 'certificate is expired'],
        [setup('a', { notBefore: NOW_SECONDS + 1 }), b, NOW_SECONDS, 'certificate is expired'],
        [setup('a'), b, 1_999_999_999, 'root certificate is expired'],
        [
          setup('a'),
          setup('b', {}, authority.pool([setup('a').identity.certificates[0].fingerprint])),
          NOW_SECONDS,
          'certificate is in the block list',
        ],
        [setup('a'), setup('b', {}, new TestAuthority(3).pool()), NOW_SECONDS, 'could not find ca'],
      ];
      for (const [from, to, seconds, reason] of cases) {
        const result = Responder.read(to, must(start(from, 1)).packet, seconds);
        expect(faultOf(result), reason).to.equal(HandshakeFault.BadCertificate);
        expect('fault' in result && result.detail).to.contain(reason);
      }
    });

    it('refuses a certificate that belongs to another key: a thief has the certificate, not the key', () => {
      const victim = setup('a');
      const thief = setup('a', { keySeed: 9 });
      const stolen: HandshakeSetup = {
        ...victim,
        identity: { ...thief.identity, certificates: victim.identity.certificates },
      };
      const result = Responder.read(setup('b'), must(start(stolen, 1)).packet, NOW_SECONDS);
      expect(faultOf(result)).to.equal(HandshakeFault.BadCertificate);
      expect('fault' in result && result.detail).to.contain('signature did not match');
    });

    it('refuses a first message that does not name its sender', () => {
      const packet = must(start(setup('a'), 1, 0)).packet;
      expect(faultOf(Responder.read(setup('b'), packet, NOW_SECONDS))).to.equal(HandshakeFault.BadPayload);
    });

    it('fails without a certificate of the wanted version', () => {
      expect(faultOf(start(setup('a'), 2))).to.equal(HandshakeFault.NoCertificate);
    });

    it('answers in the version of the peer when it can', () => {
      const both = setup('b', { versions: [1, 2] });
      for (const version of [1, 2] as const) {
        const a = setup('a', { versions: [version] });
        const initiator = must(start(a, version));
        const { completed, packet } = answer(both, initiator.packet);
        expect(completed.ownCertificate.version).to.equal(version);
        expect(must(initiator.finish(packet, a.identity.caPool, NOW_SECONDS)).peer.certificate.version).to.equal(
          version,
        );
      }
      const only2 = setup('b', { versions: [2] });
      expect(answer(only2, must(start(setup('a'), 1)).packet).completed.ownCertificate.version).to.equal(2);
    });

    it('refuses truncated and random first messages without throwing', () => {
      const { packet } = must(start(setup('a'), 1));
      const b = setup('b');
      for (let length = 16; length < packet.length; length++) {
        expect(faultOf(Responder.read(b, packet.subarray(0, length), NOW_SECONDS))).not.to.equal('none');
      }
      const random = new Random(6);
      for (let round = 0; round < 300; round++) {
        const bytes = random.bytes(16 + random.below(400));
        expect(faultOf(Responder.read(b, bytes, NOW_SECONDS))).not.to.equal('none');
      }
    });
  });
});
