/**
 * What is measured of a running candidate, as numbers by name. Every throughput is what has ARRIVED, as iperf3's receiver
 * counts it; processor time is that of the tunnel's own processes, not of the traffic generators.
 */
import { memoryOf, runSeconds } from '../support/procfs.ts';
import { type PingResult, ping, type StreamOptions, type StreamResult, stream } from '../support/traffic.ts';
import { growth, WorkerMetrics } from '../support/workerMetrics.ts';
import type { Contest } from './contest.ts';
import { datagramMeasures, measureDatagrams } from './datagrams.ts';
import { measureHandshakes } from './handshakes.ts';
import { cost, gain, type Measure, median, type Plan, type Values } from './measure.ts';

/** In the order of the table. UDP measures depend on the plan's sizes. */
export function measuresOf(plan: Plan): Measure[] {
  return [
    ...['TCP 1 stream', 'TCP 1 stream reverse', 'TCP 4 streams', 'TCP 4 streams reverse'].map((name) =>
      gain(name, 'Mbit/s', 0),
    ),
    ...datagramMeasures(plan.datagramBytes),
    cost('ping idle, median', 'ms', 3),
    cost('ping under load, median', 'ms', 3),
    cost('CPU of the sending side', 's/GB', 2),
    cost('CPU of the receiving side', 's/GB', 2),
    cost('CPU of both sides', 's/GB', 2),
    cost('memory of one node, RSS', 'MB', 0),
    cost('memory of one node, Pss', 'MB', 0),
    cost('memory of the primary, RSS', 'MB', 0),
    cost('memory of the primary, Pss', 'MB', 0),
    cost('memory of the workers, RSS', 'MB', 0),
    cost('memory of the workers, Pss', 'MB', 0),
    cost('busier worker of the sending side, 8 flows', '%', 0),
    cost('busier worker of the receiving side, 8 flows', '%', 0),
    gain('handshakes answered', '1/s', 0),
    cost('CPU of the responder per handshake', 'ms', 2),
    cost('CPU of the initiator per handshake', 'ms', 2),
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
  await measureDatagrams(contest, plan, values);
  values['ping idle, median'] = median((await pings(contest, plan)).rttMs);
  await measureUnderLoad(contest, plan, values);
  await measureShares(contest, plan, values);
  const handshakes = await measureHandshakes(contest, plan.handshakeCount);
  if (handshakes !== null) {
    values['handshakes answered'] = handshakes.perSecond;
    values['CPU of the responder per handshake'] = handshakes.responderMs;
    if (contest.clientPids().length > 1) {
      // The initiator is weft's in every case: it counts where weft is the candidate.
      values['CPU of the initiator per handshake'] = handshakes.initiatorMs;
    }
  }
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
  const [primary, ...workers] = contest.clientPids();
  const parts = {
    'one node': primary === undefined ? [] : [primary, ...workers],
    'the primary': workers.length === 0 ? [] : [primary],
    'the workers': workers,
  };
  for (const [part, pids] of Object.entries(parts)) {
    if (pids.length > 0) {
      const { rssBytes, pssBytes } = memoryOf(pids);
      values[`memory of ${part}, RSS`] = rssBytes / 1e6;
      values[`memory of ${part}, Pss`] = pssBytes / 1e6;
    }
  }
  await streaming;
}

/** How eight TCP streams through one tunnel are shared out, where a node has several workers. */
async function measureShares(contest: Contest, plan: Plan, values: { [measure: string]: number }): Promise<void> {
  const [[client, ...workers], [server]] = [contest.clientPids(), contest.serverPids()];
  if (workers.length < 2) {
    return;
  }
  const ends = [new WorkerMetrics(client), new WorkerMetrics(server)];
  try {
    const read = (): number[][] => [ends[0].read('messages.tx.message'), ends[1].read('messages.rx.message')];
    const before = read();
    await run(contest, plan, { streams: 8 });
    const [sending, receiving] = read().map((counts, end) => percentOfBusiest(growth(before[end], counts)));
    values['busier worker of the sending side, 8 flows'] = sending;
    values['busier worker of the receiving side, 8 flows'] = receiving;
  } finally {
    for (const end of ends) {
      end.close();
    }
  }
}

function percentOfBusiest(counts: readonly number[]): number {
  return (Math.max(...counts) / counts.reduce((sum, count) => sum + count, 0)) * 100;
}

function run(contest: Contest, plan: Plan, options: StreamOptions): Promise<StreamResult> {
  return stream(contest.lab, contest.client, contest.server, contest.address, { seconds: plan.seconds, ...options });
}

function pings(contest: Contest, plan: Plan): Promise<PingResult> {
  const intervalMs = Math.max(2, Math.floor((plan.seconds * 800) / plan.pingCount));
  return ping(contest.lab, contest.client, contest.address, { count: plan.pingCount, intervalMs });
}
