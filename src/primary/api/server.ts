/**
 * The local API: JSON over HTTP on a Unix socket, for the command line and for whoever runs as the node's own user.
 *
 * Knows HTTP and limits, nothing of what is asked: routes are values. A request is small, quickly sent and answered in
 * one piece; anything else gets an error as JSON (`{"error": …}`) or is cut off. Who comes when too many are there is
 * told so. A fault in a route never reaches the node.
 */
import { chmodSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Boundary } from '../boundary.ts';
import { InspectionError } from '../inspection/nodeView.ts';
import { clearSocketPath, codeOf, SocketFileError } from './socketFile.ts';

export interface ApiRequest {
  readonly query: URLSearchParams;
  /** Parsed JSON of a POST; undefined for a GET. */
  readonly body: unknown;
}

export interface ApiRoute {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** The answer as a plain value. Throws InspectionError for what cannot be answered. */
  readonly answer: (request: ApiRequest) => unknown;
}

export interface ApiServerOptions {
  readonly path: string;
  readonly routes: readonly ApiRoute[];
  readonly boundary: Boundary;
  /** For a request to come, and for a client to take or send anything at all. */
  readonly patienceMs?: number;
}

const BODY_BYTES_MAX = 1024 * 1024;
const HEADER_BYTES_MAX = 8 * 1024;
const PATIENCE_MS = 10_000;
const LOOK_MS = 2_000;
/** Makes a URL of a path. */
const BASE = 'http://node';
/** Connections that are served; the next ones are told that the node is busy. */
const CLIENTS_MAX = 128;
/** More than this are not even told. */
const CONNECTIONS_MAX = 512;
/** Answers that their clients have not taken yet: no new one is made while there are more bytes of them. */
const UNSENT_BYTES_MAX = 64 * 1024 * 1024;

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  /** Clients that came when enough others were there. */
  readonly #surplus = new WeakSet<Socket>();

  constructor(options: ApiServerOptions) {
    this.#options = options;
    const patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: patienceMs,
        requestTimeout: patienceMs,
        keepAliveTimeout: 1_000,
        connectionsCheckingInterval: Math.min(LOOK_MS, patienceMs),
      },
      (request, response) => {
        this.#serve(request, response).catch((error: unknown) => {
          options.boundary.report('api', error);
          response.destroy();
        });
      },
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
    // Without any byte in either direction; the other limits are for a request that comes too slowly.
    this.#server.setTimeout(patienceMs);
    this.#server.on('connection', (socket) => this.#welcome(socket));
  }

  /** Takes the path and answers from now on. Throws SocketFileError when it cannot. */
  async listen(): Promise<void> {
    const { path } = this.#options;
    await clearSocketPath(path);
    await new Promise<void>((resolve, reject) => {
      const server = this.#server;
      const refuse = (error: Error): void => {
        reject(new SocketFileError(`api.socket: cannot listen on ${path} (${codeOf(error)}); name another path`));
      };
      server.once('error', refuse);
      // The file must never be open to others, not even before chmod: it is made within listen().
      const umask = process.umask(0o177);
      try {
        server.listen(path, () => {
          server.off('error', refuse);
          server.on('error', (error) => this.#options.boundary.report('api', error));
          resolve();
        });
      } finally {
        process.umask(umask);
      }
    });
    chmodSync(path, 0o600);
  }

  /** Open connections, those that are told to come again included. */
  get clientCount(): number {
    return this.#clients.size;
  }

  /** Ends every connection and removes the socket's file. Harmless when it never listened. */
  async close(): Promise<void> {
    if (!this.#server.listening) {
      return;
    }
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #welcome(socket: Socket): void {
    if (this.#clients.size >= CLIENTS_MAX) {
      this.#surplus.add(socket);
    }
    this.#clients.add(socket);
    socket.once('close', () => this.#clients.delete(socket));
  }

  #isBusy(socket: Socket): boolean {
    let unsentBytes = 0;
    for (const client of this.#clients) {
      unsentBytes += client.writableLength;
    }
    return this.#surplus.has(socket) || unsentBytes > UNSENT_BYTES_MAX;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (this.#isBusy(request.socket)) {
        response.setHeader('connection', 'close');
        response.setHeader('retry-after', '1');
        send(response, 503, { error: 'the node is busy with other questions; try again' });
        return;
      }
      const url = urlOf(request);
      const route = this.#route(request.method ?? '', url.pathname, response);
      if (route !== null) {
        const body = route.method === 'POST' ? await readJson(request) : undefined;
        send(response, 200, route.answer({ query: url.searchParams, body }));
      }
    } catch (error) {
      if (error instanceof InspectionError) {
        send(response, error.status, { error: error.message, problems: error.problems });
      } else if (request.destroyed && !request.complete) {
        // The client went before it had said all: nobody waits for an answer.
        response.destroy();
      } else if (error instanceof RequestError) {
        response.setHeader('connection', 'close');
        send(response, error.status, { error: error.message });
      } else {
        this.#options.boundary.report('api', error);
        send(response, 500, { error: 'internal error; the log of the node says more' });
      }
    }
  }

  /** Null when there is none: then the answer has been given. */
  #route(method: string, path: string, response: ServerResponse): ApiRoute | null {
    const fitting = this.#options.routes.filter((route) => route.path === path);
    const route = fitting.find((candidate) => candidate.method === method);
    if (route !== undefined) {
      return route;
    }
    if (fitting.length === 0) {
      const paths = this.#options.routes.map((each) => `${each.method} ${each.path}`);
      send(response, 404, { error: `there is no ${path}`, problems: [`there are: ${paths.join(', ')}`] });
    } else {
      response.setHeader('allow', fitting.map((each) => each.method).join(', '));
      send(response, 405, { error: `${path} is not for ${method}` });
    }
    return null;
  }
}

class RequestError extends Error {
  readonly status: 400 | 413;

  constructor(status: 400 | 413, message: string) {
    super(message);
    this.status = status;
  }
}

function urlOf(request: IncomingMessage): URL {
  const text = request.url ?? '/';
  if (!URL.canParse(text, BASE)) {
    throw new RequestError(400, 'what is asked for is no path');
  }
  return new URL(text, BASE);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk as Uint8Array);
    byteCount += bytes.length;
    if (byteCount > BODY_BYTES_MAX) {
      throw new RequestError(413, `a request has at most ${BODY_BYTES_MAX} bytes`);
    }
    chunks.push(bytes);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new RequestError(400, 'the body is not JSON');
  }
}

function send(response: ServerResponse, status: number, value: unknown): void {
  if (response.headersSent) {
    return;
  }
  const text = `${JSON.stringify(value)}\n`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
