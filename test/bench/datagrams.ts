/**
 * What is measured of a candidate with datagrams: overload, the highest rate nearly without loss, and processor time at a
 * fixed rate. The load's receiver has a large socket buffer in all of them, so that what is lost is lost by the candidate.
 */
import { readFileSync } from 'node:fs';
import { runSeconds } from '../support/procfs.ts';
import { type StreamResult, stream } from '../support/traffic.ts';
import type { Contest } from './contest.ts';
import { cost, gain, type Measure, type Plan } from './measure.ts';
import { highestRate } from './search.ts';

type Filling = { [measure: string]: number };

/** Datagrams per second at which processor time is compared. */
const FIXED_RATE = 40_000;
const LOSS_MAX = 0.005;

export function datagramMeasures(sizes: readonly number[]): Measure[] {
  return [
    ...sizes.map((bytes) => gain(delivered(bytes), 'kpps', 1)),
    ...sizes.flatMap((bytes) => [
      gain(carriedBy('sending', bytes), 'kpps', 1),
      gain(carriedBy('receiving', bytes), 'kpps', 1),
    ]),
    ...sizes.map((bytes) => gain(lossless(bytes), 'kpps', 1)),
    ...endsOf(sizes).flatMap((bytes) => [
      cost(cpuOf('sending', bytes), 'µs', 2),
      cost(cpuOf('receiving', bytes), 'µs', 2),
    ]),
  ];
}

export async function measureDatagrams(contest: Contest, plan: Plan, values: Filling): Promise<void> {
  for (const bytes of plan.datagramBytes) {
    await measureOverload(contest, plan, bytes, values);
  }
  for (const bytes of plan.datagramBytes) {
    const best = await highestRate(
      async (rate) => {
        const { packets, lostPackets, seconds } = await load(contest, bytes, plan.searchSeconds, rate);
        return { sent: packets / seconds, received: (packets - lostPackets) / seconds };
      },
      { first: FIXED_RATE, highest: 16 * FIXED_RATE, lossMax: LOSS_MAX, precision: plan.searchPrecision, attempts: 2 },
    );
    values[lossless(bytes)] = best / 1000;
  }
  for (const bytes of endsOf(plan.datagramBytes)) {
    await measureFixedRate(contest, plan, bytes, values);
  }
}

async function measureOverload(contest: Contest, plan: Plan, bytes: number, values: Filling): Promise<void> {
  const counters = contest.counters();
  try {
    const before = counters?.read();
    const udp = await load(contest, bytes, plan.seconds, 0);
    values[delivered(bytes)] = (udp.packets - udp.lostPackets) / udp.seconds / 1000;
    const after = counters?.read();
    if (before !== undefined && after !== undefined) {
      values[carriedBy('sending', bytes)] = (after.sent - before.sent) / udp.seconds / 1000;
      values[carriedBy('receiving', bytes)] = (after.received - before.received) / udp.seconds / 1000;
    }
  } finally {
    counters?.close();
  }
}

/** By datagram that arrived: one that is lost on the way has cost as well. */
async function measureFixedRate(contest: Contest, plan: Plan, bytes: number, values: Filling): Promise<void> {
  if (contest.clientPids().length === 0) {
    return;
  }
  const read = (): number[] => [runSeconds(contest.clientPids()), runSeconds(contest.serverPids())];
  const before = read();
  const { packets, lostPackets } = await load(contest, bytes, plan.seconds, FIXED_RATE);
  const [sending, receiving] = read().map((seconds, end) => ((seconds - before[end]) / (packets - lostPackets)) * 1e6);
  values[cpuOf('sending', bytes)] = sending;
  values[cpuOf('receiving', bytes)] = receiving;
}

/** `rate` in datagrams per second; 0 is as fast as the sender can. */
function load(contest: Contest, bytes: number, seconds: number, rate: number): Promise<StreamResult> {
  return stream(contest.lab, contest.client, contest.server, contest.address, {
    seconds,
    datagramBytes: bytes,
    udpBitsPerSecond: rate * bytes * 8,
    socketBufferBytes: socketBufferBytes(),
  });
}

/** 4 MiB, or what this machine allows (net.core.rmem_max, wmem_max): iperf3 refuses to run with less than it asked for. */
export function socketBufferBytes(): number {
  const limits = ['rmem_max', 'wmem_max'].map((name) => Number(readFileSync(`/proc/sys/net/core/${name}`, 'latin1')));
  return Math.min(4 * 1024 * 1024, ...limits);
}

function endsOf(sizes: readonly number[]): number[] {
  return [...new Set([sizes[0], sizes[sizes.length - 1]])];
}

function delivered(bytes: number): string {
  return `UDP ${bytes} B delivered`;
}

function carriedBy(side: 'sending' | 'receiving', bytes: number): string {
  return `UDP ${bytes} B carried by the ${side} node`;
}

function lossless(bytes: number): string {
  return `UDP ${bytes} B, highest rate with < ${LOSS_MAX * 100} % loss`;
}

function cpuOf(side: 'sending' | 'receiving', bytes: number): string {
  return `CPU of the ${side} side per ${bytes} B datagram at ${FIXED_RATE / 1000} kpps`;
}
