/**
 * Random bytes through one TCP connection, hashed where they leave and where they arrive; `transfers.ts` runs it.
 *
 *   receive ADDRESS PORT           accepts one connection, reads it to its end, prints bytes and hash
 *   send ADDRESS PORT SEED BYTES   sends that many bytes of the seed's stream, prints the same
 */
import { createCipheriv, createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const CHUNK_BYTES = 256 * 1024;

const [role, host, port, seed, bytes] = process.argv.slice(2);
if (role === 'receive') {
  receive();
} else {
  await send(Number(bytes));
}

function receive(): void {
  const server = createServer((socket) => {
    const hash = createHash('sha256');
    let received = 0;
    socket.on('data', (chunk) => {
      received += chunk.length;
      hash.update(chunk);
    });
    socket.on('error', (error) => tell({ bytes: received, sha256: error.message }));
    socket.on('end', () => tell({ bytes: received, sha256: hash.digest('hex') }));
    server.close();
  });
  server.listen({ host, port: Number(port) }, () => console.log('listening'));
}

async function send(total: number): Promise<void> {
  const hash = createHash('sha256');
  await pipeline(Readable.from(chunks(total, hash)), connect({ host, port: Number(port) }));
  tell({ bytes: total, sha256: hash.digest('hex') });
}

/** A cipher's key stream: random enough for any checksum, and the same again for the same seed. */
function* chunks(total: number, hash: ReturnType<typeof createHash>): Generator<Uint8Array> {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(CHUNK_BYTES);
  for (let left = total; left > 0; left -= CHUNK_BYTES) {
    const chunk = cipher.update(left < CHUNK_BYTES ? zeros.subarray(0, left) : zeros);
    hash.update(chunk);
    yield chunk;
  }
}

function tell(result: { readonly bytes: number; readonly sha256: string }): void {
  console.log(JSON.stringify(result));
}
