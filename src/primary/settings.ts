/**
 * What the parts of a node are told, derived from the configuration and the identity: pure functions, used at start and
 * again on reload, so that both give the same.
 */

import { Cipher } from '../shared/crypto/aead.ts';
import type { Prefix } from '../shared/ip/address.ts';
import type { FirewallSettings, WorkerSettings } from '../shared/ipc/messages.ts';
import type { TunOffload } from '../shared/sys/tun.ts';
import type { Config, FirewallConfig } from './config/config.ts';
import { LocalAllowList, RemoteAllowList } from './control/discovery/allowList.ts';
import { CalculatedRemotes } from './control/discovery/calculatedRemotes.ts';
import type { PeerDiscoverySettings } from './control/discovery/peerDiscovery.ts';
import type { ControlSettings } from './control/tunnels/context.ts';
import type { Identity } from './pki/identity.ts';

export function cipherOf(config: Config): Cipher {
  return config.cipher === 'aes' ? Cipher.Aes256Gcm : Cipher.ChaCha20Poly1305;
}

export function controlSettingsOf(config: Config): ControlSettings {
  return {
    handshakes: { tryIntervalMs: config.handshakes.tryIntervalMs, retries: config.handshakes.retries },
    checkIntervalMs: config.timers.connectionAliveIntervalMs,
    pendingDeletionMs: config.timers.pendingDeletionIntervalMs,
    dropInactive: config.tunnels.dropInactive,
    inactivityTimeoutMs: config.tunnels.inactivityTimeoutMs,
    disconnectInvalid: config.pki.disconnectInvalid,
    acceptRecvError: config.listen.acceptRecvError,
    preferredRanges: config.preferredRanges,
    punch: config.punchy.punch,
    punchAllRemotes: config.punchy.targetAllRemotes,
    amLighthouse: config.lighthouse.amLighthouse,
    lighthouses: config.lighthouse.hosts,
    promoteEveryPackets: config.counters.tryPromote,
    requeryEveryPackets: config.counters.requeryEveryPackets,
    requeryWaitMs: config.timers.requeryWaitDurationMs,
  };
}

/** `lighthouse.remote_allow_list` and `remote_allow_ranges`, compiled. */
export function remoteAllowListOf(config: Config): RemoteAllowList {
  return new RemoteAllowList(config.lighthouse);
}

/** `port` is the UDP port that the node is bound to. */
export function discoverySettingsOf(config: Config, identity: Identity, port: number): PeerDiscoverySettings {
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

/** What workers are told beyond configuration and identity. */
export interface WorkerSurroundings {
  readonly providers: { readonly aes: string; readonly chacha: string };
  readonly offload: TunOffload;
  readonly family: 4 | 6;
  readonly ownPort: number;
  readonly labelKey: Uint8Array;
  readonly rulesVersion: number;
}

export function workerSettingsOf(
  worker: number,
  config: Config,
  identity: Identity,
  surroundings: WorkerSurroundings,
): WorkerSettings {
  const certificate = identity.certificates[identity.certificates.length - 1];
  const { amLighthouse, remoteAllowList, remoteAllowRanges } = config.lighthouse;
  return {
    worker,
    aesProvider: surroundings.providers.aes,
    chachaProvider: surroundings.providers.chacha,
    cipher: cipherOf(config),
    certificate: certificate.encoded,
    certificateVersion: certificate.version,
    networks: networksOf(identity),
    caNames: new Map(identity.caPool.authorities.map((ca) => [ca.fingerprint, ca.name])),
    firewall: firewallSettingsOf(config.firewall, surroundings.rulesVersion),
    hasDevice: !config.tun.disabled,
    tunOffload: surroundings.offload,
    family: surroundings.family,
    ownPort: surroundings.ownPort,
    udpOffloads: config.listen.udpOffloads,
    batch: config.listen.batch,
    labelKey: config.listen.flowLabels ? surroundings.labelKey : null,
    sendRecvError: config.listen.sendRecvError,
    dropsMulticast: config.tun.dropMulticast,
    dropsLocalBroadcast: config.tun.dropLocalBroadcast,
    routes: config.tun.unsafeRoutes.map(({ route, via }) => ({ route, via })),
    lighthouse: amLighthouse ? { allow: { remoteAllowList, remoteAllowRanges } } : null,
    log: config.logging,
  };
}

function firewallSettingsOf(firewall: FirewallConfig, rulesVersion: number): FirewallSettings {
  const { inbound, outbound, defaultLocalCidrAny, conntrack } = firewall;
  return {
    rules: { inbound, outbound, defaultLocalCidrAny },
    rulesVersion,
    rejectsInbound: firewall.inboundAction === 'reject',
    rejectsOutbound: firewall.outboundAction === 'reject',
    timeouts: {
      tcpMs: conntrack.tcpTimeoutMs,
      udpMs: conntrack.udpTimeoutMs,
      defaultMs: conntrack.defaultTimeoutMs,
    },
    routineCacheTimeoutMs: conntrack.routineCacheTimeoutMs,
  };
}

/** Networks with host bits of every certificate, each once. */
export function networksOf(identity: Identity): readonly Prefix[] {
  const networks = identity.certificates.flatMap((certificate) => certificate.networks);
  return [...new Map(networks.map((network) => [network.text, network])).values()];
}

/** The same in words. */
export function networkTexts(identity: Identity): readonly string[] {
  return networksOf(identity).map(({ text }) => text);
}
