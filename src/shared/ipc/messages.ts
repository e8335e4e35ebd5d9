/**
 * What the primary and its workers tell each other, as values.
 *
 * The primary's messages travel over the cluster's IPC channel (structured clone serialization: a worker trusts the
 * primary), with a bounded number under way. The primary never reads that channel: a worker's messages are frames in a
 * ring of shared memory (`frames.ts`, `frameRing.ts`). Only cold things travel either way: packets stay in the worker that
 * received them, except those that need the control plane (punts). Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d. Nobody
 * waits for an answer.
 */
import type { RuleLists } from '../firewall/ruleTable.ts';
import type { IpAddress, Prefix } from '../ip/address.ts';
import type { RemoteAllowRules } from '../ip/allowRules.ts';
import type { LogSettings } from '../log/logger.ts';
import type { TunOffload } from '../sys/tun.ts';

/** Bytes of the key of flow labels. */
export const FLOW_KEY_BYTES = 16;

/** File descriptors of a worker, in the order in which the primary passes them behind the IPC channel. */
export const WorkerFd = { Tun: 4, Udp: 5, Facts: 6, Common: 7, Own: 8, Channel: 9, Bell: 10 } as const;

/**
 * Everything a worker needs that is not in shared memory. Sent at start and again, whole, after each reload. Values that
 * the configuration has parsed travel as they are: plain data that the channel's structured clone keeps.
 */
export interface WorkerSettings {
  readonly worker: number;
  /** Names of the AEAD providers that the primary tried and chose. */
  readonly aesProvider: string;
  readonly chachaProvider: string;
  /** The number of this node's cipher, as in tunnels' rows: what a worker warms up with. */
  readonly cipher: number;
  /** This node's certificate of the highest version, as in its PEM block: its networks, unsafe networks, name. */
  readonly certificate: Uint8Array;
  readonly certificateVersion: 1 | 2;
  /** Networks of every certificate of this node, with host bits: `10.1.2.3/16`. */
  readonly networks: readonly Prefix[];
  /** Names of the CAs in the pool by fingerprint, for rules with `ca_name`. */
  readonly caNames: ReadonlyMap<string, string>;
  readonly firewall: FirewallSettings;
  /** False with `tun.disabled`: then there is no descriptor of a queue either. */
  readonly hasDevice: boolean;
  readonly tunOffload: TunOffload;
  /** Of the UDP sockets: an IPv4 socket reaches no IPv6 endpoint. */
  readonly family: 4 | 6;
  /** The UDP port of all of them. */
  readonly ownPort: number;
  readonly udpOffloads: boolean;
  /** `listen.batch`: messages received by one system call. */
  readonly batch: number;
  /** Key of the flow labels, or null when labels are off. */
  readonly labelKey: Uint8Array | null;
  readonly sendRecvError: 'always' | 'never' | 'private';
  readonly dropsMulticast: boolean;
  readonly dropsLocalBroadcast: boolean;
  readonly routes: readonly RouteSetting[];
  /** null: this node is no lighthouse. */
  readonly lighthouse: LighthouseSettings | null;
  readonly log: LogSettings;
}

/** The rules and what goes with them. */
export interface FirewallSettings {
  readonly rules: RuleLists;
  /** From 1, one more with each reload that changes the rules. */
  readonly rulesVersion: number;
  readonly rejectsInbound: boolean;
  readonly rejectsOutbound: boolean;
  /** Life of an idle flow. */
  readonly timeouts: { readonly tcpMs: number; readonly udpMs: number; readonly defaultMs: number };
  /** Of the worker's own cache of flows; 0: no cache. */
  readonly routineCacheTimeoutMs: number;
}

/** What a lighthouse's workers must know to answer. */
export interface LighthouseSettings {
  readonly allow: RemoteAllowRules;
}

/** An unsafe route: packets to `route` go to one of the gateways, by weight. */
export interface RouteSetting {
  readonly route: Prefix;
  readonly via: readonly { readonly gateway: IpAddress; readonly weight: number }[];
}

export type ToWorker =
  /** A successor, whose packets wait already, does not warm up. */
  | { readonly type: 'start'; readonly settings: WorkerSettings; readonly warmsUp: boolean }
  | { readonly type: 'settings'; readonly settings: WorkerSettings }
  /** A tunnel to these addresses is up: send what waits for them. */
  | { readonly type: 'hostUp'; readonly addresses: readonly Uint8Array[] }
  /** No tunnel could be made: drop what waits. */
  | { readonly type: 'hostFailed'; readonly address: Uint8Array }
  /** The tunnels in these slots ended: wipe what was derived from them. */
  | { readonly type: 'tunnelsClosed'; readonly slots: readonly number[] }
  /** The conntrack tick: the routine-local cache is to be emptied. */
  | { readonly type: 'tick'; readonly version: number }
  | { readonly type: 'stop' };

/** Whence a datagram came, and to which address of this machine (zero: it does not matter); 16 bytes each. */
export interface Origin {
  readonly address: Uint8Array;
  readonly port: number;
  readonly local: Uint8Array;
}

export type Punt =
  | ({ readonly kind: 'handshake'; readonly bytes: Uint8Array } & Origin)
  | ({ readonly kind: 'recvError'; readonly index: number } & Origin)
  | ({ readonly kind: 'roam'; readonly slot: number; readonly generation: number } & Origin)
  | { readonly kind: 'close'; readonly slot: number; readonly generation: number }
  /** An opened lighthouse message for this node's own client. */
  | { readonly kind: 'lighthouse'; readonly slot: number; readonly generation: number; readonly body: Uint8Array }
  /** What this lighthouse has to say to a host without a tunnel. */
  | { readonly kind: 'lighthouseAnswer'; readonly address: Uint8Array; readonly body: Uint8Array }
  /** A test request from a source that is not (yet) the tunnel's endpoint: answered once the roam is decided. */
  | { readonly kind: 'test'; readonly slot: number; readonly generation: number; readonly body: Uint8Array }
  /** A packet waits for a tunnel to this address. */
  | { readonly kind: 'miss'; readonly address: Uint8Array };

export type FromWorker =
  /** The worker listens: a message sent before would be lost, as node:cluster takes it from the channel unheard. */
  | { readonly kind: 'awake' }
  /** It has its settings and descriptors, and packets flow. */
  | { readonly kind: 'ready' }
  /** The worker cannot go on; it exits right after. The reason is printable ASCII. */
  | { readonly kind: 'failed'; readonly reason: string }
  | Punt;
