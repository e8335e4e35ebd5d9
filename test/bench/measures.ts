/**
 * What is measured of a running candidate, as numbers by name. Every throughput is what has ARRIVED, as iperf3's receiver
 * counts it; processor time is that of the tunnel's own processes, not of the traffic generators.
 */
import { memoryOf, runSeconds } from '../support/procfs.ts';
import { type PingResult, ping, type StreamOptions, type StreamResult, stream } from '../support/traffic.ts';
import type { Contest } from './contest.ts';

export interface Plan {
  /** Of every stream. */
  readonly seconds: number;
  readonly datagramBytes: readonly number[];
  readonly pingCount: number;
}

export interface Measure {
  readonly name: string;
  readonly unit: string;
  /** Decimals in the table. */
  readonly digits: number;
  /** Less is better: latency, processor time, memory. */
  readonly isCost: boolean;
}

export type Values = { readonly [measure: string]: number };

/** In the order of the table. UDP measures depend on the plan's sizes. */
export function measuresOf(plan: Plan): Measure[] {
  const udp = plan.datagramBytes.map((bytes) => gain(`UDP ${bytes} B delivered`, 'kpps', 1));
  return [
    ...['TCP 1 stream', 'TCP 1 stream reverse', 'TCP 4 streams', 'TCP 4 streams reverse'].map((name) =>
      gain(name, 'Mbit/s', 0),
    ),
    ...udp,
    cost('ping idle, median', 'ms', 3),
    cost('ping under load, median', 'ms', 3),
    cost('CPU of the sending side', 's/GB', 2),
    cost('CPU of the receiving side', 's/GB', 2),
    cost('CPU of both sides', 's/GB', 2),
    cost('memory of one node, RSS', 'MB', 0),
    cost('memory of one node, Pss', 'MB', 0),
  ];
}

/** Runs every measure once. What a candidate cannot have (the cable has no processes) is absent. */
export async function measure(contest: Contest, plan: Plan): Promise<Values> {
  const values: { [measure: string]: number } = {};
  const tcp = await measureCpu(contest, plan, values);
  values['TCP 1 stream'] = tcp.bitsPerSecond / 1e6;
  values['TCP 1 stream reverse'] = (await run(contest, plan, { reverse: true })).bitsPerSecond / 1e6;
  values['TCP 4 streams'] = (await run(contest, plan, { streams: 4 })).bitsPerSecond / 1e6;
  values['TCP 4 streams reverse'] = (await run(contest, plan, { streams: 4, reverse: true })).bitsPerSecond / 1e6;
  for (const datagramBytes of plan.datagramBytes) {
    const udp = await run(contest, plan, { datagramBytes, udpBitsPerSecond: 0 });
    values[`UDP ${datagramBytes} B delivered`] = (udp.packets - udp.lostPackets) / udp.seconds / 1000;
  }
  values['ping idle, median'] = median((await pings(contest, plan)).rttMs);
  await measureUnderLoad(contest, plan, values);
  return values;
}

/** One TCP stream, with the processor time of both ends beside it. */
async function measureCpu(contest: Contest, plan: Plan, values: { [measure: string]: number }): Promise<StreamResult> {
  const read = (): number[] => [runSeconds(contest.clientPids()), runSeconds(contest.serverPids())];
  const before = read();
  const result = await run(contest, plan, {});
  const [client, server] = read().map((seconds, end) => (seconds - before[end]) / (result.bytes / 1e9));
  if (contest.clientPids().length > 0) {
    values['CPU of the sending side'] = client;
    values['CPU of the receiving side'] = server;
    values['CPU of both sides'] = client + server;
  }
  return result;
}

/** Pings, and memory, while one TCP stream runs. */
async function measureUnderLoad(contest: Contest, plan: Plan, values: { [measure: string]: number }): Promise<void> {
  const streaming = run(contest, plan, {});
  values['ping under load, median'] = median((await pings(contest, plan)).rttMs);
  const pids = contest.clientPids();
  if (pids.length > 0) {
    const { rssBytes, pssBytes } = memoryOf(pids);
    values['memory of one node, RSS'] = rssBytes / 1e6;
    values['memory of one node, Pss'] = pssBytes / 1e6;
  }
  await streaming;
}

function run(contest: Contest, plan: Plan, options: StreamOptions): Promise<StreamResult> {
  return stream(contest.lab, contest.client, contest.server, contest.address, { seconds: plan.seconds, ...options });
}

function pings(contest: Contest, plan: Plan): Promise<PingResult> {
  const intervalMs = Math.max(2, Math.floor((plan.seconds * 800) / plan.pingCount));
  return ping(contest.lab, contest.client, contest.address, { count: plan.pingCount, intervalMs });
}

/** NaN of nothing. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function gain(name: string, unit: string, digits: number): Measure {
  return { name, unit, digits, isCost: false };
}

function cost(name: string, unit: string, digits: number): Measure {
  return { name, unit, digits, isCost: true };
}
