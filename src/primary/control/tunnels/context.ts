/**
 * What every part of the control plane shares: its ways to the outside (store, register, outbox, randomness), the remotes, and the
 * two values that a reload replaces (identity, settings). Holds no state machine and decides nothing.
 */

import type { Cipher } from '../../../shared/crypto/aead.ts';
import { type IpAddress, type Prefix, prefixContains } from '../../../shared/ip/address.ts';
import type { Identity } from '../../pki/identity.ts';
import type { Remotes } from '../discovery/remotes.ts';
import { Outbox } from '../effects.ts';
import type { Now } from '../now.ts';
import type { HostRegister } from './hostRegister.ts';
import { HostTroubles } from './hostTroubles.ts';
import { LocalIndexes } from './localIndexes.ts';
import type { TunnelStore } from './tunnelStore.ts';

/** `lighthouse.remote_allow_list` and `remote_allow_ranges`, as the control plane asks them. */
export interface RemoteFilter {
  /** Before the peer's identity is known. */
  allowsUnknown(underlay: IpAddress): boolean;
  allowsAll(vpnAddresses: readonly IpAddress[], underlay: IpAddress): boolean;
}

export interface HandshakeSettings {
  readonly tryIntervalMs: number;
  readonly retries: number;
}

/** Everything here may change on reload, except `handshakes`, of which a running handshake keeps what it started with. */
export interface ControlSettings {
  readonly handshakes: HandshakeSettings;
  /** `timers.connection_alive_interval` and `timers.pending_deletion_interval`. */
  readonly checkIntervalMs: number;
  readonly pendingDeletionMs: number;
  readonly dropInactive: boolean;
  readonly inactivityTimeoutMs: number;
  /** `pki.disconnect_invalid`; a blocklisted peer is disconnected in any case. */
  readonly disconnectInvalid: boolean;
  readonly acceptRecvError: 'always' | 'never' | 'private';
  readonly preferredRanges: readonly Prefix[];
  /** `punchy.punch` and `punchy.target_all_remotes`. */
  readonly punch: boolean;
  readonly punchAllRemotes: boolean;
  readonly amLighthouse: boolean;
  /** `lighthouse.hosts`. */
  readonly lighthouses: readonly IpAddress[];
  /** `counters.try_promote`, `counters.requery_every_packets`, `timers.requery_wait_duration`; 0 packets: never. */
  readonly promoteEveryPackets: number;
  readonly requeryEveryPackets: number;
  readonly requeryWaitMs: number;
}

export interface ContextParts {
  readonly store: TunnelStore;
  /** null on a node that is no lighthouse. */
  readonly register: HostRegister | null;
  readonly remotes: Remotes;
  readonly remoteFilter: RemoteFilter;
  /** Cryptographically secure bytes. */
  readonly random: (byteCount: number) => Uint8Array;
  readonly cipher: Cipher;
  readonly identity: Identity;
  readonly settings: ControlSettings;
}

export class Context {
  readonly outbox: Outbox = new Outbox();
  readonly store: TunnelStore;
  readonly register: HostRegister | null;
  readonly remotes: Remotes;
  readonly random: (byteCount: number) => Uint8Array;
  readonly cipher: Cipher;
  readonly localIndexes: LocalIndexes;
  readonly troubles: HostTroubles = new HostTroubles();
  identity: Identity;
  settings: ControlSettings;
  remoteFilter: RemoteFilter;
  #lastTimeNs = 0n;

  constructor(parts: ContextParts) {
    this.store = parts.store;
    this.register = parts.register;
    this.remotes = parts.remotes;
    this.remoteFilter = parts.remoteFilter;
    this.random = parts.random;
    this.cipher = parts.cipher;
    this.identity = parts.identity;
    this.settings = parts.settings;
    this.localIndexes = new LocalIndexes(parts.random, parts.store);
  }

  isOwnAddress(address: IpAddress): boolean {
    return this.identity.certificates.some((certificate) =>
      certificate.networks.some((network) => network.address.text === address.text),
    );
  }

  isLighthouse(address: IpAddress): boolean {
    return this.settings.lighthouses.some((lighthouse) => lighthouse.text === address.text);
  }

  /** Whether the operator prefers this underlay address to others (`preferred_ranges`). */
  isPreferred(address: IpAddress): boolean {
    return this.settings.preferredRanges.some((range) => prefixContains(range, address));
  }

  /**
   * The time for a handshake message, in nanoseconds since the Unix epoch. Always later than the last one, whatever the
   * clock does: peers refuse a handshake that is not newer than the tunnel they have.
   */
  handshakeTimeNs(now: Now): bigint {
    const clockNs = BigInt(Math.floor(now.unixMs)) * 1_000_000n;
    this.#lastTimeNs = clockNs > this.#lastTimeNs ? clockNs : this.#lastTimeNs + 1n;
    return this.#lastTimeNs;
  }
}
