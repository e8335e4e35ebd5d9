/**
 * This node as a client of its lighthouses: asks them where hosts are, believes their answers, tells them where this
 * node is (Nebula protocol: lighthouse client). A lighthouse itself neither asks nor tells.
 *
 *   query        ─▶ sealed to every lighthouse; one without a tunnel gets a handshake, its queries wait
 *   reply        ─▶ remotes, by the lighthouse that said so ─▶ a handshake that waits tries again
 *   notification ─▶ Punching
 *   interval, lighthouse up, new local addresses ─▶ update
 */
import type { Endpoint, IpAddress } from '../../../shared/ip/address.ts';
import { LighthouseDecoder } from '../../../shared/wire/lighthouseDecoder.ts';
import {
  endpointsOf,
  LighthouseMessage,
  LighthouseType,
  relaysOf,
  targetOf,
} from '../../../shared/wire/lighthouseMessage.ts';
import type { Outbox } from '../effects.ts';
import type { Now } from '../now.ts';
import { RecentKeys } from '../recentKeys.ts';
import { Timers } from '../timers.ts';
import { LighthouseLetters, lighthouseTypeName } from './lighthouseLetters.ts';
import type { PeerTunnel } from './peerTunnel.ts';
import type { Punching } from './punching.ts';
import type { Remotes } from './remotes.ts';
import type { Wishes } from './wishes.ts';

export interface LighthouseClientSettings {
  readonly amLighthouse: boolean;
  /** `lighthouse.hosts`. */
  readonly lighthouses: readonly IpAddress[];
  /** `lighthouse.interval`; 0 sends no updates. */
  readonly intervalMs: number;
  /** `handshakes.query_buffer`: queries that wait for a tunnel to a lighthouse. */
  readonly queryBuffer: number;
  /** Vpn addresses of hosts that relay to this node. */
  readonly relays: readonly IpAddress[];
  /** This node has a version 1 certificate, and one of version 2 with IPv6 networks. */
  readonly hasTwoVersions: boolean;
}

export interface LighthouseClientParts {
  readonly outbox: Outbox;
  readonly wishes: Wishes;
  readonly remotes: Remotes;
  readonly punching: Punching;
  /** The primary tunnel to a vpn address, or null. */
  readonly tunnelTo: (address: IpAddress) => PeerTunnel | null;
  readonly settings: LighthouseClientSettings;
}

/** A reply to a question is believed for so long; unasked ones would let a lighthouse fill the memory. */
const ASKED_MS = 60_000;
const ASKED_MAX = 8192;

/** So long after it was asked for, a tunnel of version 2 may still come up: a handshake with all its tries. */
const UPGRADE_MS = 15_000;

/** A lost tunnel to a lighthouse is replaced after this: at once, but not in a tight loop with one that keeps closing it. */
const RECONNECT_MS = 500;

export class LighthouseClient {
  readonly #parts: LighthouseClientParts;
  #settings: LighthouseClientSettings;
  readonly #timers: Timers<'update'> = new Timers();
  #updateTimer = 0;
  /** Endpoints of this node, advertised ones first. */
  #ownEndpoints: readonly Endpoint[] = [];
  /** By lighthouse: addresses to ask for once its tunnel is up. */
  readonly #waiting: Map<string, Map<string, IpAddress>> = new Map();
  /** By lighthouse: slot of the tunnel that the last update went through. */
  readonly #toldSlots: Map<string, number> = new Map();
  /** By lighthouse: the tunnel of version 1 that was to be made anew with version 2, once each, and until when it may be. */
  readonly #upgrades: Map<string, { readonly slot: number; readonly untilMs: number }> = new Map();
  /** Addresses asked for: answers are believed. */
  readonly #asked = new RecentKeys(ASKED_MS, ASKED_MAX);
  readonly #letters: LighthouseLetters;
  /** The one that was received last. */
  readonly #message = new LighthouseMessage();
  readonly #decoder = new LighthouseDecoder();

  constructor(parts: LighthouseClientParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.#letters = new LighthouseLetters(parts.outbox);
  }

  get nextMs(): number | null {
    return this.#timers.nextMs;
  }

  /** Sends the first update. `endpoints`: where this node can be reached, the most telling first. */
  start(now: Now, endpoints: readonly Endpoint[]): void {
    this.#ownEndpoints = endpoints;
    this.#update(now);
  }

  applySettings(now: Now, settings: LighthouseClientSettings): void {
    const before = this.#settings;
    this.#settings = settings;
    for (const key of [...this.#waiting.keys(), ...this.#toldSlots.keys()]) {
      if (!settings.lighthouses.some((lighthouse) => lighthouse.text === key)) {
        this.#upgrades.delete(key);
        this.#waiting.delete(key);
        this.#toldSlots.delete(key);
      }
    }
    const isSame =
      before.intervalMs === settings.intervalMs &&
      textsOf(before.lighthouses) === textsOf(settings.lighthouses) &&
      textsOf(before.relays) === textsOf(settings.relays);
    if (!isSame) {
      this.#update(now);
    }
  }

  /** This node's endpoints may have changed: if they did, the lighthouses are told at once. */
  applyEndpoints(now: Now, endpoints: readonly Endpoint[]): void {
    if (textsOf(endpoints) !== textsOf(this.#ownEndpoints)) {
      this.#ownEndpoints = endpoints;
      this.#update(now);
    }
  }

  isLighthouse(address: IpAddress): boolean {
    return this.#settings.lighthouses.some((lighthouse) => lighthouse.text === address.text);
  }

  /** Asks all lighthouses where a host is. */
  query(now: Now, address: IpAddress): void {
    if (this.#settings.amLighthouse || this.isLighthouse(address)) {
      return;
    }
    this.#asked.note(now.ms, address.text);
    for (const lighthouse of this.#settings.lighthouses) {
      const tunnel = this.#parts.tunnelTo(lighthouse);
      if (tunnel !== null) {
        this.#ask(now, lighthouse, tunnel, address);
      } else if (this.#wait(lighthouse, address)) {
        this.#parts.wishes.add('connect', lighthouse);
      }
    }
  }

  onTimer(now: Now): void {
    while (this.#timers.takeDue(now.ms) !== null) {
      this.#update(now);
    }
  }

  /** Tells the lighthouses at once, not after the interval: they may have forgotten this node. */
  onStandstill(now: Now): void {
    this.#update(now);
  }

  /**
   * A tunnel to these addresses is up: if it is a lighthouse's, it gets an update and the queries that waited. One of
   * version 1 tells nothing of this node's IPv6 addresses, so it is made anew where there is a certificate of version 2.
   */
  onHostUp(now: Now, addresses: readonly IpAddress[]): void {
    for (const lighthouse of addresses.filter((address) => this.isLighthouse(address))) {
      const tunnel = this.#parts.tunnelTo(lighthouse);
      if (tunnel === null) {
        continue;
      }
      if (this.#toldSlots.get(lighthouse.text) !== tunnel.slot) {
        this.#sendUpdate(lighthouse, tunnel);
      }
      const waiting = this.#waiting.get(lighthouse.text);
      this.#waiting.delete(lighthouse.text);
      this.#mayUpgrade(now, lighthouse, tunnel);
      for (const address of waiting?.values() ?? []) {
        this.#ask(now, lighthouse, tunnel, address);
      }
    }
  }

  /** No tunnel to this address could be made. */
  onHostFailed(address: IpAddress): void {
    this.#waiting.delete(address.text);
  }

  /** The last tunnel to these addresses is gone. A lighthouse gets another one without waiting for the interval. */
  onHostGone(now: Now, addresses: readonly IpAddress[]): void {
    for (const address of addresses) {
      this.#toldSlots.delete(address.text);
      this.#upgrades.delete(address.text);
    }
    if (addresses.some((address) => this.isLighthouse(address))) {
      this.#scheduleUpdate(now, Math.min(RECONNECT_MS, this.#settings.intervalMs));
    }
  }

  /** An opened lighthouse message; `sender` is the peer at the other end of its tunnel. `body` is borrowed. */
  onMessage(now: Now, sender: PeerTunnel, body: Uint8Array): void {
    const { outbox } = this.#parts;
    const message = this.#message;
    if (this.#decoder.decode(body, 0, body.length, message) !== 0) {
      outbox.count('lighthouse.drop.malformed');
      return;
    }
    outbox.count(`lighthouse.rx.${lighthouseTypeName(message.type)}`);
    const isReply = message.type === LighthouseType.HostQueryReply;
    if (!isReply && message.type !== LighthouseType.HostPunchNotification) {
      // Queries and updates are for lighthouses; an ack needs no answer.
      return;
    }
    const target = targetOf(message);
    if (target === null || !sender.vpnAddresses.some((address) => this.isLighthouse(address))) {
      outbox.count('lighthouse.drop.not_lighthouse');
      return;
    }
    outbox.count('lighthouse.excess_entries', message.excessCount);
    if (isReply) {
      this.#onReply(now, sender, target);
    } else {
      this.#parts.punching.onNotification(now, target, endpointsOf(message));
    }
  }

  #onReply(now: Now, sender: PeerTunnel, target: IpAddress): void {
    const { outbox, wishes, remotes } = this.#parts;
    if (this.#asked.untilMs(target.text) < now.ms && !remotes.has(target)) {
      outbox.count('lighthouse.drop.unasked');
      return;
    }
    remotes.report(sender.vpnAddresses[0], target, endpointsOf(this.#message), relaysOf(this.#message));
    wishes.add('retry', target);
  }

  /** Tells all lighthouses where this node is, and again after the interval. */
  #update(now: Now): void {
    const { lighthouses, intervalMs } = this.#settings;
    if (!this.#scheduleUpdate(now, intervalMs)) {
      return;
    }
    for (const lighthouse of lighthouses) {
      const tunnel = this.#parts.tunnelTo(lighthouse);
      if (tunnel === null) {
        this.#parts.wishes.add('connect', lighthouse);
      } else {
        this.#sendUpdate(lighthouse, tunnel);
      }
    }
  }

  /** Instead of the one that is scheduled; false when this node sends none. */
  #scheduleUpdate(now: Now, delayMs: number): boolean {
    const { amLighthouse, lighthouses, intervalMs } = this.#settings;
    this.#timers.cancel(this.#updateTimer);
    if (amLighthouse || intervalMs === 0 || lighthouses.length === 0) {
      return false;
    }
    this.#updateTimer = this.#timers.schedule(now.ms + delayMs, 'update');
    return true;
  }

  #sendUpdate(lighthouse: IpAddress, tunnel: PeerTunnel): void {
    const { amLighthouse, intervalMs, relays } = this.#settings;
    if (!amLighthouse && intervalMs !== 0 && this.#letters.update(tunnel, this.#ownEndpoints, relays)) {
      this.#toldSlots.set(lighthouse.text, tunnel.slot);
    }
  }

  /** Asks through the tunnel, or through the one of version 2 that is to take its place, if it takes that. */
  #ask(now: Now, lighthouse: IpAddress, tunnel: PeerTunnel, address: IpAddress): void {
    if (this.#letters.canAsk(tunnel, address)) {
      this.#letters.query(tunnel, address);
    } else if (this.#mayUpgrade(now, lighthouse, tunnel)) {
      this.#wait(lighthouse, address);
    } else {
      this.#parts.outbox.log('error', 'Cannot query a lighthouse for an IPv6 address with a version 1 certificate', {
        vpnAddr: address.text,
        lighthouse: tunnel.vpnAddresses[0].text,
      });
    }
  }

  /** Whether a tunnel of version 2 may take the place of this one; the first time it is asked for. */
  #mayUpgrade(now: Now, lighthouse: IpAddress, tunnel: PeerTunnel): boolean {
    if (!this.#settings.hasTwoVersions || this.#settings.amLighthouse || tunnel.ownCertificate.version === 2) {
      return false;
    }
    const known = this.#upgrades.get(lighthouse.text);
    if (known?.slot === tunnel.slot) {
      return now.ms < known.untilMs;
    }
    this.#upgrades.set(lighthouse.text, { slot: tunnel.slot, untilMs: now.ms + UPGRADE_MS });
    this.#parts.wishes.add('upgrade', lighthouse);
    return true;
  }

  /** Keeps a query for a lighthouse whose tunnel is not up; false when too many wait. */
  #wait(lighthouse: IpAddress, address: IpAddress): boolean {
    let queries = this.#waiting.get(lighthouse.text);
    if (queries === undefined) {
      queries = new Map();
      this.#waiting.set(lighthouse.text, queries);
    }
    if (queries.size >= this.#settings.queryBuffer && !queries.has(address.text)) {
      this.#parts.outbox.count('lighthouse.queries_refused');
      return false;
    }
    queries.set(address.text, address);
    return true;
  }
}

function textsOf(values: readonly { readonly text: string }[]): string {
  return values.map((value) => value.text).join(' ');
}
