/**
 * One end of the demo's throughput test, run as a program of its own: `send ADDRESS PORT SECONDS` writes to a TCP connection
 * for that long, `receive ADDRESS PORT` prints "listening", takes one connection and prints what arrived as a line of JSON.
 */
import { connect, createServer } from 'node:net';

/** What the receiving end prints when the sender has finished. */
export interface TransferReport {
  readonly bytes: number;
  /** From the first byte to the last. */
  readonly seconds: number;
}

const CHUNK_BYTES = 256 * 1024;

const [role, address, port, seconds] = process.argv.slice(2);
if (role === 'receive') {
  receive(address, Number(port));
} else if (role === 'send') {
  send(address, Number(port), Number(seconds));
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
