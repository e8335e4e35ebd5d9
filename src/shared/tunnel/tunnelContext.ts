/**
 * What a process derives from a tunnel's row to seal and open its packets: cipher keys, socket address, counters' cells.
 *
 * A context belongs to one (slot, generation). It is made when a packet first needs it and replaced when the slot's
 * generation has moved on; nothing in it is truth. The endpoint is copied again whenever its own generation changes.
 * Used by workers for every packet and by the primary for its own messages. Never touches the row.
 */

import type { AeadKey, AeadProvider, Cipher } from '../crypto/aead.ts';
import type { IndexTable } from '../memory/indexTable.ts';
import { Proof, type TunnelTable } from '../memory/tunnelTable.ts';
import type { Arena } from '../sys/arena.ts';
import { SOCKADDR_BYTES, type SocketFamily, writeLocalAddress, writeSocketAddress } from './socketAddress.ts';

/** For sending and for receiving. */
export type ContextKeys = readonly [AeadKey, AeadKey];

export class TunnelContext {
  readonly slot: number;
  readonly generation: number;
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly ordinal: number;
  readonly sendKey: AeadKey;
  readonly receiveKey: AeadKey;
  /** Arena offset of the peer's socket address; valid when `hasEndpoint`. */
  readonly destination: number;
  hasEndpoint = false;
  endpointGeneration = -1;
  /** A `Proof`, as the row had it when last asked; when it wants none, that stays so. */
  wantedProof: number;
  /** Monotonic ms before which this process does not report a differing source, or a first packet, again. */
  roamReportMs = 0;

  constructor(table: TunnelTable, slot: number, generation: number, keys: ContextKeys, destination: number) {
    this.slot = slot;
    this.generation = generation;
    this.localIndex = table.localIndex(slot);
    this.remoteIndex = table.remoteIndex(slot);
    this.ordinal = table.ordinal(slot);
    this.wantedProof = table.wantedProof(slot);
    this.sendKey = keys[0];
    this.receiveKey = keys[1];
    this.destination = destination;
  }
}

/** One provider per cipher, chosen at start. */
export type CipherProviders = (cipher: Cipher) => AeadProvider;

/** A process may derive more from a row than sealing and opening need: a class of its own with the same constructor. */
export type ContextMaker<Context extends TunnelContext> = new (
  ...row: ConstructorParameters<typeof TunnelContext>
) => Context;

export class TunnelContexts<Context extends TunnelContext = TunnelContext> {
  readonly arena: Arena;
  readonly tunnels: TunnelTable;
  readonly #indexes: IndexTable;
  readonly #providers: CipherProviders;
  readonly #family: SocketFamily;
  readonly #make: ContextMaker<Context>;
  readonly #contexts: (Context | null)[];
  readonly #addresses: number;
  readonly #scratch = new Uint8Array(16);
  readonly #localScratch = new Uint8Array(16);

  /** Reserves one socket address per tunnel slot in `arena`. */
  constructor(
    arena: Arena,
    tunnels: TunnelTable,
    indexes: IndexTable,
    providers: CipherProviders,
    family: SocketFamily,
    make: ContextMaker<Context>,
  ) {
    this.arena = arena;
    this.tunnels = tunnels;
    this.#indexes = indexes;
    this.#providers = providers;
    this.#family = family;
    this.#make = make;
    this.#contexts = new Array<Context | null>(tunnels.capacity).fill(null);
    this.#addresses = arena.allocate(tunnels.capacity * SOCKADDR_BYTES, 64);
  }

  /** The context of a live slot, or null. Valid until the caller's turn ends. */
  at(slot: number): Context | null {
    const generation = this.tunnels.generation(slot);
    const cached = this.#contexts[slot];
    if (cached !== null && cached.generation === generation) {
      return cached;
    }
    return this.#renew(slot, generation);
  }

  /** The context of the tunnel whose local index is `index` (signed or not), or null. */
  byIndex(index: number): Context | null {
    const slot = this.#indexes.lookup(index);
    if (slot < 0) {
      return null;
    }
    const context = this.at(slot);
    return context !== null && (context.localIndex ^ index) === 0 ? context : null;
  }

  /** Whether a tunnel may come up under this index soon: its handshake waits for the answer. */
  isExpected(index: number): boolean {
    return this.#indexes.isAnnounced(index);
  }

  /** Brings `destination` up to date; false when the tunnel has no direct endpoint. */
  refreshEndpoint(context: TunnelContext): boolean {
    const generation = this.tunnels.endpointGeneration(context.slot);
    return generation === context.endpointGeneration ? context.hasEndpoint : this.#copyEndpoint(context);
  }

  /** Whether the tunnel still has to be proved to the primary; asks the row again. */
  refreshProof(context: TunnelContext): boolean {
    context.wantedProof = this.tunnels.wantedProof(context.slot);
    return context.wantedProof !== Proof.None;
  }

  /** Wipes what was derived from a slot whose tunnel ended. */
  release(slot: number): void {
    const context = this.#contexts[slot];
    if (context !== null) {
      context.sendKey.destroy();
      context.receiveKey.destroy();
      this.#contexts[slot] = null;
    }
  }

  #copyEndpoint(context: TunnelContext): boolean {
    const before = this.tunnels.endpointGeneration(context.slot);
    const port = this.tunnels.endpointPort(context.slot);
    this.tunnels.copyEndpointAddress(context.slot, this.#scratch, 0);
    this.tunnels.copyLocalAddress(context.slot, this.#localScratch, 0);
    const isStable = (before & 1) === 0 && this.tunnels.endpointGeneration(context.slot) === before;
    if (!isStable) {
      // The primary is in the middle of a change; the next packet looks again.
      return context.hasEndpoint;
    }
    context.endpointGeneration = before;
    context.hasEndpoint =
      port !== 0 && writeSocketAddress(this.arena, context.destination, this.#family, this.#scratch, 0, port);
    writeLocalAddress(this.arena, context.destination, this.#localScratch, 0);
    return context.hasEndpoint;
  }

  #renew(slot: number, generation: number): Context | null {
    this.release(slot);
    if (generation === 0 || (generation & 1) === 1) {
      return null;
    }
    const cipher = this.tunnels.cipher(slot) as Cipher;
    const sendKey = this.tunnels.copySendKey(slot);
    const receiveKey = this.tunnels.copyReceiveKey(slot);
    try {
      if (this.tunnels.generation(slot) !== generation) {
        return null;
      }
      const provider = this.#providers(cipher);
      const keys: ContextKeys = [
        provider.createKey(cipher, sendKey, this.arena),
        provider.createKey(cipher, receiveKey, this.arena),
      ];
      const context = new this.#make(this.tunnels, slot, generation, keys, this.#addresses + slot * SOCKADDR_BYTES);
      this.#contexts[slot] = context;
      return context;
    } finally {
      sendKey.fill(0);
      receiveKey.fill(0);
    }
  }
}
