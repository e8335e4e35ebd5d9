/**
 * Looks up the names of `static_host_map` and `lighthouse.advertise_addrs` as the system does (hosts file, then DNS).
 * The control plane asks through `resolve` effects and decides how often; a lookup that takes too long counts as failed,
 * but goes on in the background, and nobody starts a second one for the same name meanwhile.
 */
import { lookup } from 'node:dns/promises';
import { type Endpoint, endpointOf, type IpAddress, parseAddress } from '../../shared/ip/address.ts';
import { errorText } from '../../shared/log/errorText.ts';
import type { HostPort } from '../config/config.ts';
import type { ResolveAnswer, ResolveRequest } from '../control/effects.ts';

/** One name to its addresses; `family` 0 asks for both. Rejects when there are none. */
export type Lookup = (host: string, family: 0 | 4 | 6) => Promise<readonly string[]>;

export class DnsResolver {
  readonly #lookup: Lookup;
  readonly #running: Map<string, Promise<readonly string[]>> = new Map();

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
      const texts = await within(request.timeoutMs, this.#shared(target.host, family));
      const addresses = texts.flatMap((text): IpAddress[] => {
        const address = parseAddress(text);
        return address === null ? [] : [address];
      });
      const endpoints = addresses.map((address): Endpoint => endpointOf(address, target.port));
      return endpoints.length === 0 ? failure(target.host, 'no address found') : { endpoints, failures: [] };
    } catch (error) {
      return failure(target.host, errorText(error));
    }
  }

  #shared(host: string, family: 0 | 4 | 6): Promise<readonly string[]> {
    const key = `${family} ${host}`;
    const running = this.#running.get(key);
    if (running !== undefined) {
      return running;
    }
    const started = this.#lookup(host, family).finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    // Whoever waited may have given up; that must not become an unhandled rejection.
    started.catch(() => {});
    return started;
  }
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

const FAMILIES = { ip: 0, ip4: 4, ip6: 6 } as const;
