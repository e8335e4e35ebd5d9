/** Peer discovery on a fake clock, with its effects in words: what its tests share. */
import { expect } from 'chai';
import { LocalAllowList, RemoteAllowList } from '../../../src/primary/control/allowList.ts';
import { CalculatedRemotes } from '../../../src/primary/control/calculatedRemotes.ts';
import type { Effect, ResolveRequest } from '../../../src/primary/control/effects.ts';
import type { LighthouseTunnel } from '../../../src/primary/control/lighthouseClient.ts';
import type { LocalAddress } from '../../../src/primary/control/localAddresses.ts';
import { PeerDiscovery, type PeerDiscoverySettings } from '../../../src/primary/control/peerDiscovery.ts';
import { Remotes } from '../../../src/primary/control/remotes.ts';
import type { Certificate } from '../../../src/shared/cert/certificate.ts';
import { addressWords } from '../../../src/shared/ip/networkWords.ts';
import { LighthouseDecoder } from '../../../src/shared/wire/lighthouseDecoder.ts';
import { encodeLighthouse, LIGHTHOUSE_BYTES_MAX } from '../../../src/shared/wire/lighthouseEncoder.ts';
import {
  addEndpoint,
  endpointsOf,
  LighthouseMessage,
  relaysOf,
  targetOf,
} from '../../../src/shared/wire/lighthouseMessage.ts';
import { ep, ip, net, target, texts } from '../../support/addresses.ts';

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

export class Bench {
  nowMs = 1000;
  readonly remotes = new Remotes();
  readonly tunnels = new Map<string, LighthouseTunnel>();
  settings: PeerDiscoverySettings;
  readonly discovery: PeerDiscovery;

  constructor(changes: Partial<PeerDiscoverySettings> = {}) {
    this.settings = {
      client: {
        amLighthouse: false,
        lighthouses: [ip(lighthouse1), ip(lighthouse2)],
        intervalMs: 10_000,
        queryBuffer: 3,
        relays: [],
        hasTwoVersions: false,
      },
      ownNetworks: [net(`${me}/24`)],
      remoteAllowList: RemoteAllowList.all,
      localAllowList: LocalAllowList.all,
      preferredRanges: [],
      staticHosts: [{ vpnAddress: ip(lighthouse1), targets: [target('198.51.100.1:4242')] }],
      staticMap: { cadenceMs: 30_000, network: 'ip4', lookupTimeoutMs: 250 },
      calculatedRemotes: new CalculatedRemotes(),
      advertiseAddrs: [],
      punchy: { delayMs: 1000, respond: false, respondDelayMs: 5000 },
      port: 4242,
      ...changes,
    };
    this.discovery = new PeerDiscovery({
      remotes: this.remotes,
      tunnelTo: (address) => this.tunnels.get(address.text) ?? null,
      settings: this.settings,
    });
  }

  get now(): { ms: number; unixMs: number } {
    return { ms: this.nowMs, unixMs: 0 };
  }

  tunnel(slot: number, address: string, version: 1 | 2 = 1, ...others: string[]): LighthouseTunnel {
    const vpnAddresses = [address, ...others].map(ip);
    const ownCertificate = { version, networks: this.settings.ownNetworks } as Certificate;
    const tunnel = { slot, vpnAddresses, ownCertificate };
    for (const vpnAddress of vpnAddresses) {
      this.tunnels.set(vpnAddress.text, tunnel);
    }
    return tunnel;
  }

  up(slot: number, address: string, version: 1 | 2 = 1): Effect[] {
    const { vpnAddresses } = this.tunnel(slot, address, version);
    this.discovery.onEffect(this.now, { kind: 'hostUp', addresses: vpnAddresses, slot });
    return this.take();
  }

  ask(address: string): Effect[] {
    this.discovery.onEffect(this.now, { kind: 'queryLighthouse', address: ip(address) });
    return this.take();
  }

  receive(from: LighthouseTunnel, type: number, about: string, endpoints: string[], relays: string[] = []): Effect[] {
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
  pass(durationMs: number): { atMs: number; effect: Effect }[] {
    const endMs = this.nowMs + durationMs;
    const seen: { atMs: number; effect: Effect }[] = [];
    for (let nextMs = this.discovery.nextMs; nextMs !== null && nextMs <= endMs; nextMs = this.discovery.nextMs) {
      this.nowMs = Math.max(this.nowMs, nextMs);
      this.discovery.onTimer(this.now);
      seen.push(...this.take().map((effect) => ({ atMs: this.nowMs, effect })));
    }
    this.nowMs = endMs;
    return seen;
  }

  start(...addresses: LocalAddress[]): Effect[] {
    this.discovery.start(this.now, addresses);
    return this.take();
  }

  reload(changes: Partial<PeerDiscoverySettings>): Effect[] {
    this.settings = { ...this.settings, ...changes };
    this.discovery.applySettings(this.now, this.settings);
    return this.take();
  }

  answer(request: ResolveRequest, endpoints: string[], failed: string[] = []): Effect[] {
    const failures = failed.map((host) => ({ host, error: 'ENOTFOUND' }));
    this.discovery.onResolved(this.now, request.id, { endpoints: endpoints.map(ep), failures });
    return this.take();
  }

  /** Effects without the counters. */
  take(): Effect[] {
    return this.discovery.drain().filter((effect) => effect.kind !== 'count');
  }
}

/** A sealed lighthouse message in words. */
export function describeEffect(effect: Effect): string {
  if (
    effect.kind === 'connect' ||
    effect.kind === 'upgrade' ||
    effect.kind === 'remotesChanged' ||
    effect.kind === 'test'
  ) {
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

export const words = (effects: readonly Effect[]): string[] => effects.map(describeEffect);
export const resolves = (effects: readonly Effect[]): ResolveRequest[] =>
  effects.flatMap((effect) => (effect.kind === 'resolve' ? effect.request : []));
