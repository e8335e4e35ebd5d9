/**
 * Nanoseconds and bytes of garbage per packet from tun to tun in memory, both sides together, without system calls:
 * `node build/test/bench/walk.js [PROVIDER]`. Shows what the arena gives: its place below 2^31, its checksum sums.
 *
 * Every variant runs in a process of its own, as a worker does; the variants take turns, and the best turn counts. Time
 * is CPU time, so that a busy machine disturbs less.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ProviderName } from '../../src/shared/crypto/providerNames.ts';
import { plainMemory, type SumFunction } from '../../src/shared/ip/packetMemory.ts';
import { METRIC } from '../../src/shared/memory/metrics.ts';
import { Arena } from '../../src/shared/sys/arena.ts';
import { GsoType } from '../../src/worker/ports/virtio.ts';
import { makeCa, makeHost, prefixes } from '../support/certificates.ts';
import { buildPacket } from '../support/innerPackets.ts';
import { connect, MEMORY_WORKER_ARENA_BYTES, MemoryWorker } from '../support/memoryWorker.ts';
import { Random } from '../support/random.ts';

/** Sums in JavaScript. */
class PlainArena extends Arena {
  readonly #plain: SumFunction = plainMemory(this.bytes).sum;

  override get sum(): SumFunction {
    return this.#plain;
  }
}

const HighBytes = 2 ** 31;
const Variants: Readonly<Record<string, () => Arena>> = {
  'low, wasm': () => new Arena(MEMORY_WORKER_ARENA_BYTES),
  'low, plain': () => new PlainArena(MEMORY_WORKER_ARENA_BYTES),
  'high, wasm': () => new Arena(HighBytes),
  'high, plain': () => new PlainArena(HighBytes),
};
const Kinds = ['small', 'tcp', 'udp'] as const;
type Kind = (typeof Kinds)[number];
const Turns = 3;
const Warm = 60_000;
const Packets = 100_000;

interface Measurement {
  readonly nanoseconds: number;
  readonly bytes: number;
}

const [given, kind, variant] = process.argv.slice(2);
const provider = (given ?? 'node-evp') as ProviderName;
if (variant === undefined) {
  contest();
} else {
  process.stdout.write(JSON.stringify(measure(kind as Kind, Variants[variant])));
}

function contest(): void {
  console.log(`${provider}, ns of CPU per packet (bytes of garbage)`);
  for (const each of Kinds) {
    const results = new Map<string, Measurement[]>(Object.keys(Variants).map((name) => [name, []]));
    for (let turn = 0; turn < Turns; turn++) {
      for (const [name, measured] of results) {
        measured.push(runAlone(each, name));
      }
    }
    const cells = [...results].map(([name, measured]) => {
      const best = measured.reduce((a, b) => (b.nanoseconds < a.nanoseconds ? b : a));
      return `${name} ${best.nanoseconds.toFixed(0)} (${best.bytes.toFixed(0)})`;
    });
    console.log(`${each.padEnd(6)}${cells.join('   ')}`);
  }
}

function runAlone(each: Kind, name: string): Measurement {
  // Room for all garbage of the run: its size is what the heap has grown by.
  const flags = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64'];
  const script = fileURLToPath(import.meta.url);
  const text = execFileSync(process.execPath, [...flags, script, provider, each, name], { encoding: 'utf8' });
  return JSON.parse(text) as Measurement;
}

function measure(each: Kind, makeArena: () => Arena): Measurement {
  const [left, right] = planes(makeArena);
  const work = workOf(each, left, right);
  for (let handled = 0; handled < Warm; ) {
    handled += work();
  }
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const start = process.cpuUsage();
  let handled = 0;
  while (handled < Packets) {
    handled += work();
  }
  const { user, system } = process.cpuUsage(start);
  const nanoseconds = ((user + system) * 1000) / handled;
  const bytes = (process.memoryUsage().heapUsed - before) / handled;
  if (right.metrics[METRIC['tun.tx.packets']] < handled) {
    throw new Error('packets were lost');
  }
  return { nanoseconds, bytes };
}

function workOf(each: Kind, left: MemoryWorker, right: MemoryWorker): () => number {
  const isTcp = each === 'tcp';
  const count = each === 'small' ? 64 : 32;
  const size = each === 'small' ? 72 : 1248;
  const payload = new Uint8Array(each === 'small' ? size : size * count).fill(0x5a);
  const packet = buildPacket({ version: 4, protocol: isTcp ? 'tcp' : 'udp', payload, flags: 16 });
  return () => {
    if (each === 'small') {
      for (let index = 0; index < count; index++) {
        left.tun.send(packet);
      }
    } else {
      left.tun.sendSuper(packet, isTcp ? GsoType.Tcp4 : GsoType.Udp, size, 20, isTcp ? 16 : 6);
    }
    left.turn();
    left.udp.transfer(right.udp);
    right.turn();
    return count;
  };
}

function planes(makeArena: () => Arena): [MemoryWorker, MemoryWorker] {
  const random = new Random(11);
  const ca = makeCa(random);
  const [left, right] = ['10.42.0.1', '10.42.0.2'].map((address, index) => {
    const host = makeHost(random, ca, { networks: prefixes(`${address}/16`) });
    const underlay = `192.0.2.${1 + index}`;
    const offload = { vnetHeader: true, tso: true, uso: true };
    return new MemoryWorker({
      host,
      underlay,
      peerUnderlay: `192.0.2.${2 - index}`,
      provider,
      offload,
      arena: makeArena(),
    });
  });
  connect(left, right, 0);
  right.tun.keeps = false;
  return [left, right];
}
