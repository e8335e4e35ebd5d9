/**
 * The demo's own traffic, so that it needs no other program: run as a process of its own at either end.
 *
 *   receive ADDRESS PORT         prints "listening", takes one TCP connection, prints what arrived as a line of JSON
 *   send ADDRESS PORT SECONDS    writes to a TCP connection for that long
 *   echo ADDRESS PORT            prints "listening" and sends every UDP datagram back until it is ended
 *   probe ADDRESS PORT COUNT     sends so many UDP datagrams to an echo, prints how long each took as a line of JSON
 */
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

/** What the receiving end prints when the sender has finished. */
export interface TransferReport {
  readonly bytes: number;
  /** From the first byte to the last. */
  readonly seconds: number;
}

/** What `probe` prints: milliseconds until the answer, of those probes that were answered. */
export interface ProbeReport {
  readonly times: readonly number[];
}

const PROBE_INTERVAL_MS = 200;
const PROBE_PATIENCE_MS = 10_000;
const CHUNK_BYTES = 256 * 1024;

const [role, address, port, amount] = process.argv.slice(2);
if (role === 'receive') {
  receive(address, Number(port));
} else if (role === 'send') {
  send(address, Number(port), Number(amount));
} else if (role === 'echo') {
  echo(address, Number(port));
} else if (role === 'probe') {
  probe(address, Number(port), Number(amount));
}

function receive(address: string, port: number): void {
  const server = createServer((socket) => {
    let bytes = 0;
    let startMs = 0;
    socket.on('data', (data) => {
      startMs ||= performance.now();
      bytes += data.length;
    });
    socket.on('end', () => {
      const report: TransferReport = { bytes, seconds: (performance.now() - startMs) / 1000 };
      process.stdout.write(`${JSON.stringify(report)}\n`);
      server.close();
    });
  });
  server.listen(port, address, () => process.stdout.write('listening\n'));
}

function send(address: string, port: number, seconds: number): void {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const socket = connect(port, address, () => {
    const endMs = performance.now() + seconds * 1000;
    const fill = (): void => {
      while (performance.now() < endMs) {
        if (!socket.write(chunk)) {
          return;
        }
      }
      socket.end();
    };
    socket.on('drain', fill);
    fill();
  });
}

function echo(address: string, port: number): void {
  const socket = createSocket('udp4', (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(port, address, () => process.stdout.write('listening\n'));
}

/** The next probe leaves a moment after the last one was answered; what is not answered in time ends it. */
function probe(address: string, port: number, count: number): void {
  const socket = createSocket('udp4');
  const times: number[] = [];
  let sentMs = 0;
  const ask = (): void => {
    sentMs = performance.now();
    socket.send(Uint8Array.of(times.length), port, address);
  };
  const finish = (): void => {
    process.stdout.write(`${JSON.stringify({ times } satisfies ProbeReport)}\n`);
    socket.close();
    clearTimeout(patience);
  };
  const patience = setTimeout(finish, PROBE_PATIENCE_MS);
  socket.on('message', (bytes) => {
    if (bytes[0] !== times.length) {
      return;
    }
    times.push(performance.now() - sentMs);
    if (times.length < count) {
      setTimeout(ask, PROBE_INTERVAL_MS);
    } else {
      finish();
    }
  });
  ask();
}
