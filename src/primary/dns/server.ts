/**
 * The sockets of the lighthouse's DNS server: UDP, and TCP for answers that do not fit a datagram (RFC 7766). Decides
 * nothing about answers (`answers.ts`), and a client that misbehaves costs one connection at most.
 */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { parseAddress } from '../../shared/ip/address.ts';
import type { DnsAnswers } from './answers.ts';

export interface DnsServerOptions {
  /** `lighthouse.dns.host`: empty for all addresses; `[::]` means `::`. */
  readonly host: string;
  /** `lighthouse.dns.port`; 0 lets the kernel choose. */
  readonly port: number;
  readonly answers: DnsAnswers;
  /** Trouble of a socket that has been opened; the server goes on. */
  readonly onError: (error: Error) => void;
}

export class DnsServer {
  readonly #answers: DnsAnswers;
  readonly #onError: (error: Error) => void;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections: Set<Socket> = new Set();

  /** Opens both sockets on the same port. Rejects with the system's error (address in use, not there, not allowed). */
  static async open(options: DnsServerOptions): Promise<DnsServer> {
    const host = options.host === '' || options.host === '[::]' ? '::' : options.host.replace(/^\[(.*)\]$/, '$1');
    const isIpv4 = parseAddress(host)?.family === 4;
    const udp = createSocket({ type: isIpv4 ? 'udp4' : 'udp6' });
    const tcp = createServer();
    try {
      udp.bind(options.port, host);
      await once(udp, 'listening');
      tcp.listen(udp.address().port, host);
      await once(tcp, 'listening');
    } catch (error) {
      udp.close();
      tcp.close();
      throw error;
    }
    return new DnsServer(options, udp, tcp);
  }

  private constructor(options: DnsServerOptions, udp: UdpSocket, tcp: Server) {
    this.#answers = options.answers;
    this.#onError = options.onError;
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on('error', this.#onError);
    udp.on('message', (query, client) => this.#onDatagram(query, client));
    tcp.on('error', this.#onError);
    tcp.on('connection', (connection) => this.#onConnection(connection));
  }

  get port(): number {
    return this.#udp.address().port;
  }

  /** Ends both sockets and all connections. */
  async close(): Promise<void> {
    const closed = [once(this.#udp, 'close'), once(this.#tcp, 'close')];
    this.#udp.close();
    this.#tcp.close();
    for (const connection of this.#connections) {
      connection.destroy();
    }
    await Promise.all(closed);
  }

  #onDatagram(query: Uint8Array, client: RemoteInfo): void {
    const address = parseAddress(withoutZone(client.address));
    const answer = address === null ? null : this.#answers.answer(query, address, UDP_BYTES_MAX);
    if (answer !== null) {
      this.#udp.send(answer, client.port, client.address, (error) => {
        if (error !== null) {
          this.#onError(error);
        }
      });
    }
  }

  #onConnection(connection: Socket): void {
    const address = parseAddress(withoutZone(connection.remoteAddress ?? ''));
    if (address === null || this.#connections.size >= CONNECTIONS_MAX) {
      connection.destroy();
      return;
    }
    this.#connections.add(connection);
    connection.on('close', () => this.#connections.delete(connection));
    // Resets and the like: the client's affair.
    connection.on('error', () => connection.destroy());
    connection.setTimeout(IDLE_MS, () => connection.destroy());
    let pending: Buffer = Buffer.alloc(0);
    connection.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      let length = frameLength(pending);
      while (length !== null) {
        const answer = this.#answers.answer(pending.subarray(2, 2 + length), address, TCP_BYTES_MAX);
        if (answer === null) {
          connection.destroy();
          return;
        }
        connection.write(Buffer.concat([Buffer.of(answer.length >> 8, answer.length & 0xff), answer]));
        pending = pending.subarray(2 + length);
        length = frameLength(pending);
      }
      if (pending.length > QUERY_BYTES_MAX || connection.writableLength > TCP_BYTES_MAX) {
        connection.destroy();
      }
    });
  }
}

/** Length of the first message of a stream of length-prefixed ones, or null while it is not complete. */
function frameLength(pending: Buffer): number | null {
  const length = pending.length < 2 ? 0 : pending.readUInt16BE(0);
  return pending.length >= 2 && pending.length >= 2 + length ? length : null;
}

/** `fe80::1%eth0` names an interface behind the address. */
function withoutZone(address: string): string {
  return address.split('%')[0];
}

/** RFC 1035 §2.3.4; clients that take more say so (EDNS). */
const UDP_BYTES_MAX = 512;
const TCP_BYTES_MAX = 65_535;
/** A question for one name has less than 300 bytes. */
const QUERY_BYTES_MAX = 4096;
const CONNECTIONS_MAX = 64;
const IDLE_MS = 10_000;
