/** Real clients and servers in the namespaces of a lab: connection attempts, and what the client's kernel told it of each. */
import { fileURLToPath } from 'node:url';
import type { Lab, Namespace } from '../../src/primary/cli/demo/lab.ts';

export interface Attempt {
  readonly kind: 'tcp' | 'udp';
  readonly host: string;
  readonly port: number;
  readonly patienceMs: number;
}

export interface AttemptResult {
  /** `answered`, `silence` when patience ended, `closed`, or the error code (`ECONNREFUSED`). */
  readonly outcome: string;
  readonly ms: number;
}

export interface ServerPlan {
  readonly host: string;
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

/** An answer is awaited much longer than silence has to last. */
const ANSWER_MS = 20_000;
const SILENCE_MS = 700;

/** An attempt that should be answered or refused. */
export function lively(kind: 'tcp' | 'udp', host: string, port: number): Attempt {
  return { kind, host, port, patienceMs: ANSWER_MS };
}

/** An attempt that should meet nothing at all. */
export function futile(kind: 'tcp' | 'udp', host: string, port: number): Attempt {
  return { kind, host, port, patienceMs: SILENCE_MS };
}

/** Runs all attempts at once from `from`. */
export async function attempt(lab: Lab, from: Namespace, attempts: readonly Attempt[]): Promise<AttemptResult[]> {
  const outcome = await lab.run(from, [process.execPath, CLIENT, JSON.stringify(attempts)]);
  if (outcome.code !== 0) {
    throw new Error(`the client in ${from.label} failed: ${outcome.lines.join('\n')}`);
  }
  return JSON.parse(outcome.stdout) as AttemptResult[];
}

export async function outcomes(lab: Lab, from: Namespace, attempts: readonly Attempt[]): Promise<string[]> {
  return (await attempt(lab, from, attempts)).map(({ outcome }) => outcome);
}

/** Returns when it listens on everything; the lab ends it. */
export async function serve(lab: Lab, namespace: Namespace, plan: Partial<ServerPlan>): Promise<void> {
  const whole: ServerPlan = { host: '0.0.0.0', tcp: [], udp: [], ...plan };
  const server = lab.start(namespace, [process.execPath, SERVER, JSON.stringify(whole)]);
  await server.waitForLine(/^ready$/);
}

const CLIENT = fileURLToPath(new URL('./firewallClient.js', import.meta.url));
const SERVER = fileURLToPath(new URL('./firewallServer.js', import.meta.url));
