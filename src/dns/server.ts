/**
 * The sockets of the lighthouse's DNS server: UDP, and TCP for answers that do not fit a datagram (RFC 7766). Decides
 * nothing about answers (`answers.ts`). A stranger gets his share and no more: a datagram that cannot be answered is
 * dropped and counted, connections are limited in all and by address, and nothing that is sent here ends the process.
 */
import type { RemoteInfo, Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { type IpAddress, parseAddress } from '../shared/ip/address.ts';
import type { DnsCounter, DnsCounters } from '../shared/memory/dnsCounters.ts';
import type { DnsAnswers, Transport } from './answers.ts';
import { TcpClient } from './tcpClient.ts';

export interface DnsServerOptions {
  /** Bound. The server's from now on. */
  readonly udp: UdpSocket;
  /** Listening on the same port. The server's from now on. */
  readonly tcp: Server;
  readonly answers: DnsAnswers;
  readonly counters: DnsCounters;
  /** A defect, or trouble of a socket; the server goes on. */
  readonly onFault: (error: unknown) => void;
  /** How long a TCP client may take for one question. */
  readonly patienceMs?: number;
}

const CONNECTIONS_MAX = 256;
const CONNECTIONS_PER_SOURCE = 8;
const PATIENCE_MS = 10_000;
/** Answers that the kernel has not taken yet; what comes then is dropped. */
const UNSENT_MAX = 256;

export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #clients: Set<TcpClient> = new Set();
  /** Connections by `sourceOf`. */
  readonly #perSource: Map<string, number> = new Map();

  constructor(options: DnsServerOptions) {
    this.#options = options;
    const { udp, tcp, onFault } = options;
    udp.on('error', onFault);
    udp.on('message', (query, client) => this.#guard(() => this.#onDatagram(query, client)));
    tcp.on('error', onFault);
    tcp.on('connection', (socket) => this.#guard(() => this.#onConnection(socket)));
  }

  get port(): number {
    return this.#options.udp.address().port;
  }

  get connectionCount(): number {
    return this.#clients.size;
  }

  /** Ends both sockets and all connections. */
  async close(): Promise<void> {
    const { udp, tcp } = this.#options;
    const closed = [once(udp, 'close'), once(tcp, 'close')];
    udp.close();
    tcp.close();
    for (const client of this.#clients) {
      client.close();
    }
    await Promise.all(closed);
  }

  #onDatagram(query: Uint8Array, client: RemoteInfo): void {
    const { udp, counters } = this.#options;
    // A source that cannot be answered is forged, and Node throws when it is asked to send to port 0.
    const address = parseAddress(withoutZone(client.address));
    if (client.port === 0 || address === null) {
      counters.count('dns.drop.source');
      return;
    }
    if (udp.getSendQueueCount() > UNSENT_MAX) {
      counters.count('dns.drop.busy');
      return;
    }
    const answer = this.#answer(query, address, 'udp');
    if (answer !== null) {
      udp.send(answer, client.port, client.address, (error) => this.#count(error === null ? null : 'dns.drop.send'));
    }
  }

  #onConnection(socket: Socket): void {
    const { counters, patienceMs } = this.#options;
    socket.on('error', () => socket.destroy());
    const address = parseAddress(withoutZone(socket.remoteAddress ?? ''));
    const source = address === null ? '' : sourceOf(address);
    const fromSource = this.#perSource.get(source) ?? 0;
    if (address === null || this.#clients.size >= CONNECTIONS_MAX || fromSource >= CONNECTIONS_PER_SOURCE) {
      counters.count('dns.tcp.refused');
      socket.destroy();
      return;
    }
    counters.count('dns.tcp.connections');
    this.#perSource.set(source, fromSource + 1);
    const client = new TcpClient(socket, {
      answer: (query) => this.#answer(query, address, 'tcp'),
      patienceMs: patienceMs ?? PATIENCE_MS,
      onCutOff: () => counters.count('dns.tcp.cut_off'),
      guard: (work) => this.#guard(work),
    });
    this.#clients.add(client);
    socket.once('close', () => {
      this.#clients.delete(client);
      const left = (this.#perSource.get(source) ?? 1) - 1;
      if (left === 0) {
        this.#perSource.delete(source);
      } else {
        this.#perSource.set(source, left);
      }
    });
  }

  #answer(query: Uint8Array, client: IpAddress, transport: Transport): Uint8Array | null {
    this.#count('dns.queries');
    const answer = this.#options.answers.answer(query, client, transport);
    if (answer === null) {
      this.#count('dns.drop.malformed');
      return null;
    }
    this.#count('dns.answers');
    this.#count((answer[2] & TRUNCATED_BIT) === 0 ? null : 'dns.truncated');
    return answer;
  }

  #count(name: DnsCounter | null): void {
    if (name !== null) {
      this.#options.counters.count(name);
    }
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#count('dns.faults');
      this.#options.onFault(error);
    }
  }
}

/** Who counts as one: an address, and of IPv6 the network that one customer has. */
function sourceOf(address: IpAddress): string {
  return address.family === 4 ? address.text : Buffer.from(address.bytes.subarray(0, 8)).toString('hex');
}

/** `fe80::1%eth0` names an interface behind the address. */
function withoutZone(address: string): string {
  return address.split('%')[0];
}

/** TC, in the third byte of the header. */
const TRUNCATED_BIT = 0x02;
