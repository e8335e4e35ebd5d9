/**
 * Where this node can be reached: what the operator says first (`lighthouse.advertise_addrs`), then the machine's own
 * addresses with our port. Names are looked up until they are found once, and the first address counts (Nebula protocol:
 * advertise_addrs).
 */
import { type Endpoint, endpointOf, type Prefix } from '../../../shared/ip/address.ts';
import type { HostPort } from '../../config/config.ts';
import type { Outbox, ResolveAnswer } from '../effects.ts';
import type { Now } from '../now.ts';
import { Timers } from '../timers.ts';
import type { LocalAllowList } from './allowList.ts';
import { type LocalAddress, selectLocalAddresses } from './localAddresses.ts';

export interface OwnEndpointsSettings {
  readonly advertiseAddrs: readonly HostPort[];
  readonly localAllowList: LocalAllowList;
  readonly ownNetworks: readonly Prefix[];
  /** The UDP port that this node really has. */
  readonly port: number;
  /** Of a lookup; one that found nothing is done again after `cadenceMs`. */
  readonly lookupTimeoutMs: number;
  readonly cadenceMs: number;
}

/** One entry of `lighthouse.advertise_addrs`. */
interface Advertised {
  readonly target: HostPort;
  /** Null until its name was found. */
  endpoint: Endpoint | null;
  requestId: number;
}

export class OwnEndpoints {
  readonly #outbox: Outbox;
  readonly #requestId: () => number;
  /** Names that have not been found yet, to be looked up again. */
  readonly #timers: Timers<Advertised> = new Timers();
  #advertised: Advertised[] = [];
  #localAddresses: readonly LocalAddress[] = [];
  #settings: OwnEndpointsSettings;

  /** `requestId` gives each lookup a number that nobody else's has. Nothing is looked up before `applySettings`. */
  constructor(outbox: Outbox, requestId: () => number, settings: OwnEndpointsSettings) {
    this.#outbox = outbox;
    this.#requestId = requestId;
    this.#settings = settings;
  }

  get nextMs(): number | null {
    return this.#timers.nextMs;
  }

  /** The most telling first. */
  list(): Endpoint[] {
    const { localAllowList, ownNetworks, port } = this.#settings;
    const told = this.#advertised.flatMap(({ endpoint }) => endpoint ?? []);
    const local = selectLocalAddresses(this.#localAddresses, { allowList: localAllowList, ownNetworks });
    return [
      ...told.map((endpoint) => (endpoint.port === 0 ? endpointOf(endpoint.address, port) : endpoint)),
      ...local.map((address) => endpointOf(address, port)),
    ];
  }

  applySettings(settings: OwnEndpointsSettings): void {
    const former = this.#advertised;
    this.#settings = settings;
    this.#advertised = settings.advertiseAddrs.map((target) => {
      const known = former.find((entry) => entry.target.host === target.host && entry.target.port === target.port);
      return { target, endpoint: target.endpoint ?? known?.endpoint ?? null, requestId: 0 };
    });
    for (const entry of this.#advertised) {
      if (entry.endpoint === null) {
        this.#lookUp(entry);
      }
    }
  }

  /** All addresses of the machine. */
  applyLocalAddresses(addresses: readonly LocalAddress[]): void {
    this.#localAddresses = addresses;
  }

  onTimer(now: Now): void {
    for (let due = this.#timers.takeDue(now.ms); due !== null; due = this.#timers.takeDue(now.ms)) {
      if (this.#advertised.includes(due)) {
        this.#lookUp(due);
      }
    }
  }

  /** The answer to a request; those that are not this part's latest are ignored. */
  onResolved(now: Now, requestId: number, answer: ResolveAnswer): void {
    const advertised = this.#advertised.find((entry) => entry.requestId === requestId);
    if (advertised === undefined) {
      return;
    }
    for (const failure of answer.failures) {
      this.#outbox.log('error', 'DNS resolution failed for lighthouse.advertise_addrs', {
        hostname: failure.host,
        error: failure.error,
      });
    }
    if (answer.endpoints.length === 0) {
      this.#timers.schedule(now.ms + this.#settings.cadenceMs, advertised);
    } else {
      advertised.endpoint = answer.endpoints[0];
    }
  }

  #lookUp(entry: Advertised): void {
    entry.requestId = this.#requestId();
    this.#outbox.push({
      kind: 'resolve',
      request: {
        id: entry.requestId,
        targets: [entry.target],
        network: 'ip',
        timeoutMs: this.#settings.lookupTimeoutMs,
      },
    });
  }
}
