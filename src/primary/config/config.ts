/**
 * The configuration as the program uses it: typed, complete (defaults applied), immutable. Built by `build.ts` from the
 * values that `readTree.ts` read; everything that needs more than the file itself (certificates, DNS) is read by its
 * owner. A value is parsed once: whoever gets it from here has an address, a network or a rule, not its text. All of it
 * is plain data that a structured clone keeps.
 * Names are the YAML keys in camel case, with `Ms` behind durations and `Bytes` behind sizes.
 */
import type { ProviderName } from '../../shared/crypto/providerNames.ts';
import type { Rule } from '../../shared/firewall/rule.ts';
import type { Endpoint, IpAddress, Prefix } from '../../shared/ip/address.ts';
import type { AllowRules, RemoteAllowRules } from '../../shared/ip/allowRules.ts';
import type { LogSettings } from '../../shared/log/logger.ts';

/** An endpoint whose host may be a name; `endpoint` is null then. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
  readonly endpoint: Endpoint | null;
}

/** What this node tells about itself: by address, and by the name of the interface that has it. */
export interface LocalAllowRules {
  readonly addresses: AllowRules;
  /** All with the same verdict; interfaces that match none get the inverse. */
  readonly interfaces: readonly InterfaceRule[];
}

export interface InterfaceRule {
  /** Matches whole names. */
  readonly pattern: RegExp;
  readonly isAllowed: boolean;
}

export type RecvErrorMode = 'always' | 'never' | 'private';

export interface PkiConfig {
  /** Path or PEM text each. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Lower-case fingerprints. */
  readonly blocklist: readonly string[];
  /** Public keys in lower-case hex. */
  readonly blocklistKeys: readonly string[];
  readonly disconnectInvalid: boolean;
  /** Null: chosen from the certificates. */
  readonly initiatingVersion: 1 | 2 | null;
}

export interface StaticHost {
  readonly vpnAddress: IpAddress;
  readonly targets: readonly HostPort[];
}

export interface CalculatedNetwork {
  readonly network: Prefix;
  readonly remotes: readonly { readonly mask: Prefix; readonly port: number }[];
}

export interface LighthouseConfig extends RemoteAllowRules {
  readonly amLighthouse: boolean;
  readonly hosts: readonly IpAddress[];
  /** 0: no updates. */
  readonly intervalMs: number;
  readonly serveDns: boolean;
  readonly dns: { readonly host: string; readonly port: number };
  readonly localAllowList: LocalAllowRules;
  readonly advertiseAddrs: readonly HostPort[];
  readonly calculatedRemotes: readonly CalculatedNetwork[];
  readonly maxHosts: number;
}

export interface ListenConfig {
  readonly host: string;
  readonly port: number;
  /** 1 to 1024. */
  readonly batch: number;
  /** 0: the kernel's default. */
  readonly readBufferBytes: number;
  readonly writeBufferBytes: number;
  readonly sendRecvError: RecvErrorMode;
  readonly acceptRecvError: RecvErrorMode;
  readonly soMark: number;
  readonly udpOffloads: boolean;
  readonly flowLabels: boolean;
}

export interface MtuRoute {
  readonly route: Prefix;
  readonly mtu: number;
}

export interface UnsafeRoute {
  readonly route: Prefix;
  readonly via: readonly { readonly gateway: IpAddress; readonly weight: number }[];
  /** 0: the device's. */
  readonly mtu: number;
  /** 0: none. */
  readonly metric: number;
  readonly install: boolean;
}

export interface TunConfig {
  readonly disabled: boolean;
  /** Empty: the kernel chooses. */
  readonly dev: string;
  readonly mtu: number;
  readonly txQueue: number;
  readonly dropLocalBroadcast: boolean;
  readonly dropMulticast: boolean;
  readonly routes: readonly MtuRoute[];
  readonly unsafeRoutes: readonly UnsafeRoute[];
  readonly useOffloads: boolean;
}

export interface FirewallConfig {
  readonly inbound: readonly Rule[];
  readonly outbound: readonly Rule[];
  readonly inboundAction: 'drop' | 'reject';
  readonly outboundAction: 'drop' | 'reject';
  readonly defaultLocalCidrAny: boolean;
  readonly conntrack: {
    readonly tcpTimeoutMs: number;
    readonly udpTimeoutMs: number;
    readonly defaultTimeoutMs: number;
    readonly maxConnections: number;
    /** Resolved for the number of routines; 0: no cache. */
    readonly routineCacheTimeoutMs: number;
  };
}

export interface StatsConfig {
  /** graphite, prometheus, or none: '' or 'none'. */
  readonly type: string;
  /** 0: none given. */
  readonly intervalMs: number;
  /** tcp, tcp4 or tcp6. */
  readonly protocol: string;
  /** These three are '' when not given. */
  readonly host: string;
  readonly listen: string;
  readonly path: string;
  readonly prefix: string;
  readonly namespace: string;
  readonly subsystem: string;
  readonly messageMetrics: boolean;
  readonly lighthouseMetrics: boolean;
  readonly peerMetrics: boolean;
  readonly peerMetricsMax: number;
}

export interface Config {
  readonly pki: PkiConfig;
  readonly staticHostMap: readonly StaticHost[];
  readonly staticMap: {
    readonly cadenceMs: number;
    readonly network: 'ip4' | 'ip6' | 'ip';
    readonly lookupTimeoutMs: number;
  };
  readonly lighthouse: LighthouseConfig;
  readonly preferredRanges: readonly Prefix[];
  readonly punchy: {
    readonly punch: boolean;
    readonly respond: boolean;
    readonly delayMs: number;
    readonly respondDelayMs: number;
    readonly targetAllRemotes: boolean;
  };
  readonly cipher: 'aes' | 'chachapoly';
  /** `provider` is null when the fastest library is to be taken. */
  readonly crypto: { readonly provider: ProviderName | null };
  /** At least 1, at most 65536. */
  readonly routines: number;
  readonly listen: ListenConfig;
  readonly tun: TunConfig;
  readonly handshakes: {
    readonly tryIntervalMs: number;
    readonly retries: number;
    readonly queryBuffer: number;
  };
  readonly tunnels: { readonly dropInactive: boolean; readonly inactivityTimeoutMs: number; readonly max: number };
  readonly timers: {
    readonly connectionAliveIntervalMs: number;
    readonly pendingDeletionIntervalMs: number;
    readonly requeryWaitDurationMs: number;
  };
  readonly counters: { readonly tryPromote: number; readonly requeryEveryPackets: number };
  readonly firewall: FirewallConfig;
  readonly logging: LogSettings;
  readonly stats: StatsConfig;
  /** `socket` is null when the local control socket is off, '' when its path follows the name that the device gets. */
  readonly api: { readonly socket: string | null };
}
