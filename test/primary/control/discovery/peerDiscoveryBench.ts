/** Peer discovery on a fake clock, with its effects and wishes in words: what its tests share. */
import { expect } from 'chai';
import type { LocalAddress } from '../../../../src/primary/control/discovery/localAddresses.ts';
import { PeerDiscovery, type PeerDiscoverySettings } from '../../../../src/primary/control/discovery/peerDiscovery.ts';
import type { PeerTunnel } from '../../../../src/primary/control/discovery/peerTunnel.ts';
import { Remotes } from '../../../../src/primary/control/discovery/remotes.ts';
import { type Wish, Wishes } from '../../../../src/primary/control/discovery/wishes.ts';
import { type Effect, Outbox, type ResolveRequest } from '../../../../src/primary/control/effects.ts';
import type { Certificate } from '../../../../src/shared/cert/certificate.ts';
import { addressWords } from '../../../../src/shared/ip/networkWords.ts';
import { LighthouseDecoder } from '../../../../src/shared/wire/lighthouseDecoder.ts';
import { encodeLighthouse, LIGHTHOUSE_BYTES_MAX } from '../../../../src/shared/wire/lighthouseEncoder.ts';
import {
  addEndpoint,
  endpointsOf,
  LighthouseMessage,
  relaysOf,
  targetOf,
} from '../../../../src/shared/wire/lighthouseMessage.ts';
import { ep, ip, net, target, texts } from '../../../support/addresses.ts';
import { discoverySettings } from '../../../support/discoverySettings.ts';

export const local = (interfaceName: string, address: string, interfaceKind = '', isDefault = false): LocalAddress => ({
  interfaceName,
  interfaceKind,
  isDefault,
  address: ip(address),
});

export const me = '10.0.0.1';
export const lighthouse1 = '10.0.0.100';
export const lighthouse2 = '10.0.0.101';
export const peer = '10.0.0.7';

export type Outcome = Effect | Wish;

export class Bench {
  nowMs = 1000;
  readonly outbox = new Outbox();
  readonly wishes = new Wishes();
  readonly remotes = new Remotes();
  readonly tunnels = new Map<string, PeerTunnel>();
  settings: PeerDiscoverySettings;
  readonly discovery: PeerDiscovery;

  constructor(changes: Partial<PeerDiscoverySettings> = {}) {
    this.settings = discoverySettings([net(`${me}/24`)], {
      client: { lighthouses: [ip(lighthouse1), ip(lighthouse2)], queryBuffer: 3 },
      staticHosts: [{ vpnAddress: ip(lighthouse1), targets: [target('198.51.100.1:4242')] }],
      ...changes,
    });
    this.discovery = new PeerDiscovery({
      outbox: this.outbox,
      wishes: this.wishes,
      remotes: this.remotes,
      tunnelTo: (address) => this.tunnels.get(address.text) ?? null,
      settings: this.settings,
    });
  }

  get now(): { ms: number; unixMs: number } {
    return { ms: this.nowMs, unixMs: 0 };
  }

  tunnel(slot: number, address: string, version: 1 | 2 = 1, ...others: string[]): PeerTunnel {
    const vpnAddresses = [address, ...others].map(ip);
    const ownCertificate = { version, networks: this.settings.ownNetworks } as Certificate;
    const tunnel = { slot, vpnAddresses, ownCertificate };
    for (const vpnAddress of vpnAddresses) {
      this.tunnels.set(vpnAddress.text, tunnel);
    }
    return tunnel;
  }

  up(slot: number, address: string, version: 1 | 2 = 1): Outcome[] {
    this.discovery.onHostUp(this.now, this.tunnel(slot, address, version));
    return this.take();
  }

  ask(address: string): Outcome[] {
    this.discovery.query(this.now, ip(address));
    return this.take();
  }

  receive(from: PeerTunnel, type: number, about: string, endpoints: string[], relays: string[] = []): Outcome[] {
    const message = new LighthouseMessage();
    message.type = type;
    const [a0, a1, a2, a3] = addressWords([ip(about)]);
    message.setTarget(2, a0, a1, a2, a3);
    for (const endpoint of endpoints) {
      addEndpoint(message, ep(endpoint));
    }
    for (const relay of relays) {
      const [r0, r1, r2, r3] = addressWords([ip(relay)]);
      message.addRelay(r0, r1, r2, r3);
    }
    const bytes = new Uint8Array(LIGHTHOUSE_BYTES_MAX);
    const length = encodeLighthouse(message, bytes, 0);
    this.discovery.onMessage(this.now, from, bytes.subarray(0, length));
    // The message was borrowed: whatever is kept of it must not be these bytes.
    bytes.fill(0xff);
    return this.take();
  }

  /** Lets time pass, timer by timer. */
  pass(durationMs: number): { atMs: number; effect: Outcome }[] {
    const endMs = this.nowMs + durationMs;
    const seen: { atMs: number; effect: Outcome }[] = [];
    for (let nextMs = this.discovery.nextMs; nextMs !== null && nextMs <= endMs; nextMs = this.discovery.nextMs) {
      this.nowMs = Math.max(this.nowMs, nextMs);
      this.discovery.onTimer(this.now);
      seen.push(...this.take().map((effect) => ({ atMs: this.nowMs, effect })));
    }
    this.nowMs = endMs;
    return seen;
  }

  start(...addresses: LocalAddress[]): Outcome[] {
    this.discovery.start(this.now, addresses);
    return this.take();
  }

  reload(changes: Partial<PeerDiscoverySettings>): Outcome[] {
    this.settings = { ...this.settings, ...changes };
    this.discovery.applySettings(this.now, this.settings);
    return this.take();
  }

  answer(request: ResolveRequest, endpoints: string[], failed: string[] = []): Outcome[] {
    const failures = failed.map((host) => ({ host, error: 'ENOTFOUND' }));
    this.discovery.onResolved(this.now, request.id, { endpoints: endpoints.map(ep), failures });
    return this.take();
  }

  /** Effects without the counters, then wishes. */
  take(): Outcome[] {
    const outcomes: Outcome[] = this.outbox.drain().filter((effect) => effect.kind !== 'count');
    for (let wish = this.wishes.take(); wish !== null; wish = this.wishes.take()) {
      outcomes.push(wish);
    }
    return outcomes;
  }
}

/** A sealed lighthouse message in words. */
export function describeEffect(effect: Outcome): string {
  if (effect.kind === 'connect' || effect.kind === 'upgrade' || effect.kind === 'retry' || effect.kind === 'test') {
    return `${effect.kind} ${effect.address.text}`;
  }
  if (effect.kind === 'punch') {
    return `punch ${effect.endpoint.text} ${effect.byte}`;
  }
  if (effect.kind === 'log') {
    return `${effect.level} ${effect.message}`;
  }
  if (effect.kind !== 'sendSealed') {
    return effect.kind;
  }
  expect([effect.type, effect.subtype, effect.endpoint]).to.deep.equal([3, 0, null]);
  const message = new LighthouseMessage();
  expect(new LighthouseDecoder().decode(effect.body, 0, effect.body.length, message)).to.equal(0);
  const parts = [
    `slot ${effect.slot} type ${message.type} v${message.version}`,
    targetOf(message)?.text ?? '-',
    texts(endpointsOf(message)).join(' '),
    texts(relaysOf(message)).join(' '),
  ];
  return parts.filter((part) => part !== '').join(' | ');
}

export const words = (effects: readonly Outcome[]): string[] => effects.map(describeEffect);
export const resolves = (effects: readonly Outcome[]): ResolveRequest[] =>
  effects.flatMap((effect) => (effect.kind === 'resolve' ? effect.request : []));
