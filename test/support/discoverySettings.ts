/** Discovery settings as an empty configuration gives them, for a node on port 4242. */
import { LocalAllowList, RemoteAllowList } from '../../src/primary/control/discovery/allowList.ts';
import { CalculatedRemotes } from '../../src/primary/control/discovery/calculatedRemotes.ts';
import type { PeerDiscoverySettings } from '../../src/primary/control/discovery/peerDiscovery.ts';
import type { Prefix } from '../../src/shared/ip/address.ts';

export function discoverySettings(
  ownNetworks: readonly Prefix[],
  changes: Partial<Omit<PeerDiscoverySettings, 'client'>> & {
    readonly client?: Partial<PeerDiscoverySettings['client']>;
  },
): PeerDiscoverySettings {
  const { client, ...others } = changes;
  return {
    client: {
      amLighthouse: false,
      lighthouses: [],
      intervalMs: 10_000,
      queryBuffer: 64,
      relays: [],
      hasTwoVersions: false,
      ...client,
    },
    ownNetworks,
    remoteAllowList: RemoteAllowList.all,
    localAllowList: LocalAllowList.all,
    preferredRanges: [],
    staticHosts: [],
    staticMap: { cadenceMs: 30_000, network: 'ip4', lookupTimeoutMs: 250 },
    calculatedRemotes: new CalculatedRemotes(),
    advertiseAddrs: [],
    punchy: { delayMs: 1000, respond: false, respondDelayMs: 5000 },
    port: 4242,
    ...others,
  };
}
