/**
 * A program that tries connections as an ordinary client does and prints what came of each, as one JSON line.
 * Its argument is a JSON list of attempts; all run at once. `firewallProbe.ts` starts it inside a namespace.
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { Attempt, AttemptResult } from './firewallProbe.ts';

const attempts = JSON.parse(process.argv[2]) as Attempt[];
console.log(JSON.stringify(await Promise.all(attempts.map(measure))));
process.exit(0);

async function measure(attempt: Attempt): Promise<AttemptResult> {
  const startMs = performance.now();
  const outcome = await (attempt.kind === 'tcp' ? tryTcp(attempt) : tryUdp(attempt));
  return { outcome, ms: performance.now() - startMs };
}

function tryTcp({ host, port, patienceMs }: Attempt): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.setTimeout(patienceMs, () => resolve('silence'));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('connect', () => socket.write('?'));
    socket.on('data', () => resolve('answered'));
    socket.on('close', () => resolve('closed'));
  });
}

/** A connected socket: only such a one hears of ICMP errors. */
function tryUdp({ host, port, patienceMs }: Attempt): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    setTimeout(() => resolve('silence'), patienceMs);
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('message', () => resolve('answered'));
    socket.connect(port, host, () => socket.send('?'));
  });
}
