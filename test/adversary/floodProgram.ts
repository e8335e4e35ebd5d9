/**
 * A flood of datagrams of type handshake against one node, bounded in rate and time: a program that a test starts.
 *
 *   node floodProgram.js PLAN
 *
 * Prints `flooding` after the first packets and one JSON object with the number sent at the end. The certificate of
 * another host is all that it knows: every first message shows it.
 */
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { Initiator } from '../../src/primary/control/tunnels/handshakeMachine.ts';
import { CaPool } from '../../src/primary/pki/caPool.ts';
import { parseFirstCertificate } from '../../src/primary/pki/certificateFile.ts';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import { generateKeyPair } from '../../src/shared/crypto/dh.ts';
import { HEADER_BYTES, MessageType, writeHeader } from '../../src/shared/wire/header.ts';
import { forgeRequest } from '../support/forgedHandshakes.ts';
import { Random } from '../support/random.ts';

export interface FloodPlan {
  readonly target: string;
  readonly port: number;
  /** Random bodies; first messages of another host, as they are, forged and altered; the same from many ports. */
  readonly kind: 'garbage' | 'forged' | 'ports';
  readonly seconds: number;
  readonly perSecond: number;
  /** Path of the other host's certificate. */
  readonly cert: string;
}

const PACKETS = 4096;
const PORTS = 200;
const STEP_MS = 5;

const plan: FloodPlan = JSON.parse(process.argv[2]);
const random = new Random(plan.kind.length);
const packets = Array.from({ length: PACKETS }, plan.kind === 'garbage' ? garbage : forger());
const sockets = Array.from({ length: plan.kind === 'ports' ? PORTS : 1 }, () => createSocket('udp4'));
let sentCount = 0;
const startMs = performance.now();
const timer = setInterval(step, STEP_MS);

function step(): void {
  const elapsedMs = performance.now() - startMs;
  if (elapsedMs >= plan.seconds * 1000) {
    clearInterval(timer);
    console.log(JSON.stringify({ sentCount }));
    process.exit(0);
  }
  const dueCount = Math.min((plan.perSecond * STEP_MS) / 500, (elapsedMs / 1000) * plan.perSecond - sentCount);
  for (let n = 0; n < dueCount; n++) {
    // A full queue of this machine is no fault of the flood's.
    sockets[sentCount % sockets.length].send(packets[sentCount % PACKETS], plan.port, plan.target, () => undefined);
    sentCount++;
    if (sentCount === 1) {
      console.log('flooding');
    }
  }
}

function garbage(): Uint8Array {
  const packet = new Uint8Array(HEADER_BYTES + random.below(600));
  packet.set(random.bytes(packet.length - HEADER_BYTES), HEADER_BYTES);
  writeHeader(new DataView(packet.buffer), 0, MessageType.Handshake, 0, 0, 0, 0, 1);
  return packet;
}

function forger(): () => Uint8Array {
  const certificate = parseFirstCertificate(readFileSync(plan.cert));
  const { curve, publicKey, networks, version } = certificate;
  // A first message is made without the private key.
  const { privateKey } = generateKeyPair(curve, random.bytes(32));
  const identity = { curve, publicKey, privateKey, certificates: [certificate], networks, warnings: [] };
  const original = Initiator.start(
    { identity: { ...identity, initiatingVersion: version, caPool: new CaPool([]) }, cipher: Cipher.Aes256Gcm },
    version,
    {
      localIndex: 77,
      ephemeralKeys: generateKeyPair(curve, random.bytes(32)),
      timeNs: BigInt(Date.now()) * 1_000_000n,
    },
  );
  if ('fault' in original) {
    throw new Error(original.detail);
  }
  return () => {
    const packet = random.below(4) === 0 ? new Uint8Array(original.packet) : forgeRequest(original.packet, random);
    if (random.below(4) === 0) {
      packet[HEADER_BYTES + 64 + random.below(packet.length - HEADER_BYTES - 64)] ^= 1 << random.below(8);
    }
    return packet;
  };
}
