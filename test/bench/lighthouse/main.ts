/**
 * The lighthouse handler against the straightforward one: time and memory per request, by the number of known hosts.
 *
 *   node build/test/bench/lighthouse/main.js [--quick] [--json]
 *
 * Queried hosts are drawn from all known hosts, so at 100 000 of them each is cold in the caches; queriers are 64 busy
 * hosts, whose data the opening of their packet has just touched, and in the last case cold as well. Both handlers take
 * turns within a run and the best round counts, in processor time, since other programs share the machine. Before and after each timed
 * run the bytes that were sent are compared with those of the straightforward handler, and in the run their number.
 */
import { parseArgs } from 'node:util';
import { allocatedBytes, allocatedObjects } from './allocation.ts';
import { type Requests, World } from './world.ts';

interface Row {
  readonly hosts: number;
  readonly request: string;
  readonly handlerNs: number;
  readonly straightforwardNs: number;
  /** Of the handler, over at least a million requests. */
  readonly bytesPerRequest: number;
  readonly objectsPerRequest: number;
  readonly straightforwardBytesPerRequest: number;
  readonly straightforwardObjectsPerRequest: number;
}

const BUSY_HOSTS = 64;
const BATCH = 16_384;

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
});
const rounds = options.quick ? 4 : 40;
const rows = [10, 1000, 100_000].flatMap((hosts) => measureHosts(hosts));
if (options.json) {
  console.log(JSON.stringify({ node: process.version, arch: process.arch, rows }, null, 2));
} else {
  print(rows);
}

function measureHosts(hosts: number): Row[] {
  const world = new World(hosts, 1, 1);
  const busy = (requests: Requests): Requests => ({
    ...requests,
    senders: requests.senders.map((sender) => sender % BUSY_HOSTS),
  });
  const cases: [string, Requests][] = [
    ['not found', busy(world.queries(BATCH, false))],
    ['found', busy(world.queries(BATCH * 4, true))],
    ['update', world.updates(Array.from({ length: BATCH }, (_, index) => index % Math.min(hosts, BUSY_HOSTS)))],
    ['found, cold querier', world.queries(BATCH * 4, true)],
  ];
  return cases.map(([request, requests]) => measureCase(world, request, requests));
}

function measureCase(world: World, request: string, requests: Requests): Row {
  assertSameBytes(world, requests);
  const count = requests.offsets.length;
  const expected = sentBy(world, () => world.runHandler(requests));
  const ours = (): void => world.runHandler(requests);
  const fewer = first(requests, 8192);
  const theirs = (): void => world.runStraightforward(fewer);
  ours();
  let handlerNs = Number.POSITIVE_INFINITY;
  let straightforwardNs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    world.resetSent();
    handlerNs = Math.min(handlerNs, timed(ours) / count);
    if (world.sentCount !== expected.count || world.sentBytes !== expected.bytes) {
      throw new Error(`${request}: ${world.sentCount} messages sent in a timed run, not ${expected.count}`);
    }
    if (round % 8 === 0) {
      straightforwardNs = Math.min(straightforwardNs, timed(theirs) / fewer.bodies.length);
    }
  }
  assertSameBytes(world, requests);
  const repeats = Math.ceil((options.quick ? 200_000 : 1_000_000) / count);
  const few = first(requests, 2000);
  return {
    hosts: world.hostCount,
    request,
    handlerNs,
    straightforwardNs,
    bytesPerRequest: allocatedBytes(() => repeat(repeats, ours)) / (repeats * count),
    objectsPerRequest: allocatedObjects(() => world.runHandler(few)) / 2000,
    straightforwardBytesPerRequest: allocatedBytes(theirs) / fewer.bodies.length,
    straightforwardObjectsPerRequest: allocatedObjects(() => world.runStraightforward(few)) / 2000,
  };
}

/** Throws unless both handlers send the same messages to the same hosts for the first requests. */
function assertSameBytes(world: World, requests: Requests): void {
  const some = first(requests, 500);
  world.keeps = true;
  world.resetSent();
  world.runHandler(some);
  const ours = JSON.stringify(world.sent);
  world.resetSent();
  world.runStraightforward(some);
  if (ours !== JSON.stringify(world.sent)) {
    throw new Error('the handlers do not send the same bytes');
  }
  world.keeps = false;
  world.resetSent();
}

function first(requests: Requests, count: number): Requests {
  return { ...requests, offsets: requests.offsets.subarray(0, count), bodies: requests.bodies.slice(0, count) };
}

function sentBy(world: World, run: () => void): { readonly count: number; readonly bytes: number } {
  world.resetSent();
  run();
  return { count: world.sentCount, bytes: world.sentBytes };
}

/** Nanoseconds of processor time: waiting for other programs does not count. */
function timed(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1000;
}

function repeat(times: number, run: () => void): void {
  for (let index = 0; index < times; index++) {
    run();
  }
}

function print(measured: readonly Row[]): void {
  const cells = measured.map((row) => [
    String(row.hosts),
    row.request,
    `${row.handlerNs.toFixed(0)} ns`,
    `${row.straightforwardNs.toFixed(0)} ns`,
    `${(row.straightforwardNs / row.handlerNs).toFixed(1)}×`,
    `${row.bytesPerRequest.toFixed(2)} B, ${row.objectsPerRequest.toFixed(2)}`,
    `${row.straightforwardBytesPerRequest.toFixed(0)} B, ${row.straightforwardObjectsPerRequest.toFixed(0)}`,
  ]);
  const head = [
    'hosts',
    'request',
    'handler',
    'straightforward',
    'ratio',
    'handler allocates',
    'straightforward allocates',
  ];
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column].length)));
  for (const row of [head, ...cells]) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
  }
}
