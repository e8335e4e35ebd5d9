/**
 * Serves one text on one path by HTTP, for Prometheus. Whoever reaches the port may be anybody, so it is small: GET of
 * that path and nothing else, few connections at a time, little patience. Knows nothing of what it serves.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Boundary } from '../boundary.ts';
import { EXPOSITION_TYPE } from './exposition.ts';

export interface MetricsServerOptions {
  /** Empty: every address. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly text: () => string;
  readonly boundary: Boundary;
  /** For a request to come, and for a client to take or send anything at all. */
  readonly patienceMs?: number;
}

/** A Prometheus or two and whoever looks by hand. The kernel's queue keeps the next ones. */
const CONNECTIONS_MAX = 32;
const HEADER_BYTES_MAX = 8 * 1024;
const PATIENCE_MS = 5_000;
const LOOK_MS = 1_000;

export class MetricsServer {
  readonly #options: MetricsServerOptions;
  readonly #server: Server;

  constructor(options: MetricsServerOptions) {
    const patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#options = options;
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: patienceMs,
        requestTimeout: patienceMs,
        keepAliveTimeout: patienceMs,
        connectionsCheckingInterval: Math.min(LOOK_MS, patienceMs),
      },
      (request, response) => {
        if (!options.boundary.guard('stats', () => this.#answer(request, response))) {
          response.destroy();
        }
      },
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.setTimeout(patienceMs);
  }

  /** The port that is listened on; 0 when none is. */
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Rejects when the address is not to be had; then the server is of no use any more. */
  async listen(): Promise<void> {
    const { host, port, boundary } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, ...(host === '' ? {} : { host }) }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => boundary.report('stats', error));
        resolve();
      });
    });
  }

  /** Ends every connection. Harmless when it never listened. */
  async close(): Promise<void> {
    if (this.#server.listening) {
      await new Promise<void>((resolve) => {
        this.#server.close(() => resolve());
        this.#server.closeAllConnections();
      });
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').split('?', 1)[0];
    if (request.method !== 'GET' || path !== this.#options.path) {
      // What else such a client sends is not read.
      response.writeHead(path === this.#options.path ? 405 : 404, { allow: 'GET', connection: 'close' });
      response.end();
      return;
    }
    const text = this.#options.text();
    response.writeHead(200, { 'content-type': EXPOSITION_TYPE, 'content-length': Buffer.byteLength(text) });
    response.end(text);
  }
}
