/**
 * What the control plane writes about tunnels for the data path to read. The shell implements it over shared memory;
 * tests implement it over a Map. The control plane is the only writer of everything here except the send counter, the
 * replay window and the traffic marks, which belong to the workers.
 *
 * A row is removed by the shell, not by the control plane: when it meets the effect `tunnelClosed`, so that a close
 * message queued before it can still be sealed with the row's key.
 */
import type { Certificate } from '../../../shared/cert/certificate.ts';
import type { Cipher } from '../../../shared/crypto/aead.ts';
import type { Endpoint, IpAddress } from '../../../shared/ip/address.ts';
import type { IndexBoard } from './localIndexes.ts';

/** One tunnel as a completed handshake gives it. The store copies what it needs and may wipe nothing of it. */
export interface TunnelRecord {
  /** Our name for the tunnel: the remote index in headers that we receive. */
  readonly localIndex: number;
  /** The peer's name for the tunnel: the remote index in headers that we send. */
  readonly remoteIndex: number;
  readonly cipher: Cipher;
  /** 32 bytes each. */
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** The peer's certificate, verified. `encoded` and `version` are what a worker needs to parse it again. */
  readonly certificate: Certificate;
  /** Where to send; null while the peer is reachable only through a relay. */
  readonly endpoint: Endpoint | null;
  readonly isInitiator: boolean;
  /**
   * False: the peer has not proved yet that it has the keys, or (we are the initiator) that it still has them; workers
   * report the first packet that does (`ControlPlane.onRoam`).
   */
  readonly isConfirmed: boolean;
}

export const Traffic = { None: 0, In: 1, Out: 2 } as const;

export interface TunnelStore extends IndexBoard {
  /** Rows there are. */
  readonly capacity: number;
  /**
   * Makes a row and its index visible to the workers and returns its slot, or -1 when the table is full. The send
   * counter starts at 2 (the first packet carries 3) and the replay window has 0, 1 and 2 marked: the two handshake
   * messages used 1 and 2 (Nebula protocol: counters).
   */
  publish(record: TunnelRecord): number;
  /** The row's version: reports of workers name (slot, generation), and stale ones are ignored. */
  generation(slot: number): number;
  /** Makes this tunnel the primary one of an address. */
  setHost(address: IpAddress, slot: number): void;
  clearHost(address: IpAddress): void;
  /** The peer has proved that it has the keys: workers need not report its packets any more. */
  confirm(slot: number): void;
  setEndpoint(slot: number, endpoint: Endpoint | null): void;
  /** Bits of `Traffic` that workers set since the last call; reading clears them. */
  takeTraffic(slot: number): number;
  /** The tunnel's send counter (last value used), as a double: exact below 2^53, near enough above. */
  sendCount(slot: number): number;
}
