/**
 * A TCP connection on which every record is counted: what runs while certificates change under it.
 *
 *   serve ADDRESS PORT   echoes whatever comes
 *   count ADDRESS PORT   sends numbered records, checks that they come back in order, and prints its progress
 *
 * The client ends on SIGTERM: it sends no more, waits for what is under way, and prints the result.
 */
import { connect, createServer } from 'node:net';
import { StallWatch } from './stalls.ts';

const RECORD_BYTES = 64;
const SEND_MS = 5;
const PROGRESS_RECORDS = 20;

const [role, host, port] = process.argv.slice(2);
if (role === 'serve') {
  serve();
} else {
  count();
}

function serve(): void {
  const server = createServer((socket) => {
    socket.on('error', (error) => console.log(`broken: ${error.message}`));
    socket.pipe(socket);
  });
  server.listen({ host, port: Number(port) }, () => console.log('listening'));
}

function count(): void {
  const socket = connect({ host, port: Number(port), noDelay: true });
  const record = Buffer.alloc(RECORD_BYTES);
  let [sent, echoed, lastMs, longestGapMs] = [0, 0, performance.now(), 0];
  const stalls = new StallWatch();
  let rest = Buffer.alloc(0);
  const fail = (reason: string): never => {
    console.log(JSON.stringify({ sent, echoed, longestGapMs, fault: reason }));
    process.exit(1);
  };
  const timer = setInterval(() => {
    record.writeUInt32BE(++sent);
    socket.write(Buffer.from(record));
  }, SEND_MS);
  socket.on('data', (data) => {
    longestGapMs = Math.max(longestGapMs, performance.now() - lastMs - stalls.since(lastMs));
    lastMs = performance.now();
    rest = Buffer.concat([rest, data]);
    for (; rest.length >= RECORD_BYTES; rest = rest.subarray(RECORD_BYTES)) {
      if (rest.readUInt32BE() !== ++echoed) {
        fail(`record ${echoed} came back as ${rest.readUInt32BE()}`);
      }
      if (echoed % PROGRESS_RECORDS === 0) {
        console.log(`echoed ${echoed}`);
      }
    }
  });
  socket.on('error', (error) => fail(error.message));
  socket.on('close', () => {
    if (echoed !== sent) {
      fail('the connection ended early');
    }
    console.log(JSON.stringify({ sent, echoed, longestGapMs }));
    process.exit(0);
  });
  process.on('SIGTERM', () => {
    clearInterval(timer);
    socket.end();
  });
}
