/**
 * Looks up the names of `static_host_map` and `lighthouse.advertise_addrs` as the system does (hosts file, then DNS).
 * The control plane asks through `resolve` effects and decides how often; a lookup that takes too long counts as failed,
 * but goes on in the background, and nobody starts a second one for the same name meanwhile.
 *
 * A name keeps its last addresses while lookups fail without an answer (a timeout, a name server in trouble). An answer
 * that there is no such name, or that it has no address, takes them away.
 */
import { lookup } from 'node:dns/promises';
import { type Endpoint, endpointOf, parseAddress } from '../../shared/ip/address.ts';
import { errorText } from '../../shared/log/errorText.ts';
import type { HostPort } from '../config/config.ts';
import type { ResolveAnswer, ResolveRequest } from '../control/effects.ts';

/** One name to its addresses; `family` 0 asks for both. Rejects when there are none. */
export type Lookup = (host: string, family: 0 | 4 | 6) => Promise<readonly string[]>;

export class DnsResolver {
  readonly #lookup: Lookup;
  readonly #running: Map<string, Promise<readonly string[]>> = new Map();
  /** What the last answer for a name was, by family and name; as many as the configurations had names. */
  readonly #known: Map<string, readonly string[]> = new Map();

  constructor(lookupName: Lookup = systemLookup) {
    this.#lookup = lookupName;
  }

  /** Never rejects. Endpoints come in the order of the targets. */
  async resolve(request: ResolveRequest): Promise<ResolveAnswer> {
    const results = await Promise.all(request.targets.map((target) => this.#resolveTarget(target, request)));
    return {
      endpoints: results.flatMap((result) => result.endpoints),
      failures: results.flatMap((result) => result.failures),
    };
  }

  async #resolveTarget(target: HostPort, request: ResolveRequest): Promise<ResolveAnswer> {
    const family = FAMILIES[request.network];
    if (target.endpoint !== null) {
      const isAsked = family === 0 || family === target.endpoint.address.family;
      return { endpoints: isAsked ? [target.endpoint] : [], failures: [] };
    }
    try {
      const endpoints = endpointsOf(await within(request.timeoutMs, this.#shared(target.host, family)), target.port);
      return endpoints.length === 0 ? failure(target.host, 'no address found') : { endpoints, failures: [] };
    } catch (error) {
      const known = this.#known.get(keyOf(target.host, family)) ?? [];
      return { ...failure(target.host, errorText(error)), endpoints: endpointsOf(known, target.port) };
    }
  }

  #shared(host: string, family: 0 | 4 | 6): Promise<readonly string[]> {
    const key = keyOf(host, family);
    const running = this.#running.get(key);
    if (running !== undefined) {
      return running;
    }
    const started = this.#answer(key, host, family).finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    // Whoever waited may have given up; that must not become an unhandled rejection.
    started.catch(() => {});
    return started;
  }

  async #answer(key: string, host: string, family: 0 | 4 | 6): Promise<readonly string[]> {
    try {
      const texts = await this.#lookup(host, family);
      this.#known.set(key, texts);
      return texts;
    } catch (error) {
      if (error instanceof Error && Reflect.get(error, 'code') === NO_SUCH_NAME) {
        this.#known.delete(key);
      }
      throw error;
    }
  }
}

function keyOf(host: string, family: number): string {
  return `${family} ${host}`;
}

function endpointsOf(texts: readonly string[], port: number): Endpoint[] {
  return texts.flatMap((text) => {
    const address = parseAddress(text);
    return address === null ? [] : [endpointOf(address, port)];
  });
}

async function systemLookup(host: string, family: 0 | 4 | 6): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, family });
  return found.map(({ address }) => address);
}

async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function failure(host: string, error: string): ResolveAnswer {
  return { endpoints: [], failures: [{ host, error }] };
}

/** Of getaddrinfo: the name servers answered, and there is no such name or no address of the family. */
const NO_SUCH_NAME = 'ENOTFOUND';

const FAMILIES = { ip: 0, ip4: 4, ip6: 6 } as const;
