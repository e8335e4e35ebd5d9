/**
 * Many hosts in one program, for `answers.ts` and `tunnels.ts`: shakes hands with a lighthouse in the name of each, tells it where the
 * host is, and then asks for one host after the other as fast as answers come. Runs in a namespace of its own.
 *
 *   node answersLoad.js PLAN    a JSON file, `LoadPlan`
 *
 * Prints `connecting`, `ready` when the lighthouse knows all hosts, `begin` and `end {…}` around the measurement. Packets
 * are sealed and sent by the modules of a worker, each host has a tunnel of its own, and the hosts share eight sockets.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type CompletedHandshake, Initiator } from '../../../src/primary/control/tunnels/handshakeMachine.ts';
import { openUdpSockets } from '../../../src/primary/machine/udpSocket.ts';
import { CaPool } from '../../../src/primary/pki/caPool.ts';
import { parseFirstCertificate } from '../../../src/primary/pki/certificateFile.ts';
import type { Identity } from '../../../src/primary/pki/identity.ts';
import { parseKey } from '../../../src/primary/pki/keyFile.ts';
import { signCertificate } from '../../../src/primary/pki/signing.ts';
import { TunnelRows } from '../../../src/primary/tables/tunnelRows.ts';
import type { Certificate } from '../../../src/shared/cert/certificate.ts';
import { Cipher } from '../../../src/shared/crypto/aead.ts';
import { Curve } from '../../../src/shared/crypto/curve.ts';
import { generateKeyPair } from '../../../src/shared/crypto/dh.ts';
import { chooseProviders, providerFor } from '../../../src/shared/crypto/providers.ts';
import { parsePrefix } from '../../../src/shared/ip/address.ts';
import { addressWords } from '../../../src/shared/ip/networkWords.ts';
import { initializeShared } from '../../../src/shared/memory/layout.ts';
import { TunnelTrafficColumn } from '../../../src/shared/memory/tunnelTraffic.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { SOCKADDR_BYTES, SocketFamily, writeSocketAddress } from '../../../src/shared/tunnel/socketAddress.ts';
import { TunnelContext, TunnelContexts } from '../../../src/shared/tunnel/tunnelContext.ts';
import { headerRemoteIndex, headerType, MessageType } from '../../../src/shared/wire/header.ts';
import { encodeLighthouse, LIGHTHOUSE_BYTES_MAX } from '../../../src/shared/wire/lighthouseEncoder.ts';
import { LighthouseMessage, LighthouseType } from '../../../src/shared/wire/lighthouseMessage.ts';
import { Sender } from '../../../src/worker/datapath/sender.ts';
import { UdpPort } from '../../../src/worker/ports/udpPort.ts';
import { ip } from '../../support/addresses.ts';
import { privateMemories } from '../../support/memories.ts';

export interface LoadPlan {
  readonly caCert: string;
  readonly caKey: string;
  /** Underlay address and port of the lighthouse. */
  readonly address: string;
  readonly port: number;
  readonly hosts: number;
  readonly seconds: number;
}

export interface LoadResult {
  readonly seconds: number;
  readonly queries: number;
  /** Replies and punch notifications. */
  readonly answers: number;
  /** Times that answers stayed out and the queries under way were given up. */
  readonly stalls: number;
}

const SOCKETS = 8;
const HANDSHAKES_UNDER_WAY = 32;
const QUERIES_UNDER_WAY = 1024;
const QUERIES_PER_TURN = 64;
const STALL_MS = 100;
/** A host's handshake is repeated after this. */
const RETRY_MS = 500;
const ARENA_BYTES = 64 * 1024 * 1024;

class Load {
  readonly #plan: LoadPlan;
  readonly #arena = new Arena(ARENA_BYTES);
  readonly #ports: readonly UdpPort[];
  readonly #senders: readonly Sender[];
  readonly #rows: TunnelRows;
  readonly #contexts: TunnelContexts;
  readonly #lighthouse: number;
  readonly #body: number;
  readonly #message = new LighthouseMessage();
  readonly #pending = new Map<number, { readonly initiator: Initiator; readonly identity: Identity; atMs: number }>();
  /** By host: slot of its tunnel. */
  readonly #slots: Int32Array;
  readonly #ca: Certificate;
  readonly #caKey: Uint8Array;
  readonly #keys = generateKeyPair(Curve.P256, randomBytes(32));
  #connected = 0;
  #lighthousePackets = 0;

  constructor(plan: LoadPlan) {
    const capacities = { workers: 1, tunnels: plan.hosts, flows: 16, lighthouseHosts: 1 };
    const tables = initializeShared(privateMemories(capacities), capacities);
    const providers = chooseProviders({ pinned: null, log: () => undefined });
    const arena = this.#arena;
    this.#plan = plan;
    this.#rows = new TunnelRows(tables);
    this.#slots = new Int32Array(plan.hosts).fill(-1);
    this.#contexts = new TunnelContexts(
      arena,
      tables.tunnels,
      tables.indexes,
      (cipher) => providerFor(providers, cipher),
      SocketFamily.Ipv4,
      TunnelContext,
    );
    const buffers = { readBuffer: 4 * 1024 * 1024, writeBuffer: 4 * 1024 * 1024, soMark: 0 };
    this.#ports = Array.from({ length: SOCKETS }, () => {
      const socket = openUdpSockets({ host: ip('0.0.0.0'), port: 0, count: 1, ...buffers });
      // Datagrams one by one, as they come from many machines.
      return new UdpPort(arena, { fd: socket.fds[0], family: SocketFamily.Ipv4, batch: 64, offloads: false });
    });
    const traffic = new TunnelTrafficColumn(tables.traffic[0], 0);
    this.#senders = this.#ports.map((port) => new Sender(this.#contexts, port, tables.metrics.column(1), traffic));
    this.#lighthouse = arena.allocate(SOCKADDR_BYTES, 8);
    const mapped = new Uint8Array(16);
    mapped.set([255, 255], 10);
    mapped.set(ip(plan.address).bytes, 12);
    writeSocketAddress(arena, this.#lighthouse, SocketFamily.Ipv4, mapped, 0, plan.port);
    this.#body = arena.allocate(LIGHTHOUSE_BYTES_MAX, 64);
    this.#ca = parseFirstCertificate(readFileSync(plan.caCert));
    this.#caKey = parseKey(readFileSync(plan.caKey), 'ca private').bytes;
  }

  run(): void {
    console.log('connecting');
    for (let next = 0; this.#connected < this.#plan.hosts; ) {
      while (next < this.#plan.hosts && this.#pending.size < HANDSHAKES_UNDER_WAY) {
        this.#startHandshake(next++);
      }
      this.#retry();
      this.#turn();
    }
    console.log('ready');
    if (this.#plan.seconds > 0) {
      console.log('begin');
      console.log(`end ${JSON.stringify(this.#measure())}`);
    }
  }

  #measure(): LoadResult {
    const startMs = performance.now();
    const endMs = startMs + this.#plan.seconds * 1000;
    let queries = 0;
    let underWay = 0;
    let answers = 0;
    let stalls = 0;
    let heardMs = startMs;
    let nowMs = startMs;
    for (; nowMs < endMs; nowMs = performance.now()) {
      for (let n = 0; n < QUERIES_PER_TURN && underWay < QUERIES_UNDER_WAY; n++) {
        const asker = queries % this.#plan.hosts;
        this.#query(asker, (asker * 7 + queries + 1) % this.#plan.hosts);
        queries++;
        underWay++;
      }
      const before = this.#lighthousePackets;
      this.#turn();
      const heard = this.#lighthousePackets - before;
      answers += heard;
      underWay -= Math.min(underWay, heard / 2);
      if (heard > 0) {
        heardMs = nowMs;
      } else if (nowMs - heardMs > STALL_MS) {
        heardMs = nowMs;
        underWay = 0;
        stalls++;
      }
    }
    return { seconds: (nowMs - startMs) / 1000, queries, answers, stalls };
  }

  #startHandshake(host: number): void {
    const networks = [parsePrefix(`${hostAddress(host)}/8`)].filter((network) => network !== null);
    const certificate = signCertificate(
      {
        version: 1,
        name: `host${host}`,
        networks,
        unsafeNetworks: [],
        groups: [],
        notBefore: this.#ca.notBefore,
        notAfter: this.#ca.notAfter,
        isCa: false,
        curve: Curve.P256,
        publicKey: this.#keys.publicKey,
      },
      this.#ca,
      { curve: Curve.P256, privateKey: this.#caKey },
    );
    const identity: Identity = {
      curve: Curve.P256,
      ...this.#keys,
      certificates: [certificate],
      initiatingVersion: 1,
      caPool: new CaPool([this.#ca]),
      networks,
      warnings: [],
    };
    const ephemeralKeys = generateKeyPair(Curve.P256, randomBytes(32));
    const fresh = { localIndex: host + 1, ephemeralKeys, timeNs: BigInt(Date.now()) * 1_000_000n };
    const initiator = Initiator.start({ identity, cipher: Cipher.Aes256Gcm }, 1, fresh);
    if ('fault' in initiator) {
      throw new Error(initiator.detail);
    }
    this.#pending.set(host + 1, { initiator, identity, atMs: performance.now() });
    this.#sendPlain(host, initiator.packet);
  }

  #retry(): void {
    const nowMs = performance.now();
    for (const [index, pending] of this.#pending) {
      if (nowMs - pending.atMs > RETRY_MS) {
        pending.atMs = nowMs;
        this.#sendPlain(index - 1, pending.initiator.packet);
      }
    }
  }

  /** Sends what is queued, takes what has come. */
  #turn(): void {
    for (const port of this.#ports) {
      port.flush();
      const count = port.receive();
      for (let index = 0; index < count; index++) {
        this.#receive(port.offsets[index], port.lengths[index]);
      }
    }
  }

  #receive(offset: number, length: number): void {
    const { bytes, view } = this.#arena;
    const type = headerType(bytes, offset);
    if (type === MessageType.Lighthouse) {
      this.#lighthousePackets++;
    } else if (type === MessageType.Handshake) {
      const index = headerRemoteIndex(view, offset);
      const pending = this.#pending.get(index);
      if (pending !== undefined) {
        const { caPool } = pending.identity;
        const packet = bytes.slice(offset, offset + length);
        this.#finish(index - 1, pending.initiator.finish(packet, caPool, Math.floor(Date.now() / 1000)));
      }
    }
  }

  #finish(host: number, result: ReturnType<Initiator['finish']>): void {
    if ('fault' in result) {
      throw new Error(`the lighthouse's answer is no good: ${result.detail}`);
    }
    this.#pending.delete(host + 1);
    const slot = this.#publish(result);
    this.#slots[host] = slot;
    this.#connected++;
    const message = this.#message;
    message.reset();
    message.type = LighthouseType.HostUpdateNotification;
    const [a0, a1, a2, a3] = addressWords([ip(hostAddress(host))]);
    message.setTarget(1, a0, a1, a2, a3);
    message.addV4(0xc0a80000 + (host & 0xffff), 4242);
    message.addV4(0xac100000 + (host & 0xffff), 4242);
    this.#sendMessage(host);
  }

  #publish(handshake: CompletedHandshake): number {
    const { certificate } = handshake.peer;
    const endpoint = { address: ip(this.#plan.address), port: this.#plan.port, text: '' };
    const slot = this.#rows.publish({ ...handshake, certificate, endpoint, isConfirmed: true });
    if (slot < 0) {
      throw new Error('no room for a tunnel');
    }
    return slot;
  }

  #query(host: number, wanted: number): void {
    this.#message.reset();
    this.#message.type = LighthouseType.HostQuery;
    this.#message.setTarget(1, 0, 0, 0xffff, 0x0a000000 + wanted + 1);
    this.#sendMessage(host);
  }

  #sendMessage(host: number): void {
    const context = this.#contexts.at(this.#slots[host]);
    const length = encodeLighthouse(this.#message, this.#arena.bytes, this.#body);
    if (context !== null) {
      this.#senders[host % SOCKETS].send(context, MessageType.Lighthouse, 0, 0, this.#body, length);
    }
  }

  #sendPlain(host: number, packet: Uint8Array): void {
    const port = this.#ports[host % SOCKETS];
    const target = port.reserve(packet.length);
    if (target >= 0) {
      this.#arena.bytes.set(packet, target);
      port.commit(packet.length, this.#lighthouse);
    }
  }
}

function hostAddress(host: number): string {
  const number = host + 1;
  return `10.${number >>> 16}.${(number >>> 8) & 0xff}.${number & 0xff}`;
}

new Load(JSON.parse(readFileSync(process.argv[2], 'utf8')) as LoadPlan).run();
process.exit(0);
