/**
 * How this node and its peers find each other: joins peer discovery, which does no I/O, to the machine (own addresses,
 * name resolution) and, on a lighthouse, to the table that its workers answer from and to the DNS server.
 */

import { addressFromBytes, type IpAddress } from '../shared/ip/address.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { SharedTables } from '../shared/memory/layout.ts';
import type { Boundary } from './boundary.ts';
import type { Config } from './config/config.ts';
import type { ControlPlane } from './control/controlPlane.ts';
import { type Effect, Outbox } from './control/effects.ts';
import type { Now } from './control/now.ts';
import { PeerDiscovery } from './control/peerDiscovery.ts';
import type { Remotes } from './control/remotes.ts';
import type { TunnelStore } from './control/tunnelStore.ts';
import type { ControlCompanion } from './controlShell.ts';
import { LighthouseAnswers } from './lighthouse/answers.ts';
import { LighthouseHosts } from './lighthouse/hosts.ts';
import { LighthouseNames } from './lighthouse/names.ts';
import { LighthouseStore } from './lighthouse/store.ts';
import { DnsResolver } from './machine/dnsResolver.ts';
import { LocalAddressWatch } from './machine/localAddressWatch.ts';
import { peerDiscoverySettingsOf } from './peerDiscoverySettings.ts';
import type { Identity } from './pki/identity.ts';
import type { Launch } from './workers/childLaunch.ts';

export interface DiscoveryParts {
  readonly config: Config;
  readonly identity: Identity;
  readonly control: ControlPlane;
  readonly remotes: Remotes;
  /** null: this node is no lighthouse. */
  readonly hosts: LighthouseHosts | null;
  /** The UDP port that is bound. */
  readonly port: number;
  readonly log: Logger;
  readonly boundary: Boundary;
  /** Starts the DNS process of a lighthouse. */
  readonly launch: Launch;
  /** Runs an event of the outside world as the control plane's: results of lookups, changed addresses. */
  readonly act: (event: (now: Now) => void) => void;
}

/** On a lighthouse: its table, and a tunnel store that enters every tunnel there; else the store as it is. */
export function lighthouseTableOf(
  config: Config,
  tables: SharedTables,
  store: TunnelStore,
  log: Logger,
): { readonly hosts: LighthouseHosts | null; readonly store: TunnelStore } {
  if (!config.lighthouse.amLighthouse) {
    return { hosts: null, store };
  }
  const hosts = new LighthouseHosts(tables.lighthouse, tables.turns);
  const onRefused = (vpnAddress: IpAddress): void =>
    log.error('The lighthouse table is full, this host cannot be found; raise lighthouse.max_hosts', {
      vpnAddr: vpnAddress.text,
      refused: hosts.refusedCount,
    });
  return { hosts, store: new LighthouseStore(store, hosts, onRefused) };
}

export class Discovery implements ControlCompanion {
  readonly #parts: DiscoveryParts;
  readonly #outbox = new Outbox();
  readonly #resolver = new DnsResolver();
  readonly #peers: PeerDiscovery;
  readonly #answers: LighthouseAnswers;
  readonly #names: LighthouseNames;
  #watch: LocalAddressWatch | null = null;
  #config: Config;

  constructor(parts: DiscoveryParts) {
    const { config, identity, control, remotes, port, log, boundary, launch } = parts;
    this.#parts = parts;
    this.#config = config;
    this.#peers = new PeerDiscovery({
      remotes,
      tunnelTo: (address) => control.primary(address),
      settings: peerDiscoverySettingsOf(config, identity, port),
    });
    this.#answers = new LighthouseAnswers(this.#outbox);
    this.#names = new LighthouseNames(control, identity, log, boundary, launch);
  }

  /** On a lighthouse: what it knows, for the operator. */
  get hosts(): LighthouseHosts | null {
    return this.#parts.hosts;
  }

  /** Of the DNS server, by metric name. */
  get counts(): ReadonlyMap<string, number> {
    return this.#names.counts;
  }

  get nextMs(): number | null {
    return this.#peers.nextMs;
  }

  /** Static hosts are known, names are being looked up, lighthouses are told of this node. Throws SysError. */
  start(now: Now): void {
    const { act, identity, boundary } = this.#parts;
    this.#watch = new LocalAddressWatch(boundary, (addresses) =>
      act((changedNow) => this.#peers.onLocalAddresses(changedNow, addresses)),
    );
    this.#peers.start(now, this.#watch.read());
    void boundary.guardAsync('dns', () => this.#names.apply(this.#config, identity));
  }

  reload(now: Now, config: Config, identity: Identity): void {
    this.#config = config;
    this.#peers.applySettings(now, peerDiscoverySettingsOf(config, identity, this.#parts.port));
    void this.#parts.boundary.guardAsync('dns', () => this.#names.apply(config, identity));
  }

  async close(): Promise<void> {
    this.#watch?.close();
    await this.#names.close();
  }

  /** Time went by in which this node did not run: the lighthouses are told of it again. */
  onStandstill(now: Now): void {
    this.#peers.onStandstill(now);
  }

  onTimer(now: Now): void {
    this.#peers.onTimer(now);
  }

  drain(): Effect[] {
    return [...this.#peers.drain(), ...this.#outbox.drain()];
  }

  onEffect(now: Now, effect: Effect): void {
    const { control, act, boundary } = this.#parts;
    this.#peers.onEffect(now, effect);
    this.#answers.onEffect(effect);
    control.onEffect(now, effect);
    if (effect.kind === 'hostUp') {
      this.#names.onHostUp(effect.addresses[0]);
    } else if (effect.kind === 'tunnelClosed' && effect.isLast) {
      this.#names.onHostGone(effect.addresses);
    } else if (effect.kind === 'resolve') {
      const { request } = effect;
      void boundary.guardAsync('lookup', async () => {
        const answer = await this.#resolver.resolve(request);
        act((answeredNow) => this.#peers.onResolved(answeredNow, request.id, answer));
      });
    }
  }

  onLighthouseMessage(now: Now, slot: number, generation: number, body: Uint8Array): void {
    const tunnel = this.#parts.control.tunnelAt(slot, generation);
    if (tunnel !== null) {
      this.#peers.onMessage(now, tunnel, body);
    }
  }

  /** What this lighthouse's worker has to say to a host without a tunnel: it waits until there is one. */
  onLighthouseAnswer(address: Uint8Array, body: Uint8Array): void {
    this.#answers.keep(addressFromBytes(address), body);
  }
}
