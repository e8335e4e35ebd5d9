/**
 * Asks a running node over its local socket: finds the socket, sends one request, gives back the parsed answer.
 *
 * Every failure is an ApiClientError whose message can be shown to the operator as it is.
 */
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { codeOf } from '../api/socketFile.ts';
import { SOCKET_DIRECTORY } from '../config/socketPath.ts';

export class ApiClientError extends Error {
  /** Details, one line each. */
  readonly problems: readonly string[];

  constructor(message: string, problems: readonly string[] = []) {
    super(message);
    this.problems = problems;
  }
}

const ANSWER_MS_MAX = 30_000;

/**
 * The socket to ask: the one that was named, else the only one in the default directory. Throws when there is none or
 * when there are several to choose from.
 */
export function chooseSocket(named: string, directory: string = SOCKET_DIRECTORY): string {
  if (named !== '') {
    return named;
  }
  const found = socketsIn(directory);
  if (found.length === 0) {
    throw new ApiClientError(
      `no node runs: there is no socket in ${directory}; name the node's api.socket with -socket PATH`,
    );
  }
  if (found.length > 1) {
    throw new ApiClientError('several sockets are there, name one with -socket PATH:', found);
  }
  return found[0];
}

export class ApiClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The answer's JSON; the caller knows its shape by the path. */
  async get(path: string, query: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const words = new URLSearchParams(query).toString();
    return await this.#ask('GET', words === '' ? path : `${path}?${words}`, null);
  }

  async post(path: string, body: unknown): Promise<unknown> {
    return await this.#ask('POST', path, JSON.stringify(body));
  }

  async #ask(method: string, path: string, body: string | null): Promise<unknown> {
    const { status, text } = await this.#exchange(method, path, body);
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      throw new ApiClientError(`what answers at ${this.#socketPath} is no weft node`);
    }
    if (status !== 200) {
      throw refusalOf(answer, status);
    }
    return answer;
  }

  #exchange(method: string, path: string, body: string | null): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const refuse = (error: Error): void => reject(this.#connectionError(error));
      const headers =
        body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const options = { socketPath: this.#socketPath, method, path, headers, agent: false, timeout: ANSWER_MS_MAX };
      const sent = request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', refuse);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
      sent.on('error', refuse);
      sent.end(body ?? undefined);
    });
  }

  #connectionError(error: Error): ApiClientError {
    const code = codeOf(error);
    switch (code) {
      case 'ENOENT':
      case 'ECONNREFUSED':
        return new ApiClientError(
          `no node answers at ${this.#socketPath}: is weft running, and is this its api.socket?`,
        );
      case 'EACCES':
      case 'EPERM':
        return new ApiClientError(`${this.#socketPath} is for the user who runs the node: try with sudo`);
      default:
        return new ApiClientError(`asking the node at ${this.#socketPath} failed: ${code}`);
    }
  }
}

function socketsIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isSocket() && entry.name.endsWith('.sock'))
      .map((entry) => join(directory, entry.name))
      .sort();
  } catch {
    return [];
  }
}

function refusalOf(answer: unknown, status: number): ApiClientError {
  const map: { readonly error?: unknown; readonly problems?: unknown } =
    typeof answer === 'object' && answer !== null ? answer : {};
  const problems = Array.isArray(map.problems) ? map.problems.map(String) : [];
  return new ApiClientError(typeof map.error === 'string' ? map.error : `the node answered with ${status}`, problems);
}
