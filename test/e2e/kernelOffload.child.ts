/**
 * The kernel as oracle, run inside a network namespace of its own: super-packets go into one tun device, the kernel
 * routes them to another that takes none and so has to cut them itself. What comes out must be what our code makes of
 * them. Prints one JSON object.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Arena } from '../../src/shared/sys/arena.ts';
import { openTunQueues } from '../../src/shared/sys/tun.ts';
import { Coalescer } from '../../src/worker/offload/coalesce.ts';
import { Segmenter } from '../../src/worker/offload/segment.ts';
import { TunPort } from '../../src/worker/ports/tunPort.ts';
import { GsoType, VirtioFlag } from '../../src/worker/ports/virtio.ts';
import {
  buildPacket,
  fixChecksums,
  leavePartialChecksum,
  type PacketPlan,
  payloadStart,
  randomPlan,
  transportStart,
} from '../support/innerPackets.ts';
import { Random } from '../support/random.ts';

const Rounds = 300;
const arena = new Arena(8 << 20);
const { bytes } = arena;
const Super = arena.allocate(65536, 64);
const Cut = arena.allocate(65536, 64);
const Arrivals = arena.allocate(256 * 2048, 64);

const offloaded = openTunQueues({ name: 'in0', queues: 1, offloads: true });
const plain = openTunQueues({ name: 'out0', queues: 1, offloads: false });
configure();
const source = new TunPort(arena, { fd: offloaded.fds[0], vnetHeader: offloaded.offload.vnetHeader });
const target = new TunPort(arena, { fd: plain.fds[0], vnetHeader: false });
const segmenter = new Segmenter(arena, 1500);
const coalescer = new Coalescer(arena, source, { capacity: 256, joinsTcp: true, joinsUdp: true });

const random = new Random(77);
const faults: string[] = [];
let packetCount = 0;
let joinedWrites = 0;
for (let round = 0; round < Rounds; round++) {
  const plan = roundPlan();
  const headers = payloadStart(buildPacket({ ...plan, payload: new Uint8Array(0) }));
  // 60 less than the MTU allows: behind an extension header the kernel misjudges the length of the TCP header.
  const size = 200 + random.below(1500 - 60 - 200 - headers);
  const segments = cut(plan, size);
  packetCount += segments.length;
  compare(`cut ${describePlan(plan, size)}`, segments, writeSuper(plan, size));
  const writesBefore = source.writtenCount;
  compare(`join ${describePlan(plan, size)}`, segments, writeJoined(segments));
  joinedWrites += source.writtenCount - writesBefore;
}
console.log(
  JSON.stringify({ offload: offloaded.offload, packetCount, joinedWrites, drops: source.droppedCount, faults }),
);

function roundPlan(): PacketPlan {
  const plan = randomPlan(random, 1);
  return {
    ...plan,
    protocol: offloaded.offload.uso ? plan.protocol : 'tcp',
    payload: random.bytes(2000 + random.below(10000)),
    hosts: [1, 2],
    hopLimit: 64,
  };
}

/** What our segmenter makes of the packet. */
function cut(plan: PacketPlan, size: number): Uint8Array[] {
  const packet = buildPacket(plan);
  leavePartialChecksum(packet);
  bytes.set(packet, Cut);
  const count = segmenter.begin(
    Cut,
    packet.length,
    VirtioFlag.NeedsChecksum,
    gsoType(plan),
    size,
    transportStart(packet),
    field(plan),
  );
  return Array.from({ length: Math.max(count, 0) }, () => {
    segmenter.next();
    return bytes.slice(segmenter.offset, segmenter.offset + segmenter.length);
  });
}

function writeSuper(plan: PacketPlan, size: number): Uint8Array[] {
  const packet = buildPacket(plan);
  leavePartialChecksum(packet);
  bytes.set(packet, Super);
  source.beginGather();
  source.addPiece(Super, packet.length);
  source.finishGather(
    VirtioFlag.NeedsChecksum,
    gsoType(plan),
    payloadStart(packet),
    size,
    transportStart(packet),
    field(plan),
  );
  return received();
}

function writeJoined(segments: readonly Uint8Array[]): Uint8Array[] {
  segments.forEach((segment, index) => {
    bytes.set(segment, Arrivals + index * 2048);
    coalescer.add(Arrivals + index * 2048, segment.length, 1, 0, index);
  });
  coalescer.flush();
  return received();
}

/** Everything that waits on the plain device for the target host; router advertisements and the like are left out. */
function received(): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let count = target.receive(128); count > 0; count = target.receive(128)) {
    for (let index = 0; index < count; index++) {
      const packet = bytes.slice(target.offsets[index], target.offsets[index] + target.lengths[index]);
      const isOurs = packet[0] >> 4 === 4 ? packet[19] === 2 : packet[24] === 0xfd && packet[39] === 2;
      packets.push(...(isOurs ? [packet] : []));
    }
  }
  return packets;
}

function compare(what: string, segments: readonly Uint8Array[], found: readonly Uint8Array[]): void {
  const expected = segments.map(afterHop).map(hex);
  const actual = found.map(hex);
  const wrong = expected.findIndex((text, index) => text !== actual[index]);
  if (expected.length !== actual.length || wrong >= 0) {
    const detail = wrong < 0 ? '' : `: ${expected[wrong].slice(0, 160)} became ${actual[wrong]?.slice(0, 160)}`;
    faults.push(`${what}: ${expected.length} packets, kernel made ${actual.length}${detail}`);
  }
}

/** The packet behind a router. */
function afterHop(packet: Uint8Array): Uint8Array {
  const copy = packet.slice();
  copy[copy[0] >> 4 === 4 ? 8 : 7]--;
  fixChecksums(copy);
  return copy;
}

function gsoType(plan: PacketPlan): number {
  return plan.protocol === 'udp' ? GsoType.Udp : plan.version === 4 ? GsoType.Tcp4 : GsoType.Tcp6;
}

function field(plan: PacketPlan): number {
  return plan.protocol === 'udp' ? 6 : 16;
}

function describePlan(plan: PacketPlan, size: number): string {
  return `${plan.protocol} over IPv${plan.version}, ${plan.payload.length} by ${size}`;
}

function configure(): void {
  for (const device of ['in0', 'out0']) {
    execFileSync('ip', ['link', 'set', device, 'mtu', '1500', 'up']);
    writeFileSync(`/proc/sys/net/ipv4/conf/${device}/rp_filter`, '0');
  }
  writeFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', '0');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
  execFileSync('ip', ['route', 'add', '10.42.0.1/32', 'dev', 'in0']);
  execFileSync('ip', ['route', 'add', '10.42.0.2/32', 'dev', 'out0']);
  execFileSync('ip', ['-6', 'route', 'add', 'fd42::1/128', 'dev', 'in0']);
  execFileSync('ip', ['-6', 'route', 'add', 'fd42::2/128', 'dev', 'out0']);
}

function hex(packet: Uint8Array): string {
  return Buffer.from(packet).toString('hex');
}
