/**
 * Opens NATs for peers that a lighthouse announced (Nebula protocol: hole punching): a while after the notification one
 * datagram of a zero byte to each of the querier's endpoints, and with `punchy.respond` later a test request, which
 * starts a handshake from this side for NATs that only let answers in.
 *
 * The waiting jobs are values of their own: nothing of the notification's message is kept, so any number of
 * notifications within the delay do not disturb each other.
 */
import { type Endpoint, type IpAddress, type Prefix, prefixContains } from '../../../shared/ip/address.ts';
import type { Outbox } from '../effects.ts';
import type { Now } from '../now.ts';
import { Timers } from '../timers.ts';
import type { RemoteAllowList } from './allowList.ts';
import type { Wishes } from './wishes.ts';

export interface PunchingSettings {
  /** `punchy.delay`, `punchy.respond`, `punchy.respond_delay`. */
  readonly delayMs: number;
  readonly respond: boolean;
  readonly respondDelayMs: number;
  readonly allowList: RemoteAllowList;
  readonly ownNetworks: readonly Prefix[];
}

type Job =
  | { readonly kind: 'punch'; readonly endpoint: Endpoint }
  | { readonly kind: 'respond'; readonly querier: IpAddress };

/** Notifications come from trusted lighthouses, yet whoever queries there a lot causes them: more jobs wait nowhere. */
export const PUNCH_JOBS_MAX = 1024;

export class Punching {
  readonly #outbox: Outbox;
  readonly #wishes: Wishes;
  readonly #timers: Timers<Job> = new Timers();
  #settings: PunchingSettings;

  constructor(outbox: Outbox, wishes: Wishes, settings: PunchingSettings) {
    this.#outbox = outbox;
    this.#wishes = wishes;
    this.#settings = settings;
  }

  /** Applies to notifications that come from now on. */
  applySettings(settings: PunchingSettings): void {
    this.#settings = settings;
  }

  get nextMs(): number | null {
    return this.#timers.nextMs;
  }

  /** A lighthouse says that the host `querier` wants to reach this node from `endpoints`. */
  onNotification(now: Now, querier: IpAddress, endpoints: readonly Endpoint[]): void {
    const { delayMs, respond, respondDelayMs, allowList, ownNetworks } = this.#settings;
    for (const endpoint of endpoints) {
      const { address } = endpoint;
      if (allowList.allows(querier, address) && !ownNetworks.some((network) => prefixContains(network, address))) {
        this.#schedule(now.ms + delayMs, { kind: 'punch', endpoint });
      }
    }
    if (respond) {
      this.#schedule(now.ms + respondDelayMs, { kind: 'respond', querier });
    }
  }

  onTimer(now: Now): void {
    for (let job = this.#timers.takeDue(now.ms); job !== null; job = this.#timers.takeDue(now.ms)) {
      if (job.kind === 'punch') {
        this.#outbox.push({ kind: 'punch', endpoint: job.endpoint, byte: 0 });
      } else {
        this.#wishes.add('test', job.querier);
      }
    }
  }

  #schedule(atMs: number, job: Job): void {
    if (this.#timers.size >= PUNCH_JOBS_MAX) {
      this.#outbox.count('lighthouse.punches_refused');
      return;
    }
    this.#timers.schedule(atMs, job);
  }
}
