import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Initiator } from '../../../src/primary/control/tunnels/handshakeMachine.ts';
import type { Identity } from '../../../src/primary/pki/identity.ts';
import { Cipher } from '../../../src/shared/crypto/aead.ts';
import { generateKeyPair } from '../../../src/shared/crypto/dh.ts';
import { writeMapped } from '../../../src/shared/ip/address.ts';
import { initializeShared, type SharedTables } from '../../../src/shared/memory/layout.ts';
import { METRIC, type MetricName } from '../../../src/shared/memory/metrics.ts';
import { Arena } from '../../../src/shared/sys/arena.ts';
import { SocketFamily, writeSocketAddress } from '../../../src/shared/tunnel/socketAddress.ts';
import { TunnelContext, TunnelContexts } from '../../../src/shared/tunnel/tunnelContext.ts';
import { MessageType, writeHeader } from '../../../src/shared/wire/header.ts';
import { Strangers } from '../../../src/worker/datapath/strangers.ts';
import { ip } from '../../support/addresses.ts';
import { privateMemories } from '../../support/memories.ts';
import { Random } from '../../support/random.ts';
import { TestAuthority } from '../../support/testAuthority.ts';
import { least } from '../least.ts';

const authority = new TestAuthority(78);
const foreign = new TestAuthority(79);
const honest = authority.identity('honest', ['10.42.0.7/24']);
const peer = authority.identity('peer', ['10.42.0.8/24']);

function firstMessage(random: Random, identity: Identity): Uint8Array {
  const ephemeralKeys = generateKeyPair(identity.curve, random.bytes(32));
  const fresh = { localIndex: 1 + random.below(0x7fff_ffff), ephemeralKeys, timeNs: 1n };
  const machine = Initiator.start({ identity, cipher: Cipher.Aes256Gcm }, 1, fresh);
  if ('fault' in machine) {
    throw new Error(machine.detail);
  }
  return machine.packet;
}

const replayed = firstMessage(new Random(1), honest);
const fresh = Array.from({ length: 20 }, (_, n) => firstMessage(new Random(100 + n), honest));

class Bench {
  readonly random: Random = new Random(9);
  readonly tables: SharedTables;
  readonly metrics: Float64Array;
  readonly strangers: Strangers;
  readonly #arena: Arena = new Arena(1 << 20);
  readonly #source: number;
  readonly #packet: number;
  readonly #family: SocketFamily;
  nowMs: number = 12_345;

  constructor(family: SocketFamily = SocketFamily.Ipv4) {
    const capacities = { workers: 1, tunnels: 16, flows: 64, lighthouseHosts: 1 };
    this.tables = initializeShared(privateMemories(capacities), capacities);
    this.metrics = this.tables.metrics.column(1);
    this.#family = family;
    this.#source = this.#arena.allocate(32, 64);
    this.#packet = this.#arena.allocate(4096, 64);
    const noCipher = (): never => {
      throw new Error('no tunnel is used here');
    };
    const { tunnels, indexes, hosts } = this.tables;
    this.strangers = new Strangers({
      arena: this.#arena,
      family,
      contexts: new TunnelContexts(this.#arena, tunnels, indexes, noCipher, family, TunnelContext),
      hosts,
      metrics: this.metrics,
      seed: 4711,
      workers: 1,
      keyBytes: 32,
    });
    this.strangers.trust([foreign.certificate.fingerprint.replace(/./g, 'a'), authority.certificate.fingerprint]);
  }

  handshake(packet: Uint8Array, from: string, port: number = 4242): boolean {
    this.#arena.bytes.set(packet, this.#packet);
    return this.strangers.admitsHandshake(this.#packet, packet.length, this.#from(from, port), this.nowMs);
  }

  /** Admits again and again what was placed last, and returns the bytes that the heap grew by each time. */
  growth(length: number): number {
    const growths = Array.from({ length: 9 }, () => {
      const before = process.memoryUsage().heapUsed;
      for (let n = 0; n < 30_000; n++) {
        this.strangers.admitsHandshake(this.#packet, length, this.#source, this.nowMs + n);
      }
      return (process.memoryUsage().heapUsed - before) / 30_000;
    });
    return growths.sort((a, b) => a - b)[4];
  }

  recvError(from: string): boolean {
    return this.strangers.admitsRecvError(this.#from(from, 4242), this.nowMs);
  }

  counted(name: MetricName): number {
    return this.metrics[METRIC[name]];
  }

  /** A tunnel to `peer`, whose packets come from there. */
  connectPeer(from: string): void {
    const { tunnels, hosts } = this.tables;
    const bytes = mapped(from);
    tunnels.writeEndpoint(3, bytes, 4242, new Uint8Array(16));
    const address = new DataView(mapped('10.42.0.8').buffer);
    hosts.set(address.getInt32(0), address.getInt32(4), address.getInt32(8), address.getInt32(12), 3);
  }

  #from(address: string, port: number): number {
    expect(writeSocketAddress(this.#arena, this.#source, this.#family, mapped(address), 0, port)).to.equal(true);
    return this.#source;
  }
}

function mapped(address: string): Uint8Array {
  const bytes = new Uint8Array(16);
  writeMapped(ip(address), bytes, 0);
  return bytes;
}

function handshakeHeader(remoteIndex: number, counter: number, body: Uint8Array): Uint8Array {
  const packet = new Uint8Array(16 + body.length);
  writeHeader(new DataView(packet.buffer), 0, MessageType.Handshake, 0, 0, remoteIndex, 0, counter);
  packet.set(body, 16);
  return packet;
}

/** First messages of 500 hosts each; how many reach the primary. Only their shape counts here, so nothing is signed. */
function manyHosts(bench: Bench, hundreds: number, from: (n: number) => string): number {
  let admitted = 0;
  const packet = new Uint8Array(replayed);
  const at = Buffer.from(packet).indexOf(Buffer.from([0x87, 0x80, 0xa8, 0x51]));
  expect(at).to.be.above(16);
  for (let n = 0; n < 500; n++) {
    // The address 10.42.x.y as a varint of protobuf.
    const word = ((10 << 24) | (42 << 16) | (hundreds * 512 + n)) >>> 0;
    packet.set(
      [word & 0x7f, (word >>> 7) & 0x7f, (word >>> 14) & 0x7f, (word >>> 21) & 0x7f].map((b) => b | 0x80),
      at,
    );
    admitted += Number(bench.handshake(packet, from(n)));
  }
  return admitted;
}

describe('strangers', () => {
  it('keep garbage and foreign certificates from the primary, but for a few that the log can tell of', () => {
    const bench = new Bench();
    const foreigner = firstMessage(bench.random, foreign.identity('x', ['10.42.0.9/24']));
    let [garbage, foreigners] = [0, 0];
    for (let n = 0; n < 3000; n++) {
      const packet = handshakeHeader(0, 1, bench.random.bytes(n % 900));
      garbage += Number(bench.handshake(packet, '192.0.2.66', n));
      foreigners += Number(bench.handshake(foreigner, '192.0.2.66', n));
    }
    expect(garbage + foreigners).to.equal(10);
    expect(bench.counted('drop.rx.handshake_malformed')).to.equal(3000 - garbage);
    expect(bench.counted('drop.rx.handshake_unknown_ca')).to.equal(3000 - foreigners);
    expect(bench.handshake(firstMessage(bench.random, honest), '192.0.2.66')).to.equal(true);
  });

  for (const [family, attacker, other] of [
    [SocketFamily.Ipv4, '192.0.2.66', '192.0.2.67'],
    [SocketFamily.Ipv6, '192.0.2.66', '192.0.2.67'],
    [SocketFamily.Ipv6, '2001:db8::66', '2001:db8:0:1::66'],
  ] as const) {
    it(`limit what one address replays, whatever the port, to a host's own pace: ${attacker}, family ${family}`, () => {
      const bench = new Bench(family);
      let admitted = 0;
      for (let ms = 0; ms < 10_000; ms++) {
        bench.nowMs++;
        admitted += Number(bench.handshake(ms % 2 === 0 ? replayed : fresh[ms % fresh.length], attacker, ms));
        if (ms % 500 === 499) {
          // Another host behind the same address, and the same host at another one.
          expect(bench.handshake(firstMessage(bench.random, peer), attacker), `after ${ms} ms`).to.equal(true);
          expect(bench.handshake(firstMessage(bench.random, honest), other), `after ${ms} ms`).to.equal(true);
        }
      }
      expect(admitted).to.be.within(28, 31);
      expect(bench.counted('drop.rx.host_limit')).to.equal(10_000 - admitted);
    });
  }

  it('let many hosts of one address come back at once, but not without end', () => {
    const bench = new Bench();
    expect(manyHosts(bench, 0, () => '192.0.2.66')).to.equal(400);
    bench.nowMs += 1000;
    expect(manyHosts(bench, 1, () => '192.0.2.66')).to.equal(400);
    expect(bench.counted('drop.rx.source_limit')).to.be.above(100);
  });

  it('take an IPv6 sender by its /64', () => {
    const bench = new Bench(SocketFamily.Ipv6);
    expect(manyHosts(bench, 0, (n) => `2001:db8::${n.toString(16)}`)).to.equal(400);
    expect(manyHosts(bench, 1, (n) => `2001:db8:0:1::${n.toString(16)}`)).to.equal(100);
    expect(bench.counted('drop.rx.punt_limit')).to.equal(300);
  });

  it('have quotas apart: forged senders without end keep out neither a peer, another host, answers nor recv_errors', () => {
    const bench = new Bench();
    bench.connectPeer('192.0.2.8');
    bench.tables.indexes.announce(0x1234);
    const forged = firstMessage(bench.random, peer);
    let admitted = 0;
    for (let n = 0; n < 20_000; n++) {
      admitted += Number(bench.handshake(forged, `198.18.${n >>> 8}.${n & 0xff}`));
    }
    expect(admitted).to.equal(40);
    expect(bench.counted('drop.rx.host_limit')).to.equal(19_960);
    expect(bench.handshake(firstMessage(bench.random, peer), '192.0.2.8', 9)).to.equal(true);
    expect(bench.handshake(firstMessage(bench.random, peer), '192.0.2.9'), 'from elsewhere').to.equal(false);
    expect(bench.handshake(firstMessage(bench.random, honest), '192.0.2.9')).to.equal(true);
    expect(bench.handshake(handshakeHeader(0x1234, 2, new Uint8Array(200)), '192.0.2.8')).to.equal(true);
    expect(bench.recvError('192.0.2.8')).to.equal(true);
  });

  it('drop answers that nobody waits for', () => {
    const bench = new Bench();
    let admitted = 0;
    for (let n = 0; n < 1000; n++) {
      admitted += Number(bench.handshake(handshakeHeader(1 + n, 2, new Uint8Array(200)), '192.0.2.8'));
    }
    expect(admitted).to.equal(10);
    expect(bench.counted('drop.rx.handshake_unexpected')).to.equal(990);
  });

  it('limits recv_errors of one address', () => {
    const bench = new Bench();
    let admitted = 0;
    for (let ms = 0; ms < 10_000; ms++) {
      bench.nowMs++;
      admitted += Number(bench.recvError('192.0.2.8'));
    }
    expect(admitted).to.be.within(115, 121);
    expect(bench.recvError('192.0.2.9')).to.equal(true);
  });

  it('are decided without an allocation', () => {
    for (const family of [SocketFamily.Ipv4, SocketFamily.Ipv6]) {
      const bench = new Bench(family);
      bench.connectPeer('192.0.2.8');
      for (const packet of [
        firstMessage(bench.random, peer),
        firstMessage(bench.random, honest),
        new Uint8Array(300),
      ]) {
        bench.handshake(packet, '192.0.2.8');
        expect(least(3, () => bench.growth(packet.length))).to.be.below(4);
      }
    }
  });
});
