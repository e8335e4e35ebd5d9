/**
 * Traffic through a tunnel by the standard tools, with results as numbers: ping, and iperf3 for TCP and UDP.
 *
 * A server listens before its client starts (the kernel's socket table is looked at), and both are ended by the lab when
 * a test fails in between.
 */
import type { Lab, Namespace } from '../../src/primary/cli/demo/lab.ts';
import type { Program } from '../../src/primary/cli/demo/program.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { isListening } from './procfs.ts';

export interface PingOptions {
  readonly count?: number;
  readonly intervalMs?: number;
  /** ICMP payload; the IPv4 packet is 28 bytes longer. */
  readonly payloadBytes?: number;
  /** Sets "don't fragment", so that a packet over the device's MTU is refused. */
  readonly noFragment?: boolean;
  /** Answers are awaited this long after the last packet: 10 unless told otherwise. */
  readonly patienceSeconds?: number;
}

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  readonly duplicates: number;
  readonly rttMs: readonly number[];
}

export async function ping(lab: Lab, from: Namespace, to: string, options: PingOptions = {}): Promise<PingResult> {
  const { count = 3, intervalMs = 100, patienceSeconds = 10 } = options;
  const words = ['ping', '-n', '-c', String(count), '-i', String(intervalMs / 1000)];
  words.push('-s', String(options.payloadBytes ?? 56), '-W', String(patienceSeconds));
  if (count > 1) {
    // By -W alone ping awaits the first answer; once it has one, the others only for twice the longest round trip.
    words.push('-w', String(Math.ceil(((count - 1) * intervalMs) / 1000) + patienceSeconds));
  }
  if (options.noFragment === true) {
    words.push('-M', 'do');
  }
  const outcome = await lab.run(from, [...words, to], 120_000);
  return parsePing(outcome.stdout, count);
}

/** Of the first `count` packets: with -w, ping sends more while an answer is missing. */
export function parsePing(text: string, count: number): PingResult {
  const summary = /(\d+) packets transmitted/.exec(text);
  const answers = [...text.matchAll(/ bytes from .* icmp_seq=(\d+) .*time=([\d.]+) ms(?! \(DUP!\))/g)];
  const times = answers.filter((match) => Number(match[1]) <= count).map((match) => Number(match[2]));
  return {
    sent: Math.min(count, Number(summary?.[1] ?? 0)),
    received: times.length,
    duplicates: Number(/\+(\d+) duplicates/.exec(text)?.[1] ?? 0),
    rttMs: times,
  };
}

/** Pings until one answer has come: the tunnel stands. */
export async function untilReachable(lab: Lab, from: Namespace, to: string, timeoutMs: number = 30_000): Promise<void> {
  await until(
    `${to} to answer a ping from ${from.label}`,
    async () => (await ping(lab, from, to, { count: 1, patienceSeconds: 1 })).received === 1,
    timeoutMs,
  );
}

export interface StreamOptions {
  readonly seconds?: number;
  /** Instead of a time: so many bytes of all streams together, or (UDP) so many datagrams. */
  readonly amount?: number;
  readonly streams?: number;
  /** The server sends. */
  readonly reverse?: boolean;
  /** UDP at this rate; 0 is as fast as the sender can. Absent: TCP. */
  readonly udpBitsPerSecond?: number;
  /** Payload of one UDP datagram. */
  readonly datagramBytes?: number;
  /** Of both ends; the kernel's default without it. */
  readonly socketBufferBytes?: number;
  readonly reportIntervalSeconds?: number;
  readonly port?: number;
}

export interface StreamResult {
  readonly bitsPerSecond: number;
  readonly bytes: number;
  readonly seconds: number;
  /** TCP: of the senders. */
  readonly retransmits: number;
  /** UDP: datagrams sent and those that did not arrive. */
  readonly packets: number;
  readonly lostPackets: number;
  readonly intervalBytes: readonly number[];
}

const IPERF_PORT = 5201;

/** One run of iperf3: a server in `to` bound to `address`, a client in `from`. */
export async function stream(
  lab: Lab,
  from: Namespace,
  to: Namespace,
  address: string,
  options: StreamOptions = {},
): Promise<StreamResult> {
  const port = options.port ?? IPERF_PORT;
  const seconds = options.seconds ?? 2;
  const server = await startIperfServer(lab, to, address, port);
  const words = ['iperf3', '-J', '-c', address, '-p', String(port)];
  if (options.amount === undefined) {
    words.push('-t', String(seconds));
  } else {
    words.push(options.udpBitsPerSecond === undefined ? '-n' : '-k', String(options.amount));
  }
  words.push('-P', String(options.streams ?? 1), '-i', String(options.reportIntervalSeconds ?? 1));
  if (options.socketBufferBytes !== undefined) {
    words.push('-w', String(options.socketBufferBytes));
  }
  if (options.reverse === true) {
    words.push('-R');
  }
  if (options.udpBitsPerSecond !== undefined) {
    words.push('-u', '-b', String(options.udpBitsPerSecond), '-l', String(options.datagramBytes ?? 1200));
  }
  const outcome = await lab.run(from, words, (seconds + 25) * 1000);
  await server.stop(1_000);
  return parseIperf(outcome.stdout);
}

export async function startIperfServer(
  lab: Lab,
  namespace: Namespace,
  address: string,
  port: number,
): Promise<Program> {
  const server = lab.start(namespace, ['iperf3', '-s', '-1', '-B', address, '-p', String(port)]);
  await until(`iperf3 to listen on port ${port}`, () => isListening(server.pid, port));
  return server;
}

/** Reads the client's JSON report; throws with iperf3's own words when the run failed. */
export function parseIperf(text: string): StreamResult {
  const report = parseReport(text);
  if (report.error !== undefined) {
    throw new Error(`iperf3: ${report.error}`);
  }
  const end = report.end ?? {};
  const received = end.sum_received ?? end.sum ?? {};
  return {
    bitsPerSecond: received.bits_per_second ?? 0,
    bytes: received.bytes ?? 0,
    seconds: received.seconds ?? 0,
    retransmits: end.sum_sent?.retransmits ?? 0,
    packets: end.sum?.packets ?? 0,
    lostPackets: end.sum?.lost_packets ?? 0,
    intervalBytes: (report.intervals ?? []).map((interval) => interval.sum?.bytes ?? 0),
  };
}

interface IperfSum {
  readonly bits_per_second?: number;
  readonly bytes?: number;
  readonly seconds?: number;
  readonly retransmits?: number;
  readonly packets?: number;
  readonly lost_packets?: number;
}

interface IperfReport {
  readonly error?: string;
  readonly end?: { readonly sum?: IperfSum; readonly sum_sent?: IperfSum; readonly sum_received?: IperfSum };
  readonly intervals?: readonly { readonly sum?: IperfSum }[];
}

function parseReport(text: string): IperfReport {
  try {
    return JSON.parse(text) as IperfReport;
  } catch {
    throw new Error(`iperf3 gave no report: ${text.slice(0, 300)}`);
  }
}
