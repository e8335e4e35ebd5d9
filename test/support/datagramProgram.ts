/**
 * Numbered UDP datagrams of many sizes over several flows, each of which the receiver can work out byte for byte from its
 * flow and number; `transfers.ts` runs it. Loss is counted; a datagram that is not what was sent, or that comes behind a
 * later one of its flow, is a fault.
 *
 *   receive ADDRESS PORT FLOWS                 until the end of every flow has come; prints what it saw
 *   send ADDRESS PORT FLOWS COUNT MAX_BYTES    COUNT per flow, up to MAX_BYTES of payload; prints what it sent
 *
 * Payload: number (4 bytes), flow (2), bytes of payload (2), then a piece of a pool that both sides make from one seed.
 * An empty datagram carries none of that and is only counted. A flow opens with number OPEN and ends with LAST, each of
 * which is repeated until it has been answered, as the handshakes of TCP: the first answer may move a flow to another
 * queue of the tun device (that is the kernel's doing), and what was under way then may be overtaken.
 */
import { createCipheriv } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';

const HEADER_BYTES = 8;
const OPEN = 0xffff_fffe;
const LAST = 0xffff_ffff;
const POOL_BYTES = 65_536;
const PAYLOAD_MAX = 2048;
const EMPTY_EVERY = 61;
/** So many of a flow leave together, so that they can travel as one run. */
const BURST = 8;
/** A flow goes on when the burst before the last has been answered, or after this time, for then the answer was lost. */
const PATIENCE_MS = 2_000;
/** The numbers that carry nothing are repeated this often. */
const REPEAT_MS = 20;

const [role, host, port, flowCount] = process.argv.slice(2);
const flows = Number(flowCount);
const pool = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16)).update(
  Buffer.alloc(POOL_BYTES + PAYLOAD_MAX),
);

function receive(): void {
  const seen = { received: 0, empty: 0, reordered: 0, corrupt: 0, strange: 0 };
  const last = new Array<number>(flows).fill(-1);
  const source = new Array<number>(flows).fill(0);
  const ended = new Set<number>();
  const socket = open({ recvBufferSize: 4 << 20 });
  socket.on('message', (datagram, from) => {
    if (datagram.length === 0) {
      seen.empty++;
      return;
    }
    const number = datagram.length < HEADER_BYTES ? 0 : datagram.readUInt32BE();
    const flow = datagram.length < HEADER_BYTES ? flows : datagram.readUInt16BE(4);
    if (flow >= flows || (source[flow] !== 0 && source[flow] !== from.port)) {
      seen.strange++;
      return;
    }
    source[flow] = from.port;
    if (number >= OPEN) {
      // The answer may be lost: what comes again is answered again.
      if (number === LAST) {
        ended.add(flow);
      }
      socket.send(datagram, from.port, from.address);
      return;
    }
    seen.received++;
    seen.reordered += number <= last[flow] || ended.has(flow) ? 1 : 0;
    last[flow] = Math.max(last[flow], number);
    const length = datagram.readUInt16BE(6);
    const isWhole = length === datagram.length && datagram.equals(contents(flow, number, length));
    seen.corrupt += isWhole ? 0 : 1;
    if (number % BURST === BURST - 1) {
      socket.send(datagram.subarray(0, HEADER_BYTES), from.port, from.address);
    }
  });
  socket.bind({ address: host, port: Number(port) }, () => console.log('listening'));
  process.on('SIGTERM', () => {
    console.log(JSON.stringify({ ...seen, ended: ended.size }));
    process.exit(0);
  });
}

async function send(count: number, maxBytes: number): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: flows }, connected));
  const sent = { sent: 0, empty: 0, maxBytes: 0 };
  await Promise.all(
    sockets.map(async (socket, flow) => {
      const answers = new Answers(socket);
      await exchange(socket, flow, OPEN, answers);
      answers.beginNumbers();
      for (let first = 0; first < count; first += BURST) {
        for (let number = first; number < Math.min(first + BURST, count); number++) {
          const length = payloadBytes(flow, number, maxBytes);
          socket.send(contents(flow, number, length));
          sent.sent++;
          sent.maxBytes = Math.max(sent.maxBytes, length);
          if (number % EMPTY_EVERY === 0) {
            socket.send(Buffer.alloc(0));
            sent.empty++;
          }
        }
        await answers.reach(first - 1, PATIENCE_MS);
      }
      await exchange(socket, flow, LAST, answers);
      socket.close();
    }),
  );
  console.log(JSON.stringify(sent));
}

/** Sends a number that carries nothing until it has been answered. */
async function exchange(socket: Socket, flow: number, number: number, answers: Answers): Promise<void> {
  const datagram = Buffer.alloc(HEADER_BYTES);
  datagram.writeUInt32BE(number);
  datagram.writeUInt16BE(flow, 4);
  do {
    socket.send(datagram);
    await answers.reach(number, REPEAT_MS);
  } while (answers.last < number);
}

/** The highest number that the receiver has answered. */
class Answers {
  last = -1;
  #hasBegun = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    socket.on('message', (answer) => {
      const number = answer.readUInt32BE();
      // More than one answer to OPEN may be on its way.
      if (number !== OPEN || !this.#hasBegun) {
        this.last = Math.max(this.last, number);
        this.#wake();
      }
    });
  }

  beginNumbers(): void {
    this.#hasBegun = true;
    this.last = -1;
  }

  /** Returns when `number` has been answered, or when it has taken too long. */
  reach(number: number, patienceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, patienceMs);
      this.#wake = () => {
        if (this.last >= number) {
          clearTimeout(timer);
          resolve();
        }
      };
      this.#wake();
    });
  }
}

/** Bursts of one size, as bulk senders make them; of one size with a short end; of full packets; of any sizes. */
function payloadBytes(flow: number, number: number, maxBytes: number): number {
  const span = maxBytes - HEADER_BYTES + 1;
  const burst = Math.floor(number / BURST);
  const size = HEADER_BYTES + (mixed(flow, burst) % span);
  switch (mixed(flow + 100, burst) % 4) {
    case 0:
      return size;
    case 1:
      return number % BURST === BURST - 1 ? HEADER_BYTES + (mixed(flow, number) % (size - HEADER_BYTES + 1)) : size;
    case 2:
      return maxBytes;
    default:
      return HEADER_BYTES + (mixed(flow, number) % span);
  }
}

function contents(flow: number, number: number, length: number): Buffer {
  const datagram = Buffer.alloc(Math.max(length, HEADER_BYTES));
  datagram.writeUInt32BE(number);
  datagram.writeUInt16BE(flow, 4);
  datagram.writeUInt16BE(length, 6);
  const start = mixed(flow, number) % POOL_BYTES;
  pool.copy(datagram, HEADER_BYTES, start, start + length - HEADER_BYTES);
  return datagram;
}

function mixed(a: number, b: number): number {
  const word = Math.imul(a + 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(b + 1, 0xc2b2_ae35);
  return Math.imul(word ^ (word >>> 15), 0x2c1b_3c6d) >>> 0;
}

function open(options: { readonly recvBufferSize?: number } = {}): Socket {
  return createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', ...options });
}

function connected(): Promise<Socket> {
  const socket = open();
  return new Promise((resolve) => {
    socket.connect(Number(port), host, () => resolve(socket));
  });
}

if (role === 'receive') {
  receive();
} else {
  await send(Number(process.argv[6]), Number(process.argv[7]));
}
