/**
 * Binds the lighthouse handler to this worker's tunnels: who the sender is, where an answer goes.
 *
 * An answer to a host with a tunnel is sealed and queued here; only one for a host without a tunnel is copied and
 * punted, as the primary must start a handshake first.
 */
import type { SharedTables } from '../../shared/memory/layout.ts';
import type { Arena } from '../../shared/sys/arena.ts';
import type { TunnelContexts } from '../../shared/tunnel/tunnelContext.ts';
import { MessageType } from '../../shared/wire/header.ts';
import type { EndpointFilter } from '../datapath/endpointFilter.ts';
import type { Sender } from '../datapath/sender.ts';
import type { Punts } from '../punts.ts';
import type { WorkerTunnel } from '../workerTunnel.ts';
import {
  LIGHTHOUSE_OUTPUT_BYTES,
  LighthouseHandler,
  type LighthousePeers,
  type LighthouseSink,
  LighthouseVerdict,
} from './lighthouseHandler.ts';

export interface LighthouseRequestParts {
  readonly arena: Arena;
  readonly tables: SharedTables;
  readonly contexts: TunnelContexts<WorkerTunnel>;
  readonly sender: Sender;
  readonly punts: Punts;
  readonly worker: number;
  readonly filter: EndpointFilter;
}

export class LighthouseRequests implements LighthousePeers, LighthouseSink {
  readonly #arena: Arena;
  readonly #contexts: TunnelContexts<WorkerTunnel>;
  readonly #sender: Sender;
  readonly #punts: Punts;
  readonly #handler: LighthouseHandler;
  /** Of the peer whose message is being handled. */
  #askingSlot = 0;

  constructor(parts: LighthouseRequestParts) {
    const { arena, tables, worker } = parts;
    this.#arena = arena;
    this.#contexts = parts.contexts;
    this.#sender = parts.sender;
    this.#punts = parts.punts;
    this.#handler = new LighthouseHandler({
      table: tables.lighthouse,
      peers: this,
      sink: this,
      filter: parts.filter,
      output: arena.bytes,
      outputOffset: arena.allocate(LIGHTHOUSE_OUTPUT_BYTES, 64),
      worker,
      metrics: tables.metrics.lighthouseColumn(worker + 1),
    });
  }

  /** Handles the opened message at `offset`; false when it is for this node's own client and must be punted. */
  handle(context: WorkerTunnel, offset: number, length: number): boolean {
    const sender = context.lighthousePeer();
    this.#askingSlot = context.slot;
    return (
      sender === null || this.#handler.handle(this.#arena.bytes, offset, length, sender) !== LighthouseVerdict.Punt
    );
  }

  applyFilter(filter: EndpointFilter): void {
    this.#handler.applyFilter(filter);
  }

  networks(slot: number): readonly Int32Array[] | null {
    return this.#contexts.at(slot)?.lighthousePeer()?.networks ?? null;
  }

  reply(slot: number, offset: number, length: number): void {
    const context = this.#contexts.at(slot);
    if (context !== null) {
      this.#sender.send(context, MessageType.Lighthouse, 0, 0, offset, length);
    }
  }

  notify(slot: number, a0: number, a1: number, a2: number, a3: number, offset: number, length: number): void {
    const context = this.#contexts.at(slot);
    if (context === null) {
      this.#punts.lighthouseAnswer(this.#askingSlot, a0, a1, a2, a3, offset, length);
    } else {
      this.#sender.send(context, MessageType.Lighthouse, 0, 0, offset, length);
    }
  }
}
