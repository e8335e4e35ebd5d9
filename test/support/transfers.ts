/**
 * Transfers that prove what arrived: random bytes by TCP with a hash at both ends, numbered datagrams by UDP that the
 * receiver checks byte for byte. Both run as programs in the namespaces of a lab.
 */
import { fileURLToPath } from 'node:url';
import type { Lab, Namespace } from '../../src/primary/cli/demo/lab.ts';

/** Where a transfer begins and ends; `address` is of the receiving side. */
export interface Route {
  readonly lab: Lab;
  readonly from: Namespace;
  readonly to: Namespace;
  readonly address: string;
  /** Two transfers at a time into one namespace need two ports. */
  readonly port?: number;
}

export interface StreamDigest {
  readonly bytes: number;
  readonly sha256: string;
}

export interface DatagramPlan {
  readonly flows: number;
  /** Of each flow. */
  readonly count: number;
  readonly payloadBytesMax: number;
}

export interface DatagramReport {
  readonly sent: number;
  readonly emptySent: number;
  /** The longest that was sent. */
  readonly maxBytes: number;
  readonly received: number;
  readonly emptyReceived: number;
  /** Came behind a later one of the same flow, or twice. */
  readonly reordered: number;
  readonly corrupt: number;
  /** Of no flow that was sent, or from another port. */
  readonly strange: number;
  /** Flows whose end came. */
  readonly ended: number;
}

const STREAM_PROGRAM = fileURLToPath(new URL('./streamProgram.js', import.meta.url));
const DATAGRAM_PROGRAM = fileURLToPath(new URL('./datagramProgram.js', import.meta.url));
const PORT = 7100;
const TIMEOUT_MS = 300_000;

/** Sends `bytes` of the seed's stream; gives what the two ends made of it. */
export async function transferStream(
  route: Route,
  bytes: number,
  seed: string,
): Promise<{ readonly sent: StreamDigest; readonly received: StreamDigest }> {
  const { lab, from, to, address } = route;
  const port = String(route.port ?? PORT);
  const receiver = lab.start(to, [process.execPath, STREAM_PROGRAM, 'receive', address, port]);
  await receiver.waitForLine(/listening/);
  const words = [process.execPath, STREAM_PROGRAM, 'send', address, port, seed, String(bytes)];
  const sender = await lab.run(from, words, TIMEOUT_MS);
  const received = await receiver.waitForLine(/sha256/, TIMEOUT_MS);
  await receiver.stop(1_000);
  return { sent: report<StreamDigest>(sender.lines), received: report<StreamDigest>([received]) };
}

export async function transferDatagrams(route: Route, plan: DatagramPlan): Promise<DatagramReport> {
  const { lab, from, to, address } = route;
  const port = String(route.port ?? PORT);
  const flows = String(plan.flows);
  const receiver = lab.start(to, [process.execPath, DATAGRAM_PROGRAM, 'receive', address, port, flows]);
  await receiver.waitForLine(/listening/);
  const words = [process.execPath, DATAGRAM_PROGRAM, 'send', address, port, flows];
  const sender = await lab.run(from, [...words, String(plan.count), String(plan.payloadBytesMax)], TIMEOUT_MS);
  await receiver.stop();
  const sent = report<{ sent: number; empty: number; maxBytes: number }>(sender.lines);
  const { empty, ...seen } = report<Omit<DatagramReport, 'emptyReceived'> & { empty: number }>(receiver.lines);
  return { ...seen, sent: sent.sent, emptySent: sent.empty, maxBytes: sent.maxBytes, emptyReceived: empty };
}

/** The last line of a program; throws with all of them when it is no report. */
function report<T>(lines: readonly string[]): T {
  try {
    return JSON.parse(lines[lines.length - 1]) as T;
  } catch {
    throw new Error(`a transfer gave no report: ${lines.join('\n')}`);
  }
}
