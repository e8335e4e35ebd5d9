/**
 * How many queries one lighthouse answers in a second over real tunnels, with one worker and with two, and how much
 * memory it has when it knows many hosts.
 *
 *   node build/test/bench/lighthouse/answers.js [--quick] [--hosts N] [--json]
 *
 * Lighthouse and load are programs in two namespaces joined by one cable, on the same processors. So beside the rate
 * stands the processor time that a query takes the lighthouse's workers (receive, open, look up, encode, seal and send a
 * reply and a punch notification): its reciprocal is what a worker on a processor of its own could answer. Memory is
 * taken with `--hosts` hosts with a tunnel each, and once without any; what a host costs is the difference, and the
 * figure for 100 000 of them is calculated from it. Memory that several processes share counts once. The table of known
 * hosts is only a small part of that, so it is also filled by itself, in this process, with 100 000 hosts.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import type { MetricList } from '../../../src/primary/inspection/metrics.ts';
import { LighthouseHosts } from '../../../src/primary/lighthouse/hosts.ts';
import { endpointOf } from '../../../src/shared/ip/address.ts';
import { addressOfWords } from '../../../src/shared/ip/networkWords.ts';
import { LighthouseMessage } from '../../../src/shared/wire/lighthouseMessage.ts';
import { lighthouseTable, workerTurns } from '../../support/memories.ts';
import { type TestNode, WEFT_MAIN } from '../../support/nodes.ts';
import { memoryOf, runSeconds } from '../../support/procfs.ts';
import type { LoadResult } from './answersLoad.ts';
import { withManyHosts } from './manyHosts.ts';

interface Rate {
  readonly workers: number;
  readonly queriesPerSecond: number;
  /** Of all workers together. */
  readonly processorMicrosecondsPerQuery: number;
  readonly unansweredShare: number;
  readonly stalls: number;
}

interface Memory {
  readonly workers: number;
  readonly hosts: number;
  readonly emptyBytes: number;
  readonly bytesPerHost: number;
  readonly bytesAt100000: number;
}

const RATE_HOSTS = 64;
const TABLE_HOSTS = 100_000;

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    hosts: { type: 'string', default: '5000' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = options.quick ? 2 : 5;
const rates = [await measureRate(1), await measureRate(2)];
const memory = await measureMemory(options.quick ? 500 : Number(options.hosts));
const tableBytes = measureTable(TABLE_HOSTS);
if (options.json) {
  console.log(JSON.stringify({ node: process.version, arch: process.arch, rates, memory, tableBytes }, null, 2));
} else {
  print();
}

async function measureRate(workers: number): Promise<Rate> {
  return await withManyHosts({ workers, amLighthouse: true }, async ({ node: lighthouse, startLoad }) => {
    const load = startLoad(RATE_HOSTS, seconds);
    await load.waitForLine(/^begin/, 30_000);
    const [busySeconds, replies] = [runSeconds(lighthouse.workerPids()), repliesOf(lighthouse)];
    const line = await load.waitForLine(/^end/, 60_000);
    const result = JSON.parse(line.slice(4)) as LoadResult;
    const answered = repliesOf(lighthouse) - replies;
    return {
      workers,
      queriesPerSecond: Math.round(result.answers / 2 / result.seconds),
      processorMicrosecondsPerQuery: ((runSeconds(lighthouse.workerPids()) - busySeconds) / answered) * 1e6,
      unansweredShare: Math.max(0, 1 - result.answers / 2 / result.queries),
      stalls: result.stalls,
    };
  });
}

async function measureMemory(hosts: number): Promise<Memory> {
  return await withManyHosts({ workers: 1, amLighthouse: true }, async ({ node: lighthouse, startLoad }) => {
    const emptyBytes = memoryOf(lighthouse.allPids()).pssBytes;
    const load = startLoad(hosts, 0);
    await load.waitForLine(/^ready/, 30_000 + hosts * 10);
    await load.exited;
    const bytesPerHost = (memoryOf(lighthouse.allPids()).pssBytes - emptyBytes) / hosts;
    return { workers: 1, hosts, emptyBytes, bytesPerHost, bytesAt100000: emptyBytes + bytesPerHost * 100_000 };
  });
}

/** Resident bytes that the table and the primary's account of it take, with two reported endpoints a host. */
function measureTable(hostCount: number): number {
  const before = process.memoryUsage().rss;
  const table = lighthouseTable(131_072);
  const hosts = new LighthouseHosts(table, workerTurns(1));
  const message = new LighthouseMessage();
  for (let host = 0; host < hostCount; host++) {
    const [a0, a1, a2, a3] = [0, 0, 0xffff, 0x0a000000 + host];
    const address = addressOfWords(a0, a1, a2, a3);
    hosts.add([address], host, 1);
    hosts.learn(address, endpointOf(addressOfWords(0, 0, 0xffff, 0xc6336400 + host), 4242));
    message.reset();
    message.addV4(0xc0a80000 + host, 4242);
    message.addV4(0xac100000 + host, 4242);
    table.writeReported(table.lookup(a0, a1, a2, a3), 1, message);
  }
  if (hosts.count !== hostCount) {
    throw new Error(`the table took ${hosts.count} of ${hostCount} hosts`);
  }
  return process.memoryUsage().rss - before;
}

function repliesOf(lighthouse: TestNode): number {
  const name = 'lighthouse.tx.HostQueryReply';
  const words = [WEFT_MAIN, 'metrics', name, '-json', '-socket', lighthouse.socketPath];
  const { counters } = JSON.parse(spawnSync(process.execPath, words, { encoding: 'utf8' }).stdout) as MetricList;
  return counters.find((counter) => counter.name === name)?.total ?? 0;
}

function print(): void {
  console.log('workers   queries/s   processor µs/query   unanswered');
  for (const rate of rates) {
    const cost = rate.processorMicrosecondsPerQuery.toFixed(2);
    const lost = `${(rate.unansweredShare * 100).toFixed(2)} %`;
    console.log(
      `${rate.workers}`.padStart(7) + `${rate.queriesPerSecond}`.padStart(12) + cost.padStart(21) + lost.padStart(13),
    );
  }
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  console.log(
    `table of known hosts: ${mebibytes(tableBytes)} with ${TABLE_HOSTS}\n` +
      `memory: ${mebibytes(memory.emptyBytes)} without hosts, ${(memory.bytesPerHost / 1024).toFixed(1)} KiB a host ` +
      `(${memory.hosts} hosts), ${mebibytes(memory.bytesAt100000)} with 100 000`,
  );
}
