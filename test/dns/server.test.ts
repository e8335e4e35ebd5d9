import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { type DecodedPacket, decode, encode, streamEncode } from 'dns-packet';
import { afterEach, describe, it } from 'mocha';
import { DnsAnswers } from '../../src/dns/answers.ts';
import { DnsServer } from '../../src/dns/server.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import { DNS_COUNTER_BYTES, DnsCounters } from '../../src/shared/memory/dnsCounters.ts';
import { askUdp, filledZone, question } from '../support/dnsZone.ts';

interface Bench {
  readonly server: DnsServer;
  readonly udp: UdpSocket;
  readonly tcp: Server;
  readonly port: number;
  readonly counters: DnsCounters;
  readonly faults: unknown[];
}

describe('server of the DNS process', () => {
  const benches: Bench[] = [];
  const sockets: Socket[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) {
      socket.destroy();
    }
    await Promise.all(benches.splice(0).map(({ server }) => server.close()));
  });

  async function open(patienceMs: number = 10_000): Promise<Bench> {
    const udp = createSocket('udp4');
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    const tcp = createServer();
    tcp.listen(udp.address().port, '127.0.0.1');
    await once(tcp, 'listening');
    const counters = new DnsCounters(new ArrayBuffer(DNS_COUNTER_BYTES));
    const faults: unknown[] = [];
    const onFault = (error: unknown): void => void faults.push(error);
    const answers = new DnsAnswers(filledZone());
    const server = new DnsServer({ udp, tcp, answers, counters, onFault, patienceMs });
    const bench = { server, udp, tcp, port: server.port, counters, faults };
    benches.push(bench);
    return bench;
  }

  async function connected(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  }

  const query = (name: string, type: string, id: number = 3): Buffer =>
    encode({ type: 'query', id, ...question(name, type) });
  const framed = (name: string, type: string, id: number = 3): Buffer =>
    streamEncode({ type: 'query', id, ...question(name, type) });

  it('answers over UDP', async () => {
    const { port, counters } = await open();
    expect((await askUdp(port, query('four', 'A'))).answers![0]).to.include({ name: 'four', data: '10.0.0.9' });
    expect([counters.value('dns.queries'), counters.value('dns.answers')]).to.deep.equal([1, 1]);
  });

  it('drops what cannot be answered: port 0, a source that is no address; and goes on', async () => {
    const { port, udp, counters, faults } = await open();
    const source = { address: '127.0.0.1', family: 'IPv4', port: 0, size: 30 };
    udp.emit('message', query('four', 'A'), source);
    udp.emit('message', query('four', 'A'), { ...source, port: 53, address: 'nowhere' });
    expect(counters.value('dns.drop.source')).to.equal(2);
    // Node refuses to send to a port like this one, or fails later; neither may be more than a count.
    udp.emit('message', query('four', 'A'), { ...source, port: 70_000 });
    udp.emit('message', query('four', 'A'), { ...source, port: 53, address: '::1', family: 'IPv6' });
    await until('both to have failed', () => faults.length + counters.value('dns.drop.send') === 2);
    expect((await askUdp(port, query('four', 'A'))).answers).to.have.length(1);
  });

  it('answers over TCP, several questions on a connection, in pieces, with large answers', async () => {
    const { port } = await open();
    const socket = await connected(port);
    const replies = repliesOf(socket);
    socket.setNoDelay(true);
    for (const byte of Buffer.concat([framed('four', 'A', 1), framed('fd42::7', 'TXT', 2)])) {
      socket.write(Buffer.of(byte));
    }
    await until('two answers', () => replies.length === 2);
    expect(replies.map((reply) => [reply.id, reply.answers!.length])).to.deep.equal([
      [1, 1],
      [2, 1],
    ]);
  });

  it('answers many questions sent ahead in their order, and a client that asks without end no more', async () => {
    const { port, counters } = await open();
    const socket = await connected(port);
    const replies = repliesOf(socket);
    const closed = closeOf(socket);
    for (let id = 0; id < 200; id++) {
      socket.write(framed('four', 'A', id));
    }
    await until('200 answers', () => replies.length === 200);
    expect(replies.map(({ id }) => id)).to.deep.equal(Array.from({ length: 200 }, (_, id) => id));
    for (let id = 0; id < 100; id++) {
      socket.write(framed('four', 'A', id));
    }
    await closed;
    expect(replies.length).to.be.at.most(256);
    expect(counters.value('dns.tcp.cut_off')).to.equal(1);
  });

  for (const [what, bytes] of [
    ['noise', [0, 2, 1, 1]],
    ['a question that is too long', [0xff, 0xff, 0]],
  ] as const) {
    it(`cuts off a TCP client that sends ${what}`, async () => {
      const { port, server } = await open();
      const socket = await connected(port);
      const closed = closeOf(socket);
      socket.write(Buffer.from(bytes));
      await closed;
      await until('the end of the connection', () => server.connectionCount === 0);
    });
  }

  it('cuts off TCP clients that are silent, or slow within one question', async () => {
    const { port, counters } = await open(100);
    const [silent, slow] = [await connected(port), await connected(port)];
    const closed = [silent, slow].map((socket) => closeOf(socket.resume()));
    const trickle = setInterval(() => slow.write(Buffer.of(0)), 10);
    slow.write(Buffer.of(0x0f));
    await Promise.all(closed);
    clearInterval(trickle);
    expect(counters.value('dns.tcp.cut_off')).to.equal(2);
  });

  it('lets one address have a few connections, and other addresses theirs', async () => {
    const { port, server, counters } = await open();
    for (let i = 0; i < 20; i++) {
      await connected(port);
    }
    await until('the refusals', () => counters.value('dns.tcp.refused') === 12);
    expect(server.connectionCount).to.equal(8);
    const other = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    sockets.push(other);
    const replies = repliesOf(other);
    other.write(framed('four', 'A'));
    await until('the answer', () => replies.length === 1);
    for (const socket of sockets) {
      socket.destroy();
    }
    await until('no connection', () => server.connectionCount === 0);
    const again = await connected(port);
    const answers = repliesOf(again);
    again.write(framed('four', 'A'));
    await until('the answer', () => answers.length === 1);
  });
});

/** Whichever way it ends: `once` would take a reset for a failure. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

function repliesOf(socket: Socket): DecodedPacket[] {
  const replies: DecodedPacket[] = [];
  let received: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0);
      replies.push(decode(received.subarray(2, end)));
      received = received.subarray(end);
    }
  });
  return replies;
}
