/**
 * How many handshakes a real node answers: a program in the client's namespace plays many hosts (`handshakeClient.ts`),
 * the server's node answers them over UDP as it would any. Good for weft and for nebula alike.
 */
import { fileURLToPath } from 'node:url';
import { runSeconds } from '../support/procfs.ts';
import type { Contest } from './contest.ts';
import type { HandshakeReport } from './handshakeClient.ts';

export interface HandshakeRates {
  /** Answered per second, seen from outside. */
  readonly perSecond: number;
  /** Processor time of the responder for each, all processes of its node. */
  readonly responderMs: number;
  /** Of weft's own initiator, measured in the program that plays the hosts. */
  readonly initiatorMs: number;
}

const CLIENT = fileURLToPath(new URL('./handshakeClient.js', import.meta.url));
const TIMEOUT_MS = 90_000;

/** Throws when a handshake stayed without an answer, or had one that does not verify. */
export async function measureHandshakes(contest: Contest, count: number): Promise<HandshakeRates | null> {
  const { lab, client, target } = contest;
  if (target === null) {
    return null;
  }
  const words = [target.caCert, target.caKey, target.underlay, String(target.port), String(count)];
  const before = runSeconds(contest.serverPids());
  const outcome = await lab.run(client, [process.execPath, CLIENT, ...words], TIMEOUT_MS);
  const used = runSeconds(contest.serverPids()) - before;
  if (outcome.code !== 0) {
    throw new Error(`handshakes: ${outcome.lines.slice(-5).join(' ')}`);
  }
  const report = JSON.parse(outcome.lines[outcome.lines.length - 1]) as HandshakeReport;
  if (report.completed !== count) {
    throw new Error(`handshakes: ${report.completed} of ${count} were answered well`);
  }
  return {
    perSecond: count / report.seconds,
    responderMs: (used / count) * 1000,
    initiatorMs: (report.initiatorCpuSeconds / count) * 1000,
  };
}
