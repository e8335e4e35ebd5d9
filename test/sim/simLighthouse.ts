/**
 * The workers of a lighthouse in the simulation: the real handlers over the real shared table, two of them, joined to a
 * simulated node's tunnels as `worker/datapath/lighthouseRequests.ts` joins them to a worker's.
 */
import type { Now } from '../../src/primary/control/now.ts';
import { LighthouseHosts } from '../../src/primary/lighthouse/hosts.ts';
import { addressOfWords } from '../../src/shared/ip/networkWords.ts';
import { LIGHTHOUSE_METRIC_NAMES } from '../../src/shared/memory/lighthouseMetrics.ts';
import { MessageType, Subtype } from '../../src/shared/wire/header.ts';
import { EndpointFilter } from '../../src/worker/datapath/endpointFilter.ts';
import {
  LIGHTHOUSE_OUTPUT_BYTES,
  LighthouseHandler,
  type LighthousePeers,
  type LighthouseSink,
  LighthouseVerdict,
} from '../../src/worker/lighthouse/lighthouseHandler.ts';
import { lighthousePeer } from '../../src/worker/lighthouse/lighthousePeer.ts';
import { lighthouseTable, workerTurns } from '../support/memories.ts';
import type { MemoryRow } from '../support/memoryTunnelStore.ts';
import type { SimNode } from './simNode.ts';

const WORKERS = 2;

export class SimLighthouse implements LighthousePeers, LighthouseSink {
  readonly hosts: LighthouseHosts;
  readonly metrics: Float64Array = new Float64Array(LIGHTHOUSE_METRIC_NAMES.length);
  readonly #node: SimNode;
  readonly #output = new Uint8Array(2 * LIGHTHOUSE_OUTPUT_BYTES);
  readonly #handlers: readonly LighthouseHandler[];
  /** Of the message that is being handled. */
  #now: Now = { ms: 0, unixMs: 0 };

  constructor(node: SimNode, capacity: number) {
    const table = lighthouseTable(capacity);
    const turns = workerTurns(WORKERS);
    const ownNetworks = node.identity.networks;
    this.#node = node;
    this.hosts = new LighthouseHosts(table, turns);
    this.#handlers = Array.from(
      { length: WORKERS },
      (_, worker) =>
        new LighthouseHandler({
          table,
          peers: this,
          sink: this,
          filter: new EndpointFilter({ remoteAllowList: [], remoteAllowRanges: [], ownNetworks }),
          output: this.#output,
          outputOffset: 0,
          worker,
          metrics: this.metrics,
        }),
    );
  }

  /** False when the message is for the node's own client. */
  handle(now: Now, row: MemoryRow, body: Uint8Array): boolean {
    this.#now = now;
    const sender = lighthousePeer(row.slot, row.record.certificate);
    return this.#handlers[row.slot % WORKERS].handle(body, 0, body.length, sender) !== LighthouseVerdict.Punt;
  }

  networks(slot: number): readonly Int32Array[] | null {
    const row = this.#node.store.rows.get(slot);
    return row === undefined ? null : lighthousePeer(slot, row.record.certificate).networks;
  }

  reply(slot: number, offset: number, length: number): void {
    const row = this.#node.store.rows.get(slot);
    if (row !== undefined) {
      this.#node.sendSealed(row, MessageType.Lighthouse, Subtype.None, this.#copy(offset, length));
    }
  }

  notify(slot: number, a0: number, a1: number, a2: number, a3: number, offset: number, length: number): void {
    if (this.#node.store.rows.has(slot)) {
      this.reply(slot, offset, length);
      return;
    }
    this.#node.control.onLighthouseAnswer(this.#now, addressOfWords(a0, a1, a2, a3), this.#copy(offset, length));
  }

  #copy(offset: number, length: number): Uint8Array {
    return this.#output.slice(offset, offset + length);
  }
}
