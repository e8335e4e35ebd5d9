/**
 * Throws garbage at one entry of a node: a program for a namespace of a lab, as root. Seeded, and as long as it is told.
 *
 *   udp ADDRESS PORT COUNT SEED            datagrams like those of the overlay, more or less
 *   dns ADDRESS PORT COUNT SEED            queries with faults in them
 *   port0 ADDRESS PORT COUNT SEED          the same from source port 0, through a raw socket
 *   dnsTcp ADDRESS PORT COUNT SEED         connections with noise, half a question, too many questions, or nothing
 *   device NAME COUNT SEED                 frames into a device as if the kernel had routed them there
 *   flood ADDRESS PORT MILLISECONDS SEED   DNS queries as fast as one processor sends them
 *
 * Prints `sent N` at the end.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { encode } from 'dns-packet';
import { Netlink } from '../../src/primary/machine/netlink.ts';
import { Arena } from '../../src/shared/sys/arena.ts';
import { check, libc } from '../../src/shared/sys/libc.ts';
import { Random } from '../support/random.ts';

const [role, target, ...numbers] = process.argv.slice(2);
const random = new Random(Number(numbers.at(-1)));
/** Sends wait for the event loop this often, so that answers are read and sockets drained. */
const BURST = 32;

function overlayGarbage(): Uint8Array {
  const bytes = random.bytes(random.below(random.below(8) === 0 ? 1400 : 200));
  if (bytes.length >= 16 && random.below(4) !== 0) {
    bytes[0] = 0x10 | random.below(7);
    bytes[1] = random.below(2);
    if (random.below(2) === 0) {
      // Of nobody yet: as a first message has it.
      bytes.fill(0, 4, 8);
      bytes.fill(0, 8, 15);
      bytes[15] = 1 + random.below(2);
    }
  }
  return bytes;
}

function dnsGarbage(): Uint8Array {
  const types = ['A', 'AAAA', 'TXT', 'MX', 'ANY', 'OPT', 'AXFR'] as const;
  const questions = Array.from({ length: 1 + random.below(3) }, () => ({
    name: ['left', 'right', '10.86.0.1', '.', 'a.b.c', 'x'.repeat(63)][random.below(6)],
    type: types[random.below(types.length)],
  }));
  const query = encode({ type: 'query', id: random.below(65_536), questions } as never);
  for (let change = random.below(5); change > 0; change--) {
    query[random.below(query.length)] = random.below(256);
  }
  return random.below(8) === 0 ? random.bytes(random.below(100)) : query.subarray(0, random.below(4 * query.length));
}

async function datagrams(make: () => Uint8Array, port: number, isDone: (sent: number) => boolean): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  socket.on('message', () => undefined);
  socket.connect(port, target);
  await once(socket, 'connect');
  let sent = 0;
  while (!isDone(sent)) {
    for (let i = 0; i < BURST; i++) {
      socket.send(make(), () => undefined);
    }
    sent += BURST;
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.close();
  return sent;
}

/** The kernel adds the IP header; a checksum of 0 is none. */
async function fromPort0(port: number, count: number): Promise<number> {
  const arena = new Arena(4096);
  const fd = check(libc.socket(2, 3, 17), 'socket');
  arena.view.setUint16(0, 2, true);
  arena.bytes.set(target.split('.').map(Number), 4);
  for (let sent = 0; sent < count; sent++) {
    const payload = dnsGarbage();
    arena.view.setUint16(16, 0);
    arena.view.setUint16(18, port);
    arena.view.setUint16(20, 8 + payload.length);
    arena.view.setUint16(22, 0);
    arena.bytes.set(payload, 24);
    check(libc.sendto(fd, arena.address + 16, 8 + payload.length, 0, arena.address, 16), 'sendto');
    if (sent % BURST === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return count;
}

async function connections(port: number, count: number): Promise<number> {
  for (let sent = 0; sent < count; sent++) {
    const socket = connect(port, target);
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    const closed = new Promise((resolve) => void socket.once('close', resolve));
    const query = dnsGarbage();
    const framed = Buffer.concat([Buffer.of(query.length >> 8, query.length & 0xff), query]);
    switch (random.below(4)) {
      case 0:
        socket.write(random.bytes(random.below(5000)));
        break;
      case 1:
        socket.write(framed.subarray(0, random.below(framed.length)));
        break;
      case 2:
        socket.write(Buffer.concat(Array.from({ length: 300 }, () => framed)));
        break;
    }
    if (random.below(2) === 0) {
      socket.end();
    } else {
      setTimeout(() => socket.resetAndDestroy(), 5);
    }
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 20))]);
    socket.destroy();
  }
  return count;
}

/** An AF_PACKET socket: what is sent comes out of the device as it is. */
async function frames(count: number): Promise<number> {
  const arena = new Arena(4096);
  const link = new Netlink().link(target);
  const fd = check(libc.socket(17, 3, 0), 'socket');
  arena.view.setUint16(0, 17, true);
  arena.view.setInt32(4, link?.index ?? 0, true);
  for (let sent = 0; sent < count; sent++) {
    const bytes = random.bytes(1 + random.below(random.below(4) === 0 ? 1300 : 80));
    const isSix = random.below(2) === 0;
    arena.view.setUint16(2, isSix ? 0x86dd : 0x0800);
    if (random.below(4) !== 0 && bytes.length >= 20) {
      bytes[0] = isSix ? 0x60 : 0x45;
      bytes.set([10, 86, 0, random.below(4)], 16);
    }
    arena.bytes.set(bytes, 64);
    // A full queue refuses, which is no matter.
    libc.sendto(fd, arena.address + 64, bytes.length, 0, arena.address, 20);
    if (sent % BURST === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return count;
}

async function attack(): Promise<number> {
  const [first, second] = numbers.map(Number);
  switch (role) {
    case 'udp':
      return await datagrams(overlayGarbage, first, (sent) => sent >= second);
    case 'dns':
      return await datagrams(dnsGarbage, first, (sent) => sent >= second);
    case 'port0':
      return await fromPort0(first, second);
    case 'dnsTcp':
      return await connections(first, second);
    case 'device':
      return await frames(first);
    default: {
      const query = encode({ type: 'query', id: 1, questions: [{ name: 'right', type: 'A' }] });
      const endMs = performance.now() + second;
      return await datagrams(
        () => query,
        first,
        () => performance.now() >= endMs,
      );
    }
  }
}

console.log(`sent ${await attack()}`);
