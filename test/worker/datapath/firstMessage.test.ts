import { expect } from 'chai';
import { describe, it } from 'mocha';
import { decodeHandshakePayload } from '../../../src/primary/control/noise/handshakePayload.ts';
import { Initiator } from '../../../src/primary/control/tunnels/handshakeMachine.ts';
import { parseHandshakeCertificate } from '../../../src/primary/pki/handshakeForm.ts';
import type { Identity } from '../../../src/primary/pki/identity.ts';
import type { Certificate } from '../../../src/shared/cert/certificate.ts';
import { CertificateError } from '../../../src/shared/cert/certificateError.ts';
import { Cipher } from '../../../src/shared/crypto/aead.ts';
import { Curve } from '../../../src/shared/crypto/curve.ts';
import { generateKeyPair } from '../../../src/shared/crypto/dh.ts';
import { addressOfWords } from '../../../src/shared/ip/networkWords.ts';
import { FirstMessage } from '../../../src/worker/datapath/firstMessage.ts';
import { handshakeVectors } from '../../support/handshakeVectors.ts';
import { fromHex } from '../../support/hex.ts';
import { Random } from '../../support/random.ts';
import { TestAuthority } from '../../support/testAuthority.ts';

const authority = new TestAuthority(77);
const random = new Random(5);
/** Where messages lie in the arena. */
const AT = 64;

function messageOf(identity: Identity, version: 1 | 2): Uint8Array {
  const ephemeralKeys = generateKeyPair(identity.curve, random.bytes(32));
  const fresh = { localIndex: 1 + random.below(0x7fff_ffff), ephemeralKeys, timeNs: 1_750_000_000_000_000_000n };
  const machine = Initiator.start({ identity, cipher: Cipher.Aes256Gcm }, version, fresh);
  if ('fault' in machine) {
    throw new Error(machine.detail);
  }
  return machine.packet;
}

const identities = [
  authority.identity('v1', ['10.42.0.7/24']),
  authority.identity('v1groups', ['10.42.0.8/24'], { groups: ['one', 'two'] }),
  authority.identity('v2', ['10.42.0.9/24', 'fd42::9/64'], { versions: [2], groups: ['one'] }),
  authority.identity('v2six', ['fd42::10/64'], { versions: [2] }),
];
const messages = identities.map((identity) => messageOf(identity, identity.initiatingVersion));

/** What the primary would make of the message before it looks at signatures; null when it would refuse it. */
function asPrimary(message: Uint8Array): Certificate | null {
  const payload = decodeHandshakePayload(message.subarray(16 + 64));
  if (payload === null || payload.initiatorIndex === 0 || message.length < 16 + 64) {
    return null;
  }
  try {
    const key = message.subarray(16 + 32, 16 + 64);
    return parseHandshakeCertificate(payload.certificate, payload.certificateVersion, key, Curve.Curve25519);
  } catch (error) {
    expect(error).to.be.instanceOf(CertificateError);
    return null;
  }
}

function read(reader: FirstMessage, message: Uint8Array): { isRead: boolean; issuer: string; address: string } {
  const bytes = new Uint8Array(AT + message.length + 64).fill(0xa5);
  bytes.set(message, AT);
  const isRead = reader.read(bytes, AT, message.length);
  return {
    isRead,
    issuer: Buffer.from(bytes.subarray(reader.issuer, reader.issuer + 32)).toString('hex'),
    address: addressOfWords(reader.address0, reader.address1, reader.address2, reader.address3).text,
  };
}

function mutated(message: Uint8Array): Uint8Array {
  const result = new Uint8Array(message);
  switch (random.below(4)) {
    case 0:
      return result.subarray(0, random.below(result.length));
    case 1:
      return Uint8Array.from([...result, ...random.bytes(1 + random.below(20))]);
    default:
      for (let n = random.below(4); n >= 0; n--) {
        const at = 16 + 64 + random.below(result.length - 16 - 64);
        result[at] = random.bool() ? result[at] ^ (1 << random.below(8)) : random.below(256);
      }
      return result;
  }
}

describe('first message', () => {
  it('gives issuer and address of certificates of both versions', () => {
    const reader = new FirstMessage(32);
    for (const [index, message] of messages.entries()) {
      const { networks } = identities[index];
      const { isRead, issuer, address } = read(reader, message);
      expect([isRead, issuer]).to.deep.equal([true, authority.certificate.fingerprint]);
      expect(networks.map((network) => network.address.text)).to.include(address);
    }
  });

  it('refuses nothing that the primary would read, however it is spelled', () => {
    const reader = new FirstMessage(32);
    let [accepted, refused] = [0, 0];
    for (let n = 0; n < 30_000; n++) {
      const message = mutated(random.pick(messages));
      const certificate = asPrimary(message);
      const { isRead, issuer, address } = read(reader, message);
      refused += isRead ? 0 : 1;
      if (certificate !== null && certificate.issuer.length === 64 && certificate.signature.length > 0) {
        accepted++;
        expect(isRead, Buffer.from(message).toString('hex')).to.equal(true);
        expect(issuer).to.equal(certificate.issuer);
        expect(certificate.networks.map((network) => network.address.text)).to.include(address);
      }
    }
    expect(accepted).to.be.above(3000);
    expect(refused).to.be.above(3000);
  });

  it('reads the published vectors, on both curves', () => {
    for (const { curve, values } of handshakeVectors) {
      const reader = new FirstMessage(curve === Curve.P256 ? 65 : 32);
      expect(read(reader, fromHex(values.packet1)).isRead).to.equal(true);
    }
  });

  it('refuses random bytes of every length', () => {
    const reader = new FirstMessage(32);
    let readable = 0;
    for (let length = 16; length < 2000; length++) {
      readable += read(reader, random.bytes(length)).isRead ? 1 : 0;
    }
    expect(readable).to.equal(0);
    expect(read(reader, new Uint8Array(20_000)).isRead).to.equal(false);
  });
});
