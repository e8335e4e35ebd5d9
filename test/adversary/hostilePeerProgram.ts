/**
 * A peer with a good certificate that abuses its tunnel: test requests from ever changing ports, each of which a node can
 * only answer after a decision of its primary. A program that a test starts.
 *
 *   node hostilePeerProgram.js PLAN
 *
 * Prints `connected` once it has its tunnel and one JSON object with the number sent at the end.
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Initiator } from '../../src/primary/control/tunnels/handshakeMachine.ts';
import { CaPool } from '../../src/primary/pki/caPool.ts';
import { parseFirstCertificate } from '../../src/primary/pki/certificateFile.ts';
import { parseKey } from '../../src/primary/pki/keyFile.ts';
import { Cipher } from '../../src/shared/crypto/aead.ts';
import { generateKeyPair } from '../../src/shared/crypto/dh.ts';
import { MessageType, Subtype } from '../../src/shared/wire/header.ts';
import type { MemoryRow } from '../support/memoryTunnelStore.ts';
import type { NodeFiles } from '../support/pki.ts';
import { sealPacket } from './sealPacket.ts';

export interface HostilePeerPlan {
  readonly target: string;
  readonly port: number;
  readonly files: NodeFiles;
  readonly requests: number;
  readonly perSecond: number;
}

const PORTS = 200;
const STEP_MS = 5;
const BODY = new Uint8Array(1000);

const plan: HostilePeerPlan = JSON.parse(process.argv[2]);
const sockets = Array.from({ length: PORTS }, () => createSocket('udp4'));
const row = await connect();
console.log('connected');
let sentCount = 0;
const startMs = performance.now();
const timer = setInterval(step, STEP_MS);

function step(): void {
  if (sentCount >= plan.requests) {
    clearInterval(timer);
    console.log(JSON.stringify({ sentCount }));
    process.exit(0);
  }
  const dueCount = ((performance.now() - startMs) / 1000) * plan.perSecond - sentCount;
  for (let n = 0; n < Math.min(dueCount, (plan.perSecond * STEP_MS) / 500); n++) {
    const packet = sealPacket(row, MessageType.Test, Subtype.TestRequest, BODY);
    sockets[sentCount % PORTS].send(packet, plan.port, plan.target, () => undefined);
    sentCount++;
  }
}

async function connect(): Promise<MemoryRow> {
  const certificate = parseFirstCertificate(readFileSync(plan.files.cert));
  const pool = new CaPool([parseFirstCertificate(readFileSync(plan.files.ca))]);
  const { curve, publicKey, networks, version } = certificate;
  const privateKey = parseKey(readFileSync(plan.files.key), 'host private').bytes;
  const identity = {
    curve,
    publicKey,
    privateKey,
    certificates: [certificate],
    initiatingVersion: version,
    caPool: pool,
    networks,
    warnings: [],
  };
  const initiator = Initiator.start({ identity, cipher: Cipher.Aes256Gcm }, version, {
    localIndex: 4711,
    ephemeralKeys: generateKeyPair(curve, randomBytes(32)),
    timeNs: BigInt(Date.now()) * 1_000_000n,
  });
  if ('fault' in initiator) {
    throw new Error(initiator.detail);
  }
  const answered = once(sockets[0], 'message');
  sockets[0].send(initiator.packet, plan.port, plan.target);
  const [answer] = (await answered) as [Uint8Array];
  const done = initiator.finish(answer, pool, Math.floor(Date.now() / 1000));
  if ('fault' in done) {
    throw new Error(done.detail);
  }
  const { cipher, sendKey, remoteIndex } = done;
  return { record: { cipher, sendKey, remoteIndex }, sendCount: 2 } as unknown as MemoryRow;
}
