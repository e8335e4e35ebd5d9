/**
 * Carries packets through two data paths in a process of its own, as a worker is one: fresh machine code, and arenas
 * below 2^31, of which the many tests of one process use up all. Prints what it measured as JSON.
 *
 *     node --expose-gc walkAllocation.child.js KIND PROVIDER PACKETS
 *
 * Addresses, indexes and counters lie beyond 2^31, where a Number that leaves a function is boxed.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { Cipher } from '../../../src/shared/crypto/aead.ts';
import type { ProviderName } from '../../../src/shared/crypto/providerNames.ts';
import { GsoType } from '../../../src/worker/ports/virtio.ts';
import { ipv4, udp } from '../../shared/firewall/packets.ts';
import { makeCa, makeHost, prefixes } from '../../support/certificates.ts';
import { buildPacket } from '../../support/innerPackets.ts';
import { connect, MemoryWorker, type MemoryWorkerOptions } from '../../support/memoryWorker.ts';
import { Random } from '../../support/random.ts';

export interface WalkMeasurement {
  readonly bytesPerPacket: number;
  readonly collections: number;
  /** Writes to the tun device on the receiving side, and packets sent, since the start. */
  readonly writes: number;
  readonly packets: number;
}

const Left = '200.1.0.1';
const Right = '200.1.0.2';
const Tunnel = { indexes: [0xfedc_0000, 0xdead_0000], lastCounter: 2 ** 33 + 3e9, cipher: Cipher.Aes256Gcm } as const;
const Batch = 64;
/** Packets after which everything that will be compiled is. */
const Warm = 120_000;

const [kind, provider, packets] = process.argv.slice(2);
const [left, right] = planes({
  provider: provider as ProviderName,
  routineCacheMs: kind === 'cached' ? 1000 : 0,
  flowLabels: true,
  offload: { vnetHeader: true, tso: true, uso: true },
});
await measure(workOf(kind), Number(packets));

function workOf(name: string): () => number {
  const packet = ipv4({ source: Left, destination: Right, protocol: 17, payload: udp(4000, 7, 10) });
  const small = (): number => {
    for (let index = 0; index < Batch; index++) {
      left.tun.send(packet);
    }
    carry();
    return Batch;
  };
  const kept: unknown[] = [null];
  const wasteful = (): number => {
    for (let index = 0; index < Batch; index++) {
      kept[0] = { index };
    }
    return small();
  };
  const works: Record<string, () => number> = {
    small,
    wasteful,
    cached: small,
    tcp: superWork('tcp', GsoType.Tcp4, 16),
    udp: superWork('udp', GsoType.Udp, 6),
  };
  return works[name];
}

/** 32 segments at a time, cut on one side and joined on the other. */
function superWork(protocol: 'tcp' | 'udp', type: number, checksumOffset: number): () => number {
  const payload = new Uint8Array(32 * 1000).fill(0x5a);
  const packet = buildPacket({ version: 4, protocol, payload, flags: 16, sequence: 0xf000_0000 });
  // Segmentation makes every checksum anew.
  packet.set([200, 1, 0, 1, 200, 1, 0, 2], 12);
  return () => {
    left.tun.sendSuper(packet, type, 1000, 20, checksumOffset);
    carry();
    return 32;
  };
}

function planes(options: Partial<MemoryWorkerOptions>): [MemoryWorker, MemoryWorker] {
  const random = new Random(11);
  const ca = makeCa(random);
  const [first, second] = [Left, Right].map((address, index) => {
    const host = makeHost(random, ca, { networks: prefixes(`${address}/16`) });
    const peerUnderlay = `192.0.2.${2 - index}`;
    return new MemoryWorker({ host, underlay: `192.0.2.${1 + index}`, peerUnderlay, ...options });
  });
  connect(first, second, 0, Tunnel);
  first.tell({ type: 'tick', version: 1 });
  second.tell({ type: 'tick', version: 1 });
  second.tun.keeps = false;
  return [first, second];
}

function carry(): void {
  left.turn();
  left.udp.transfer(right.udp);
  right.turn();
}

/** `work` returns the packets that it handled. */
async function measure(work: () => number, count: number): Promise<void> {
  let handled = 0;
  while (handled < Warm) {
    handled += work();
  }
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length;
  });
  globalThis.gc?.();
  observer.observe({ entryTypes: ['gc'] });
  // Entries come by the event loop: those of the collection just asked for do not count.
  await turnOfLoop();
  collections = 0;
  const before = process.memoryUsage().heapUsed;
  const end = handled + count;
  while (handled < end) {
    handled += work();
  }
  const bytesPerPacket = (process.memoryUsage().heapUsed - before) / count;
  await turnOfLoop();
  observer.disconnect();
  const measured: WalkMeasurement = { bytesPerPacket, collections, writes: right.tun.writeCount, packets: handled };
  process.stdout.write(JSON.stringify(measured));
}

async function turnOfLoop(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
