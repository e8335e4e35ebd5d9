/**
 * Nanoseconds per packet of checksums, segmentation and coalescing: `node build/test/bench/segment.js`. Best of rounds.
 * Each with the sums of a worker's arena (WebAssembly) and with those in plain JavaScript, in turns.
 */
import { type PacketMemory, plainMemory } from '../../src/shared/ip/packetMemory.ts';
import { Arena } from '../../src/shared/sys/arena.ts';
import { Coalescer, type JoiningSink } from '../../src/worker/offload/coalesce.ts';
import { Segmenter } from '../../src/worker/offload/segment.ts';
import { GsoType, VirtioFlag } from '../../src/worker/ports/virtio.ts';
import { buildPacket, cutPacket, transportStart } from '../support/innerPackets.ts';

const Rounds = 30;
const arena = new Arena(1 << 20);
const { bytes } = arena;
const memories: readonly (readonly [string, PacketMemory])[] = [
  ['arena', arena],
  ['plain', plainMemory(bytes)],
];

let sunk = 0;
const sink: JoiningSink = {
  write: (_offset, length) => {
    sunk += length;
    return 0;
  },
  beginGather: () => {
    sunk++;
  },
  addPiece: (_offset, length) => {
    sunk += length;
    return true;
  },
  finishGather: () => 0,
};

for (const size of [20, 40, 100, 576, 1280]) {
  for (const [kind, { sum }] of memories) {
    report(`${kind}: checksum of ${size} bytes`, 1000, () => {
      for (let index = 0; index < 1000; index++) {
        sunk += sum((index & 15) * 4, size);
      }
    });
  }
}
for (const version of [4, 6] as const) {
  for (const [protocol, size] of [
    ['tcp', 1248],
    ['udp', 1248],
    ['udp', 100],
  ] as const) {
    for (const [kind, memory] of memories) {
      benchmark(kind, memory, version, protocol, size);
    }
  }
}
console.log(sunk > 0 ? '' : 'nothing done');

function benchmark(kind: string, memory: PacketMemory, version: 4 | 6, protocol: 'tcp' | 'udp', size: number): void {
  const count = Math.min(50, Math.floor(64000 / size));
  const packet = buildPacket({ version, protocol, payload: new Uint8Array(size * count).fill(0x5a), flags: 16 });
  const segmenter = new Segmenter(memory, 9000);
  const type = protocol === 'udp' ? GsoType.Udp : version === 4 ? GsoType.Tcp4 : GsoType.Tcp6;
  const start = transportStart(packet);
  const name = `${protocol} over IPv${version}, ${size} bytes`;
  bytes.set(packet, 64);
  // The super-packet is destroyed by the first cut; what remains costs the same to cut, once its head is put back.
  const head = packet.slice(0, 128);
  report(`${kind}: segment ${name}`, count * 20, () => {
    for (let turn = 0; turn < 20; turn++) {
      bytes.set(head, 64);
      const segments = segmenter.begin(64, packet.length, VirtioFlag.NeedsChecksum, type, size, start, 16);
      for (let index = 0; index < segments; index++) {
        segmenter.next();
        sunk += segmenter.length;
      }
    }
  });
  const coalescer = new Coalescer(memory, sink, { capacity: 4096, joinsTcp: true, joinsUdp: true });
  const segments = cutPacket(packet, size);
  segments.forEach((segment, index) => {
    bytes.set(segment, 64 + index * 2048);
  });
  const first = segments[0];
  report(`${kind}: coalesce ${name}`, count * 20, () => {
    for (let turn = 0; turn < 20; turn++) {
      bytes.set(first, 64);
      for (let index = 0; index < segments.length; index++) {
        coalescer.add(64 + index * 2048, segments[index].length, 1, 0, index);
      }
      coalescer.flush();
    }
  });
}

function report(name: string, packets: number, work: () => void): void {
  let bestNs = Infinity;
  for (let round = 0; round < Rounds; round++) {
    const start = process.hrtime.bigint();
    work();
    bestNs = Math.min(bestNs, Number(process.hrtime.bigint() - start) / packets);
  }
  console.log(`${name.padEnd(46)}${bestNs.toFixed(0).padStart(7)} ns`);
}
