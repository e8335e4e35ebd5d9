/**
 * What this lighthouse's workers have to say to hosts that have no tunnel yet (a punch notification after a restart, say):
 * it waits for the handshake, a few messages per host and in all, and is dropped when that fails. Workers name hosts and
 * bodies, and any of them may be hostile: a body is no longer than a message, and the host that has waited longest makes
 * room for a new one, so what is never fetched is forgotten.
 */
import type { IpAddress } from '../../../shared/ip/address.ts';
import { MessageType } from '../../../shared/wire/header.ts';
import { LIGHTHOUSE_BYTES_MAX } from '../../../shared/wire/lighthouseEncoder.ts';
import type { Outbox } from '../effects.ts';
import type { PeerTunnel } from './peerTunnel.ts';
import type { Wishes } from './wishes.ts';

const ANSWERS_PER_HOST_MAX = 8;
const HOSTS_MAX = 1024;

export interface WaitingAnswersParts {
  readonly outbox: Outbox;
  readonly wishes: Wishes;
  readonly tunnelTo: (address: IpAddress) => PeerTunnel | null;
}

export class WaitingAnswers {
  readonly #parts: WaitingAnswersParts;
  readonly #waiting = new Map<string, Uint8Array[]>();

  constructor(parts: WaitingAnswersParts) {
    this.#parts = parts;
  }

  /** Keeps an answer and wishes for a tunnel to its host; through one that has come up meanwhile it goes at once. */
  keep(host: IpAddress, body: Uint8Array): void {
    const { outbox, wishes, tunnelTo } = this.#parts;
    const known = this.#waiting.get(host.text) ?? [];
    if (known.length >= ANSWERS_PER_HOST_MAX || body.length > LIGHTHOUSE_BYTES_MAX) {
      outbox.count('lighthouse.answers_dropped');
      return;
    }
    const tunnel = tunnelTo(host);
    if (tunnel !== null) {
      this.#send(tunnel, body);
      return;
    }
    if (known.length === 0 && this.#waiting.size >= HOSTS_MAX) {
      this.#forgetOldest();
    }
    this.#waiting.set(host.text, [...known, body]);
    wishes.add('connect', host);
  }

  /** The host gets what waits for it. */
  onHostUp(tunnel: PeerTunnel): void {
    for (const { text } of tunnel.vpnAddresses) {
      for (const body of this.#waiting.get(text) ?? []) {
        this.#send(tunnel, body);
      }
      this.#waiting.delete(text);
    }
  }

  onHostFailed(host: IpAddress): void {
    this.#waiting.delete(host.text);
  }

  #forgetOldest(): void {
    for (const [host, bodies] of this.#waiting) {
      this.#waiting.delete(host);
      this.#parts.outbox.count('lighthouse.answers_dropped', bodies.length);
      return;
    }
  }

  #send({ slot }: PeerTunnel, body: Uint8Array): void {
    const { outbox } = this.#parts;
    outbox.push({ kind: 'sendSealed', slot, type: MessageType.Lighthouse, subtype: 0, body, endpoint: null });
  }
}
