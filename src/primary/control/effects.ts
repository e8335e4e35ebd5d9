/**
 * What the control plane wants done outside of it, as values. It collects them in an Outbox; the shell drains it after
 * every call and carries the effects out in their order. None of them is an event for the control plane again; what its
 * parts say to each other are method calls and `Wish`es.
 */

import type { Endpoint, IpAddress } from '../../shared/ip/address.ts';
import type { MessageType } from '../../shared/wire/header.ts';
import type { HostPort } from '../config/config.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export type Effect =
  /** A complete datagram (handshake messages), sent as it is. `bytes` must not be changed. */
  | { readonly kind: 'sendDatagram'; readonly endpoint: Endpoint; readonly bytes: Uint8Array }
  /** Seal `body` with the tunnel's key and send it to `endpoint`, or to the tunnel's own endpoint when that is null. */
  | {
      readonly kind: 'sendSealed';
      readonly slot: number;
      readonly type: MessageType;
      readonly subtype: number;
      readonly body: Uint8Array;
      readonly endpoint: Endpoint | null;
    }
  /** One datagram of one byte: 1 keeps a NAT open, 0 opens it for a peer (Nebula protocol: punch packets). */
  | { readonly kind: 'punch'; readonly endpoint: Endpoint; readonly byte: 0 | 1 }
  /** These addresses of the host of this name have a tunnel now: workers flush packets that wait for them. */
  | { readonly kind: 'hostUp'; readonly addresses: readonly IpAddress[]; readonly name: string }
  /** The handshake was given up: workers drop the packets that wait for the address. */
  | { readonly kind: 'hostFailed'; readonly address: IpAddress }
  /** The tunnel ended: with `farewell` its key seals one last message, closeTunnel; then its row (slot) goes. */
  | { readonly kind: 'tunnelClosed'; readonly slot: number; readonly farewell: boolean; readonly reason: string }
  /** That was the last tunnel to these addresses. */
  | { readonly kind: 'hostGone'; readonly addresses: readonly IpAddress[] }
  /** Look up names; the answer names `request`, and comes even when nothing was found. */
  | { readonly kind: 'resolve'; readonly request: ResolveRequest }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly message: string; readonly fields: LogFields }
  | { readonly kind: 'count'; readonly metric: string; readonly n: number }
  /** A handshake that this node started is complete: from its first attempt to now. */
  | { readonly kind: 'handshakeTook'; readonly durationMs: number };

/** Names to look up, each within `timeoutMs`; targets that are addresses already stand for themselves. */
export interface ResolveRequest {
  readonly id: number;
  readonly targets: readonly HostPort[];
  readonly network: 'ip4' | 'ip6' | 'ip';
  readonly timeoutMs: number;
}

/** What came of it: endpoints in the order of the targets, and which names gave none. */
export interface ResolveAnswer {
  readonly endpoints: readonly Endpoint[];
  readonly failures: readonly { readonly host: string; readonly error: string }[];
}

export class Outbox {
  #effects: Effect[] = [];

  push(effect: Effect): void {
    this.#effects.push(effect);
  }

  count(metric: string, n: number = 1): void {
    this.#effects.push({ kind: 'count', metric, n });
  }

  /** `message` is one of a fixed set of texts: how many lines of each are printed is the log's to limit (`LimitedLog`). */
  log(level: LogLevel, message: string, fields: LogFields = {}): void {
    this.#effects.push({ kind: 'log', level, message, fields });
  }

  /** Hands over everything collected since the last call, in order. */
  drain(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
