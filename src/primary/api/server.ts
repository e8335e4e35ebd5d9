/**
 * The local API: JSON over HTTP on a Unix socket, for the command line and for whoever runs as the node's own user.
 *
 * Knows HTTP and limits, nothing of what is asked: routes are values. A request is small, quickly sent and answered in
 * one piece; anything else gets an error as JSON (`{"error": …}`) or is cut off. A fault in a route never reaches the
 * node.
 */
import { chmodSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '../../shared/log/logger.ts';
import { InspectionError } from '../inspection.ts';
import { clearSocketPath, codeOf, SocketFileError } from './socketFile.ts';

export interface ApiRequest {
  readonly query: URLSearchParams;
  /** Parsed JSON of a POST; undefined for a GET. */
  readonly body: unknown;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** The answer as a plain value. Throws InspectionError for what cannot be answered. */
  readonly answer: (request: ApiRequest) => unknown;
}

export interface ApiServerOptions {
  readonly path: string;
  readonly routes: readonly Route[];
  readonly log: Logger;
}

const BODY_BYTES_MAX = 1024 * 1024;
const HEADER_BYTES_MAX = 8 * 1024;
const REQUEST_MS_MAX = 10_000;
const CONNECTIONS_MAX = 32;

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #server: Server;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: REQUEST_MS_MAX,
        requestTimeout: REQUEST_MS_MAX,
        keepAliveTimeout: 1_000,
        connectionsCheckingInterval: 2_000,
      },
      (request, response) => {
        this.#serve(request, response).catch((error: unknown) => {
          options.log.warn('A request to the local API failed', { error: codeOf(error) });
          response.destroy();
        });
      },
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
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
          server.on('error', (error) => this.#options.log.warn('The local API has a fault', { error: codeOf(error) }));
          resolve();
        });
      } finally {
        process.umask(umask);
      }
    });
    chmodSync(path, 0o600);
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

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', 'http://node');
      const route = this.#route(request.method ?? '', url.pathname, response);
      if (route !== null) {
        const body = route.method === 'POST' ? await readJson(request) : undefined;
        send(response, 200, route.answer({ query: url.searchParams, body }));
      }
    } catch (error) {
      if (error instanceof InspectionError) {
        send(response, error.status, { error: error.message, problems: error.problems });
      } else if (error instanceof BodyError) {
        response.setHeader('connection', 'close');
        send(response, error.status, { error: error.message });
      } else {
        this.#options.log.error('The local API could not answer', { request: request.url ?? '', error });
        send(response, 500, { error: 'internal error; the log of the node says more' });
      }
    }
  }

  /** Null when there is none: then the answer has been given. */
  #route(method: string, path: string, response: ServerResponse): Route | null {
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

class BodyError extends Error {
  readonly status: 400 | 413;

  constructor(status: 400 | 413, message: string) {
    super(message);
    this.status = status;
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk as Uint8Array);
    byteCount += bytes.length;
    if (byteCount > BODY_BYTES_MAX) {
      throw new BodyError(413, `a request has at most ${BODY_BYTES_MAX} bytes`);
    }
    chunks.push(bytes);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new BodyError(400, 'the body is not JSON');
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
