/**
 * Answers of this lighthouse to hosts that have no tunnel yet (a punch notification after a restart, say): they wait
 * for the handshake, a few per host and in all, and are dropped when it fails. Workers name hosts and bodies, and any of
 * them may be hostile: a body is no longer than a message, and the host that has waited longest makes room for a new one,
 * so what is never fetched is forgotten.
 */
import type { IpAddress } from '../../shared/ip/address.ts';
import { MessageType } from '../../shared/wire/header.ts';
import { LIGHTHOUSE_BYTES_MAX } from '../../shared/wire/lighthouseEncoder.ts';
import type { Effect, Outbox } from '../control/effects.ts';

const ANSWERS_PER_HOST_MAX = 8;
const HOSTS_MAX = 1024;

export class LighthouseAnswers {
  readonly #outbox: Outbox;
  readonly #waiting = new Map<string, Uint8Array[]>();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Keeps an answer and has a tunnel made to its host. */
  keep(host: IpAddress, body: Uint8Array): void {
    const known = this.#waiting.get(host.text) ?? [];
    if (known.length >= ANSWERS_PER_HOST_MAX || body.length > LIGHTHOUSE_BYTES_MAX) {
      this.#outbox.count('lighthouse.answers_dropped');
      return;
    }
    if (known.length === 0 && this.#waiting.size >= HOSTS_MAX) {
      this.#forgetOldest();
    }
    this.#waiting.set(host.text, [...known, body]);
    this.#outbox.push({ kind: 'connect', address: host });
  }

  /** A host that is up gets what waits for it; for one that cannot be reached it is dropped. */
  onEffect(effect: Effect): void {
    if (effect.kind === 'hostUp') {
      this.#send(effect.addresses, effect.slot);
    } else if (effect.kind === 'hostFailed') {
      this.#waiting.delete(effect.address.text);
    }
  }

  #forgetOldest(): void {
    for (const [host, bodies] of this.#waiting) {
      this.#waiting.delete(host);
      this.#outbox.count('lighthouse.answers_dropped', bodies.length);
      return;
    }
  }

  #send(addresses: readonly IpAddress[], slot: number): void {
    for (const address of addresses) {
      for (const body of this.#waiting.get(address.text) ?? []) {
        this.#outbox.push({ kind: 'sendSealed', slot, type: MessageType.Lighthouse, subtype: 0, body, endpoint: null });
      }
      this.#waiting.delete(address.text);
    }
  }
}
