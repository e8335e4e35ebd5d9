/**
 * Where peers are: candidate endpoints, static hosts, and whoever may be at which address.
 */
import type { Identity } from '../shared/cert/identity.ts';
import type { Config } from '../shared/config/config.ts';
import type { IpAddress } from '../shared/ip/address.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { SharedTables } from '../shared/memory/layout.ts';
import { RemoteAllowList } from './control/allowList.ts';
import type { RemoteFilter } from './control/context.ts';
import type { Effect } from './control/effects.ts';
import type { Now } from './control/now.ts';
import { Remotes } from './control/remotes.ts';
import type { ControlCompanion } from './controlShell.ts';

export interface DiscoveryParts {
  readonly config: Config;
  readonly identity: Identity;
  readonly tables: SharedTables;
  readonly port: number;
  readonly log: Logger;
}

export class Discovery implements ControlCompanion {
  readonly remotes: Remotes;
  #allowList: RemoteAllowList;

  constructor(parts: DiscoveryParts) {
    const { config, identity } = parts;
    this.#allowList = RemoteAllowList.compile(config.lighthouse.remoteAllowList, config.lighthouse.remoteAllowRanges);
    this.remotes = new Remotes({
      ownNetworks: identity.networks,
      allowList: this.#allowList,
      preferredRanges: config.preferredRanges,
    });
    for (const host of config.staticHostMap) {
      const endpoints = host.targets.flatMap((target) => target.endpoint ?? []);
      this.remotes.report(identity.networks[0].address, host.vpnAddress, endpoints, []);
    }
    this.remotes.applyStaticHosts(config.staticHostMap.map((host) => host.vpnAddress));
  }

  get remoteAllowList(): RemoteAllowList {
    return this.#allowList;
  }

  get remoteFilter(): RemoteFilter {
    const list = this.#allowList;
    return {
      allowsUnknown: (underlay: IpAddress) => list.allowsUnknown(underlay),
      allowsAll: (vpnAddresses: readonly IpAddress[], underlay: IpAddress) => list.allowsAll(vpnAddresses, underlay),
    };
  }

  get nextMs(): number | null {
    return null;
  }

  start(_now: Now): void {}
  reload(_now: Now, _config: Config, _identity: Identity): void {}
  close(): void {}
  onTimer(_now: Now): void {}
  drain(): Effect[] {
    return [];
  }
  onEffect(_now: Now, _effect: Effect): boolean {
    return false;
  }
  onLighthouseMessage(_now: Now, _slot: number, _generation: number, _body: Uint8Array): void {}
}
