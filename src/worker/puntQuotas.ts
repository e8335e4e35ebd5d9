/**
 * What one tunnel's peer may have this worker say to the primary, by kind, so that a certified peer that asks without
 * end costs itself its answers and nobody else anything. Packets that wait for a host are limited by host.
 *
 * Strangers have theirs in `datapath/strangers.ts`, and a change of endpoint in the tunnel's context. What is refused is
 * counted by kind. One array per kind; nothing is allocated.
 */

import { METRIC } from '../shared/memory/metrics.ts';
import { addressHash } from './datapath/senderHash.ts';
import { Quotas } from './quotas.ts';

/** A power of two. */
const HOSTS = 4096;

export class PuntQuotas {
  readonly #metrics: Float64Array;
  /** A peer that has moved asks a few times until the answer finds it. */
  readonly #tests: Quotas;
  readonly #closes: Quotas;
  /** A lighthouse answers for every host that this node looks for. */
  readonly #lighthouse: Quotas;
  /** Of the peer that asked, whoever the answer is for. */
  readonly #lighthouseAnswers: Quotas;
  readonly #misses: Quotas = new Quotas(HOSTS, 4, 8);

  /** `tunnels` is the count of slots. */
  constructor(tunnels: number, metrics: Float64Array) {
    this.#metrics = metrics;
    this.#tests = new Quotas(tunnels, 10, 20);
    this.#closes = new Quotas(tunnels, 1, 4);
    this.#lighthouse = new Quotas(tunnels, 500, 1000);
    this.#lighthouseAnswers = new Quotas(tunnels, 20, 100);
  }

  test(slot: number, nowMs: number): boolean {
    return this.#tests.admit(slot, nowMs) || this.#refuse(METRIC['punts.limited.test']);
  }

  close(slot: number, nowMs: number): boolean {
    return this.#closes.admit(slot, nowMs) || this.#refuse(METRIC['punts.limited.close']);
  }

  lighthouse(slot: number, nowMs: number): boolean {
    return this.#lighthouse.admit(slot, nowMs) || this.#refuse(METRIC['punts.limited.lighthouse']);
  }

  lighthouseAnswer(slot: number, nowMs: number): boolean {
    return this.#lighthouseAnswers.admit(slot, nowMs) || this.#refuse(METRIC['punts.limited.lighthouse_answer']);
  }

  /** For a host given as words. */
  miss(a0: number, a1: number, a2: number, a3: number, nowMs: number): boolean {
    return (
      this.#misses.admit(addressHash(HOSTS, a0, a1, a2, a3) & (HOSTS - 1), nowMs) ||
      this.#refuse(METRIC['punts.limited.miss'])
    );
  }

  #refuse(metric: number): boolean {
    this.#metrics[metric]++;
    return false;
  }
}
