/**
 * Entry of the DNS process: takes the sockets that the primary has bound, gives up its privileges, answers from what the
 * primary tells it on standard input. When that ends, it ends.
 *
 * It reads what strangers send, so it holds nothing that is worth taking: no key, no shared table, no way to the primary
 * but numbers in a page of counters. It may be killed at any instruction; the primary starts another on the same sockets.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { setPriority } from 'node:os';
import { DNS_BEAT_MS, DnsFd, decodeZoneLine, LineSplitter } from '../shared/ipc/zoneLines.ts';
import { errorText } from '../shared/log/errorText.ts';
import { createLogger } from '../shared/log/logger.ts';
import { RateLimit } from '../shared/log/rateLimit.ts';
import { DnsCounters } from '../shared/memory/dnsCounters.ts';
import { confine, confinementFromEnvironment } from '../shared/sys/privileges.ts';
import { mapSharedMemory } from '../shared/sys/sharedMemory.ts';
import { DnsAnswers } from './answers.ts';
import { DnsServer } from './server.ts';
import { Zone } from './zone.ts';

const log = createLogger({ level: 'info', format: 'text', disableTimestamp: false });
const limit = new RateLimit(3, 0.1);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) {
  // A signal to the whole process group is the primary's to act on; SIGUSR1 would open Node's debugger.
  process.on(signal, () => undefined);
}
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

// Handshakes and packets go first when there are fewer cores than work.
setPriority(10);
const counters = new DnsCounters(mapSharedMemory(DnsFd.Counters).buffer);
const zone = new Zone();
const lines = new LineSplitter((text) => {
  const line = decodeZoneLine(text);
  zone.apply(line);
  if (line.kind === 'settings') {
    log.configure(line.log);
  }
});
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk) => lines.push(String(chunk)));
process.stdin.once('end', () => process.exit(0));
setInterval(() => counters.beat(), DNS_BEAT_MS);
serve(process.argv[2] === '4' ? 'udp4' : 'udp6', process.argv[3] === 'udp+tcp');
confine(confinementFromEnvironment(), 'server');

function serve(type: 'udp4' | 'udp6', hasTcp: boolean): void {
  const family = type === 'udp4' ? 4 : 6;
  // Answers go to addresses: Node would ask the machine's resolver for what it takes for a name.
  const udp = createSocket({ type, lookup: (host, _options, found) => found(null, host, family) });
  const tcp = createServer();
  new DnsServer({ udp, tcp, answers: new DnsAnswers(zone), counters, onFault });
  udp.bind({ fd: DnsFd.Udp });
  if (hasTcp) {
    tcp.listen({ fd: DnsFd.Tcp });
  }
}

function onFault(error: unknown): void {
  if (limit.allow(performance.now())) {
    log.warn('DNS server had a fault and goes on', { error: errorText(error), suppressed: limit.takeSuppressed() });
  }
}

/** A defect or a broken machine: says why and ends; the primary starts a successor. */
function fail(error: unknown): void {
  log.error('DNS process cannot go on', { error: errorText(error) });
  process.exit(1);
}
