/** What peer discovery needs of a configuration and an identity. */

import type { Config } from './config/config.ts';
import { LocalAllowList, RemoteAllowList } from './control/allowList.ts';
import { CalculatedRemotes } from './control/calculatedRemotes.ts';
import type { PeerDiscoverySettings } from './control/peerDiscovery.ts';
import type { Identity } from './pki/identity.ts';

/** `lighthouse.remote_allow_list` and `remote_allow_ranges`, compiled. */
export function remoteAllowListOf(config: Config): RemoteAllowList {
  return new RemoteAllowList(config.lighthouse);
}

/** `port` is the UDP port that the node is bound to. */
export function peerDiscoverySettingsOf(config: Config, identity: Identity, port: number): PeerDiscoverySettings {
  const { lighthouse, punchy, staticMap } = config;
  return {
    client: {
      amLighthouse: lighthouse.amLighthouse,
      lighthouses: lighthouse.hosts,
      intervalMs: lighthouse.intervalMs,
      queryBuffer: config.handshakes.queryBuffer,
      relays: [],
      hasTwoVersions: hasTwoVersions(identity),
    },
    ownNetworks: identity.networks,
    remoteAllowList: remoteAllowListOf(config),
    localAllowList: new LocalAllowList(lighthouse.localAllowList),
    preferredRanges: config.preferredRanges,
    staticHosts: config.staticHostMap,
    staticMap,
    calculatedRemotes: new CalculatedRemotes(lighthouse.calculatedRemotes),
    advertiseAddrs: lighthouse.advertiseAddrs,
    punchy: { delayMs: punchy.delayMs, respond: punchy.respond, respondDelayMs: punchy.respondDelayMs },
    port,
  };
}

function hasTwoVersions({ certificates }: Identity): boolean {
  const [first, second] = certificates;
  return first.version === 1 && second !== undefined && second.networks.some(({ address }) => address.family === 6);
}
