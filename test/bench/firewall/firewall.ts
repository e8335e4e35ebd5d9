/**
 * Nanoseconds per packet in the firewall: `node build/test/bench/firewall/firewall.js`.
 *
 * One packet = one `check` of a parsed tuple, counters included. "2 processes" runs two forked processes on the same
 * flows of one table in a memfd at the same time and shows their mean. The figures of one run are comparable with each
 * other; those of different machines, or of a busy one, are not.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PeerView } from '../../../src/shared/firewall/peerView.ts';
import { PacketTuple, parsePacket } from '../../../src/shared/ip/packetTuple.ts';
import { ConntrackTable } from '../../../src/shared/memory/conntrackTable.ts';
import { firewallCounterCells } from '../../../src/shared/memory/firewallCounters.ts';
import { createSharedMemory, mapSharedMemory } from '../../../src/shared/sys/sharedMemory.ts';
import { Firewall } from '../../../src/worker/datapath/firewall.ts';
import { RoutineCache } from '../../../src/worker/datapath/routineCache.ts';
import { ownIdentity, peerView, rulesOf, tupleOf } from '../../shared/firewall/certificates.ts';
import { ipv4, ipv6, udp, viewOf } from '../../shared/firewall/packets.ts';

type Family = 4 | 6;

type Task =
  | { readonly kind: 'parse'; readonly family: Family }
  | { readonly kind: 'hit'; readonly family: Family; readonly flows: number; readonly hasCache: boolean }
  | { readonly kind: 'first'; readonly family: Family; readonly rules: number; readonly isForPeer: boolean };

const capacity = 131_072;
const memoryFd = 4;
const timeouts = { tcpMs: 720_000, udpMs: 180_000, defaultMs: 600_000 };
const own = ownIdentity({ networks: ['10.42.0.1/16', 'fd42::1/64'] });
const peers: Readonly<Record<Family, PeerView>> = {
  4: peerView({ networks: ['10.42.0.2/16'], groups: ['web'] }, own),
  6: peerView({ networks: ['fd42::2/64'], groups: ['web'] }, own),
};

function newTuple(family: Family, localPort: number, remotePort: number): PacketTuple {
  const [local, remote] = family === 4 ? ['10.42.0.1', '10.42.0.2'] : ['fd42::1', 'fd42::2'];
  return tupleOf({ local, remote, protocol: 6, localPort, remotePort });
}

/** Nanoseconds per call: the best of many short rounds, because other programs can only slow a round down. */
function measure(calls: number, rounds: number, run: (calls: number) => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    run(calls);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / calls);
  }
  return best;
}

function measureHits(buffer: ArrayBufferLike, owner: number, task: Task & { kind: 'hit' }): number {
  const cache = new RoutineCache(task.hasCache ? 1000 : 0);
  const firewall = new Firewall({
    own,
    rules: rulesOf({ inbound: [{ port: 443, proto: 'tcp', group: 'web' }] }),
    timeouts,
    conntrack: new ConntrackTable(buffer, 0, capacity, owner),
    cache,
    counters: new Float64Array(firewallCounterCells()),
  });
  const peer = peers[task.family];
  const tuples = Array.from({ length: task.flows }, (_, flow) => newTuple(task.family, 443, flow));
  let tick = 0;
  return measure(Math.max(20_000, task.flows * 2), Math.max(8, Math.min(100, 1_000_000 / task.flows)), (calls) => {
    tick++;
    cache.tick(tick, tick * 1000);
    for (let call = 0; call < calls; call++) {
      firewall.check(tuples[call % task.flows], peer, true, 1000 + tick);
    }
  });
}

/** Every packet opens a flow; of the rules only the last one matches it. */
function measureFirst(family: Family, count: number, isForPeer: boolean): number {
  const others = Array.from({ length: count - 1 }, (_, index) => ({
    port: 2000 + index,
    proto: 'tcp',
    group: isForPeer ? 'web' : `group-${index}`,
  }));
  const conntrack = new ConntrackTable(new SharedArrayBuffer(ConntrackTable.byteLength(capacity)), 0, capacity, 1);
  conntrack.initialize(77);
  const firewall = new Firewall({
    own,
    rules: rulesOf({ inbound: [...others, { port: '10000-20000', proto: 'tcp', group: 'web' }] }),
    timeouts,
    conntrack,
    cache: new RoutineCache(0),
    counters: new Float64Array(firewallCounterCells(count)),
  });
  const peer = peers[family];
  const tuple = newTuple(family, 10_000, 0);
  let nowSeconds = 0;
  return measure(20_000, 30, (calls) => {
    // The flows of the round before are over.
    nowSeconds += 1000;
    for (let call = 0; call < calls; call++) {
      tuple.remotePort = call & 0xffff;
      tuple.localPort = 10_000 + (call >> 16);
      firewall.check(tuple, peer, true, nowSeconds);
    }
  });
}

function measureParse(family: Family): number {
  const bytes =
    family === 4
      ? ipv4({ source: '10.42.0.2', destination: '10.42.0.1', protocol: 17, payload: udp(1, 2) })
      : ipv6({ source: 'fd42::2', destination: 'fd42::1', nextHeader: 17, payload: udp(1, 2) });
  const view = viewOf(bytes);
  const tuple = new PacketTuple();
  return measure(50_000, 100, (calls) => {
    for (let call = 0; call < calls; call++) {
      parsePacket(bytes, view, 0, bytes.length, true, tuple);
    }
  });
}

/** Runs a task in fresh processes at the same time, as workers are; returns their mean. */
async function runIn(processes: number, fd: number, task: Task): Promise<number> {
  const script = fileURLToPath(import.meta.url);
  const children: ChildProcess[] = Array.from({ length: processes }, () =>
    fork(script, { stdio: ['ignore', 'inherit', 'inherit', 'ipc', fd] }),
  );
  await Promise.all(children.map((child) => once(child, 'message')));
  const answers = children.map((child) => once(child, 'message'));
  for (const [index, child] of children.entries()) {
    child.send({ owner: index + 1, task });
  }
  const figures = await Promise.all(answers);
  return figures.reduce((sum, [figure]) => sum + Number(figure), 0) / processes;
}

async function main(): Promise<void> {
  const memory = createSharedMemory('bench-conntrack', ConntrackTable.byteLength(capacity));
  new ConntrackTable(memory.buffer, 0, capacity, 9).initialize(4711);
  const row = async (title: string, processes: number, taskOf: (family: Family) => Task) => {
    const figures = [await runIn(processes, memory.fd, taskOf(4)), await runIn(processes, memory.fd, taskOf(6))];
    console.log(`| ${title.padEnd(52)} |${figures.map((figure) => `${figure.toFixed(1).padStart(8)} |`).join('')}`);
  };
  console.log(`Node ${process.version}; nanoseconds per packet, best round\n`);
  console.log(`| ${'case'.padEnd(52)} |${'IPv4'.padStart(8)} |${'IPv6'.padStart(8)} |`);
  console.log(`|${'-'.repeat(54)}|${'-'.repeat(8)}:|${'-'.repeat(8)}:|`);
  await row('parsing the tuple (not contained below)', 1, (family) => ({ kind: 'parse', family }));
  for (const flows of [16, 4096, 65_536]) {
    for (const hasCache of [true, false]) {
      for (const processes of [1, 2]) {
        const name = hasCache ? 'routine cache on' : 'shared table only';
        const title = `${flows} flows, ${name}, ${processes} process${processes > 1 ? 'es' : ''}`;
        await row(title, processes, (family) => ({ kind: 'hit', family, flows, hasCache }));
      }
    }
  }
  for (const isForPeer of [false, true]) {
    for (const rules of [10, 100, 1000]) {
      const title = `first packet, ${rules} rules, the others for other ${isForPeer ? 'ports' : 'peers'}`;
      await row(title, 1, (family) => ({ kind: 'first', family, rules, isForPeer }));
    }
  }
}

function perform(buffer: ArrayBufferLike, owner: number, task: Task): number {
  switch (task.kind) {
    case 'parse':
      return measureParse(task.family);
    case 'hit':
      return measureHits(buffer, owner, task);
    case 'first':
      return measureFirst(task.family, task.rules, task.isForPeer);
  }
}

if (process.send === undefined) {
  await main();
} else {
  const memory = mapSharedMemory(memoryFd);
  process.once('message', (message) => {
    const { owner, task } = message as { owner: number; task: Task };
    process.send?.(perform(memory.buffer, owner, task), () => process.exit(0));
  });
  process.send('ready');
}
