/**
 * Many hosts that all begin a handshake with one node, as fast as it answers: a program that `handshakes.ts` runs.
 *
 *   node handshakeClient.js CA_CERT CA_KEY ADDRESS PORT COUNT
 *
 * Certificates and first messages are made before the clock starts, by the code of a weft initiator, and the answers are
 * verified after it has stopped, so the time between is the responder's. Prints one JSON object.
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import {
  type CompletedHandshake,
  type HandshakeFailure,
  Initiator,
} from '../../src/primary/control/tunnels/handshakeMachine.ts';
import { CaPool } from '../../src/primary/pki/caPool.ts';
import { parseFirstCertificate } from '../../src/primary/pki/certificateFile.ts';
import type { Identity } from '../../src/primary/pki/identity.ts';
import { parseKey } from '../../src/primary/pki/keyFile.ts';
import { type SigningKey, signCertificate } from '../../src/primary/pki/signing.ts';
import type { Certificate } from '../../src/shared/cert/certificate.ts';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import { Curve } from '../../src/shared/crypto/curve.ts';
import { generateKeyPair } from '../../src/shared/crypto/dh.ts';
import { parsePrefix } from '../../src/shared/ip/address.ts';
import { headerRemoteIndex } from '../../src/shared/wire/header.ts';

/** Handshakes under way at a time: enough that the responder never waits for us. */
const WINDOW = 16;
const RESEND_MS = 200;
const LIMIT_MS = 30_000;

export interface HandshakeReport {
  readonly completed: number;
  readonly seconds: number;
  /** Processor time of this side, from drawing the key to the session keys; signing certificates is not in it. */
  readonly initiatorCpuSeconds: number;
}

const [caCert, caKey, address, port, count] = process.argv.slice(2);
const unixSeconds = Math.floor(Date.now() / 1000);
const ca = parseFirstCertificate(readFileSync(caCert));
const pool = new CaPool([ca], []);
const signer: SigningKey = { curve: Curve.Curve25519, privateKey: parseKey(readFileSync(caKey), 'ca private').bytes };
const identities = Array.from({ length: Number(count) }, (_, number) => identityOf(number, ca, signer));
let cpuMicros = 0;
const initiators = timed(() => identities.map(begin));
const { answers, seconds } = await contest(initiators);
const completed = timed(() => answers.flatMap(([number, answer]) => finish(initiators[number], answer)));
const report: HandshakeReport = { completed: completed.length, seconds, initiatorCpuSeconds: cpuMicros / 1e6 };
console.log(JSON.stringify(report));

function identityOf(number: number, authority: Certificate, key: SigningKey): Identity {
  const network = parsePrefix(`10.86.${1 + (number >> 8)}.${number & 0xff}/16`);
  if (network === null) {
    throw new Error(`too many hosts: ${number}`);
  }
  const keys = generateKeyPair(Curve.Curve25519, randomBytes(32));
  const fields = {
    version: 1 as const,
    name: `host ${number}`,
    networks: [network],
    unsafeNetworks: [],
    groups: [],
    notBefore: authority.notBefore,
    notAfter: authority.notAfter - 1,
    isCa: false,
    curve: Curve.Curve25519,
    publicKey: keys.publicKey,
  };
  const certificates = [signCertificate(fields, authority, key)];
  const common = { curve: Curve.Curve25519, initiatingVersion: 1 as const, caPool: pool, warnings: [] };
  return { ...common, ...keys, certificates, networks: [network] };
}

function begin(identity: Identity, number: number): Initiator {
  const started = Initiator.start({ identity, cipher: Cipher.Aes256Gcm }, 1, {
    localIndex: number + 1,
    ephemeralKeys: generateKeyPair(Curve.Curve25519, randomBytes(32)),
    timeNs: BigInt(Date.now()) * 1_000_000n,
  });
  if (!(started instanceof Initiator)) {
    throw new Error(started.detail);
  }
  return started;
}

/** The first answer to each, and the time from the first message to the last answer. */
function contest(
  hosts: readonly Initiator[],
): Promise<{ readonly answers: readonly (readonly [number, Uint8Array])[]; readonly seconds: number }> {
  const socket = createSocket('udp4');
  const answers = new Map<number, Uint8Array>();
  let next = 0;
  const send = (number: number): void => socket.send(hosts[number].packet, Number(port), address);
  return new Promise((resolve) => {
    const startMs = performance.now();
    let lastMs = startMs;
    const end = (): void => {
      clearInterval(resending);
      socket.close();
      resolve({ answers: [...answers], seconds: (lastMs - startMs) / 1000 });
    };
    const resending = setInterval(() => {
      const now = performance.now();
      if (now - startMs > LIMIT_MS) {
        end();
      } else if (now - lastMs > RESEND_MS) {
        for (let number = 0; number < next; number++) {
          if (!answers.has(number)) {
            send(number);
          }
        }
      }
    }, RESEND_MS);
    socket.on('message', (datagram) => {
      const number = headerRemoteIndex(new DataView(datagram.buffer, datagram.byteOffset, datagram.length), 0) - 1;
      if (number < 0 || number >= hosts.length || answers.has(number)) {
        return;
      }
      lastMs = performance.now();
      answers.set(number, new Uint8Array(datagram));
      if (answers.size === hosts.length) {
        end();
      } else if (next < hosts.length) {
        send(next++);
      }
    });
    while (next < Math.min(WINDOW, hosts.length)) {
      send(next++);
    }
  });
}

function finish(initiator: Initiator, answer: Uint8Array): CompletedHandshake[] {
  const result: CompletedHandshake | HandshakeFailure = initiator.finish(answer, pool, unixSeconds);
  return 'fault' in result ? [] : [result];
}

function timed<T>(work: () => T): T {
  const before = process.cpuUsage();
  const result = work();
  const used = process.cpuUsage(before);
  cpuMicros += used.user + used.system;
  return result;
}
