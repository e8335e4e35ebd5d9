/**
 * Peers whose endpoints the operator wrote down (`static_host_map`): addresses count at once, names are looked up at
 * once and again every `static_map.cadence` for as long as the entry exists (Nebula protocol: static_host_map).
 *
 * A round looks up every target of an entry; what it finds replaces what the round before found. A name of which the
 * name servers say that it is no more takes its endpoints along; one that they do not answer for keeps them (the shell's
 * resolver knows which). The lookups themselves are the shell's: requests go out as effects, answers come
 * back through `onResolved`.
 */

import type { Endpoint, IpAddress } from '../../../shared/ip/address.ts';
import type { HostPort, StaticHost } from '../../config/config.ts';
import type { Outbox, ResolveAnswer } from '../effects.ts';
import type { Now } from '../now.ts';
import { Timers } from '../timers.ts';
import type { Remotes } from './remotes.ts';
import type { Wishes } from './wishes.ts';

export interface StaticHostsSettings {
  readonly hosts: readonly StaticHost[];
  readonly cadenceMs: number;
  readonly network: 'ip4' | 'ip6' | 'ip';
  readonly lookupTimeoutMs: number;
}

export interface StaticHostsParts {
  readonly outbox: Outbox;
  readonly wishes: Wishes;
  readonly remotes: Remotes;
  /** This node's first vpn address: the owner of what the operator wrote. */
  readonly ownAddress: IpAddress;
  /** Gives each lookup a number that nobody else's has. */
  readonly requestId: () => number;
}

export class StaticHosts {
  readonly #parts: StaticHostsParts;
  readonly #timers: Timers<NamedHost> = new Timers();
  /** Entries with a name, by vpn address. */
  #named: Map<string, NamedHost> = new Map();
  #hosts: readonly StaticHost[] = [];
  #settings: StaticHostsSettings | null = null;

  constructor(parts: StaticHostsParts) {
    this.#parts = parts;
  }

  get nextMs(): number | null {
    return this.#timers.nextMs;
  }

  /** Takes the entries of a new configuration: rebuilds all, starts a round for each entry with a name. */
  apply(now: Now, settings: StaticHostsSettings): void {
    const { remotes, ownAddress } = this.#parts;
    for (const named of this.#named.values()) {
      this.#timers.cancel(named.timer);
    }
    for (const { vpnAddress } of this.#hosts) {
      remotes.retract(ownAddress, vpnAddress);
      if (!settings.hosts.some((host) => host.vpnAddress.text === vpnAddress.text && host.targets.some(isName))) {
        remotes.resolve(vpnAddress, []);
      }
    }
    const former = this.#named;
    this.#settings = settings;
    this.#hosts = settings.hosts;
    this.#named = new Map();
    remotes.applyStaticHosts(settings.hosts.map((host) => host.vpnAddress));
    for (const host of settings.hosts) {
      const addresses = host.targets.flatMap((target) => target.endpoint ?? []);
      remotes.report(ownAddress, host.vpnAddress, addresses, []);
      if (host.targets.some(isName)) {
        const known = former.get(host.vpnAddress.text)?.foundKey ?? '';
        const named: NamedHost = { host, timer: 0, requestId: 0, foundKey: known };
        this.#named.set(host.vpnAddress.text, named);
        this.#startRound(now, named);
      }
    }
  }

  onTimer(now: Now): void {
    for (let named = this.#timers.takeDue(now.ms); named !== null; named = this.#timers.takeDue(now.ms)) {
      this.#startRound(now, named);
    }
  }

  /** The answer to a request; false when it is not one of this part's latest. */
  onResolved(requestId: number, answer: ResolveAnswer): boolean {
    for (const named of this.#named.values()) {
      if (named.requestId === requestId) {
        this.#take(named, answer);
        return true;
      }
    }
    return false;
  }

  #startRound(now: Now, named: NamedHost): void {
    const settings = this.#settings;
    if (settings === null) {
      return;
    }
    named.requestId = this.#parts.requestId();
    this.#parts.outbox.push({
      kind: 'resolve',
      request: {
        id: named.requestId,
        targets: named.host.targets,
        network: settings.network,
        timeoutMs: settings.lookupTimeoutMs,
      },
    });
    named.timer = this.#timers.schedule(now.ms + settings.cadenceMs, named);
  }

  #take(named: NamedHost, answer: ResolveAnswer): void {
    const { outbox, wishes, remotes } = this.#parts;
    const { vpnAddress } = named.host;
    remotes.noteUnresolved(vpnAddress, answer.failures);
    for (const failure of answer.failures) {
      outbox.log('error', 'DNS resolution failed for static_map host', {
        hostname: failure.host,
        vpnAddr: vpnAddress.text,
        error: failure.error,
      });
    }
    const found = [...new Set(answer.endpoints.map((endpoint) => endpoint.text))].sort();
    const foundKey = found.join(' ');
    if (foundKey === named.foundKey) {
      return;
    }
    outbox.log('info', 'DNS results changed for host list', {
      vpnAddr: vpnAddress.text,
      from: named.foundKey === '' ? [] : named.foundKey.split(' '),
      to: found,
    });
    named.foundKey = foundKey;
    remotes.resolve(vpnAddress, usable(answer.endpoints));
    wishes.add('retry', vpnAddress);
  }
}

interface NamedHost {
  readonly host: StaticHost;
  timer: number;
  /** The round under way or done last; answers to earlier ones are ignored. */
  requestId: number;
  /** What the last round found, as text. */
  foundKey: string;
}

function isName(target: HostPort): boolean {
  return target.endpoint === null;
}

/** A name may have any number of addresses; more than these are not worth a try. */
function usable(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return endpoints.slice(0, RESOLVED_MAX);
}

const RESOLVED_MAX = 64;
