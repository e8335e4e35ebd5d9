/**
 * A network between simulated nodes: it loses, delays (and so reorders) and duplicates datagrams, all from one seed.
 * A NAT stands in front of a node as in life: it gives the node's packets a public endpoint, and lets in only what
 * comes from where the node has sent to lately.
 */
import { Timers } from '../../src/primary/control/timers.ts';
import type { Endpoint } from '../../src/shared/ip/address.ts';
import type { Random } from '../support/random.ts';

export interface NetworkQuality {
  /** Probabilities from 0 to 1. */
  readonly loss: number;
  readonly duplication: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
}

const goodNetwork: NetworkQuality = { loss: 0, duplication: 0, delayMsMin: 5, delayMsMax: 5 };

export interface Datagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
}

const NAT_LIFETIME_MS = 30_000;

/** Whose packets a NAT lets in (RFC 4787): only the endpoint's that was sent to, or anybody's while its mapping lives. */
export type NatFiltering = 'endpoint' | 'none';

/** The public side of one node behind a NAT; its mapping does not depend on the destination. */
export class Nat {
  publicEndpoint: Endpoint;
  readonly #filtering: NatFiltering;
  readonly #openUntilMs = new Map<string, number>();
  #mappedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(publicEndpoint: Endpoint, filtering: NatFiltering = 'endpoint') {
    this.publicEndpoint = publicEndpoint;
    this.#filtering = filtering;
  }

  /** The router restarted: another public endpoint, and nobody may come in until the node sends again. */
  rebind(publicEndpoint: Endpoint): void {
    this.publicEndpoint = publicEndpoint;
    this.#openUntilMs.clear();
    this.#mappedUntilMs = Number.NEGATIVE_INFINITY;
  }

  noteSent(to: Endpoint, nowMs: number): void {
    this.#openUntilMs.set(to.text, nowMs + NAT_LIFETIME_MS);
    this.#mappedUntilMs = nowMs + NAT_LIFETIME_MS;
  }

  letsIn(from: Endpoint, nowMs: number): boolean {
    if (this.#filtering === 'none') {
      return this.#mappedUntilMs >= nowMs;
    }
    return (this.#openUntilMs.get(from.text) ?? Number.NEGATIVE_INFINITY) >= nowMs;
  }
}

export class Network {
  quality: NetworkQuality = goodNetwork;
  /** Somebody on the path keeps a datagram: what becomes of it is his business. */
  holds: (datagram: Datagram) => boolean = () => false;
  /** Every datagram that was sent, also lost ones, in order. */
  readonly sent: Datagram[] = [];
  readonly #inFlight = new Timers<Datagram>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  get nextMs(): number | null {
    return this.#inFlight.nextMs;
  }

  send(datagram: Datagram, nowMs: number): void {
    this.sent.push(datagram);
    if (this.holds(datagram)) {
      return;
    }
    const { loss, duplication } = this.quality;
    const copies = this.#random.unit() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random.unit() >= loss) {
        this.#inFlight.schedule(nowMs + this.#delayMs(), datagram);
      }
    }
  }

  takeDue(nowMs: number): Datagram | null {
    return this.#inFlight.takeDue(nowMs);
  }

  #delayMs(): number {
    const { delayMsMin, delayMsMax } = this.quality;
    return delayMsMin + this.#random.below(delayMsMax - delayMsMin + 1);
  }
}
