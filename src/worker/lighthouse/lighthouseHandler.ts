/**
 * A worker's lighthouse: answers queries and updates in the worker that received them (Nebula protocol: lighthouse
 * server), from the shared lighthouse table, without a word to the primary.
 *
 * One handler per worker. Decoder, message, records and output buffer are made once and serve every request; nothing
 * is allocated per request, found or not. What a request leaves behind is gone with the next one: the sink consumes the
 * output before it returns, and nothing else gets to see the handler's memory. Measured in docs/performance.md.
 *
 *   query   → found: reply to the querier, punch notification to the queried host; else silence
 *   update  → the sender's own row is replaced; ack
 *   answers to this node's own queries → `Punt`, they are the primary's
 */
import { containsAddress, findNetwork, isMappedWords } from '../../shared/ip/networkWords.ts';
import { LIGHTHOUSE_METRIC } from '../../shared/memory/lighthouseMetrics.ts';
import type { LighthouseTable } from '../../shared/memory/lighthouseTable.ts';
import { LighthouseDecoder } from '../../shared/wire/lighthouseDecoder.ts';
import {
  beginDetails,
  finishMessage,
  LIGHTHOUSE_BYTES_MAX,
  writeTargetV1,
} from '../../shared/wire/lighthouseEncoder.ts';
import { LighthouseMessage, LighthouseType } from '../../shared/wire/lighthouseMessage.ts';
import type { EndpointFilter } from '../datapath/endpointFilter.ts';
import type { LighthousePeer } from './lighthousePeer.ts';

/** What `handle` did. Negative: the message was bad and has been counted. */
export const LighthouseVerdict = {
  /** Answered, or rightly left unanswered. */
  Done: 0,
  /** For this node's own lighthouse client. */
  Punt: 1,
  /** Not decodable, or a form that the protocol does not have. */
  Malformed: -1,
  /** An update for an address that is not the sender's. */
  NotOwner: -2,
  /** An update from a host without a row: the table was full when it came. */
  UnknownHost: -3,
  /** An update while another writer holds the row. */
  Busy: -4,
} as const;

/** Asked only about hosts with several vpn addresses. */
export interface LighthousePeers {
  /** The vpn networks of the certificate behind a tunnel, one array each (`networkWords`); null when it has ended. */
  networks(slot: number): readonly Int32Array[] | null;
}

/** Where answers go. `length` bytes at `offset` of the handler's output are borrowed until the call returns. */
export interface LighthouseSink {
  /** Seal and send as a lighthouse message through the tunnel of this slot: to the sender of the request. */
  reply(slot: number, offset: number, length: number): void;
  /**
   * The same to the host with vpn address a0..a3, whose primary tunnel had this slot. If that has ended, copy the
   * message and let the primary make a tunnel.
   */
  notify(slot: number, a0: number, a1: number, a2: number, a3: number, offset: number, length: number): void;
}

export interface LighthouseHandlerParts {
  readonly table: LighthouseTable;
  readonly peers: LighthousePeers;
  readonly sink: LighthouseSink;
  readonly filter: EndpointFilter;
  /** Where answers are encoded: `LIGHTHOUSE_OUTPUT_BYTES` from `outputOffset` on are the handler's. */
  readonly output: Uint8Array;
  readonly outputOffset: number;
  /** This worker's number. */
  readonly worker: number;
  /** `LIGHTHOUSE_METRIC_NAMES.length` cells of this worker. */
  readonly metrics: Float64Array;
}

/** Copies of sections write whole words, so up to three bytes more than a message has. */
export const LIGHTHOUSE_OUTPUT_BYTES: number = LIGHTHOUSE_BYTES_MAX + 4;

export class LighthouseHandler {
  readonly #table: LighthouseTable;
  readonly #peers: LighthousePeers;
  readonly #sink: LighthouseSink;
  #filter: EndpointFilter;
  readonly #output: Uint8Array;
  readonly #view: DataView;
  readonly #start: number;
  readonly #writer: number;
  readonly #metrics: Float64Array;
  readonly #decoder = new LighthouseDecoder();
  readonly #message = new LighthouseMessage();

  constructor(parts: LighthouseHandlerParts) {
    if (parts.output.length - parts.outputOffset < LIGHTHOUSE_OUTPUT_BYTES) {
      throw new RangeError(`the lighthouse handler needs ${LIGHTHOUSE_OUTPUT_BYTES} bytes of output`);
    }
    this.#table = parts.table;
    this.#peers = parts.peers;
    this.#sink = parts.sink;
    this.#filter = parts.filter;
    this.#output = parts.output;
    this.#view = new DataView(parts.output.buffer, parts.output.byteOffset, parts.output.byteLength);
    this.#start = parts.outputOffset;
    this.#writer = parts.worker + 1;
    this.#metrics = parts.metrics;
  }

  /** After a reload: which endpoints are stored from now on. */
  applyFilter(filter: EndpointFilter): void {
    this.#filter = filter;
  }

  /** Handles one opened message of `length` bytes at `offset`, which came from `sender`: a `LighthouseVerdict`. */
  handle(bytes: Uint8Array, offset: number, length: number, sender: LighthousePeer): number {
    const message = this.#message;
    const fault = this.#decoder.decode(bytes, offset, length, message);
    if (fault !== 0) {
      return this.#refuse(MALFORMED, LighthouseVerdict.Malformed);
    }
    switch (message.type) {
      case LighthouseType.HostQuery:
        this.#metrics[RX_QUERY]++;
        return this.#query(sender);
      case LighthouseType.HostUpdateNotification:
        this.#metrics[RX_UPDATE]++;
        return this.#update(sender);
      case LighthouseType.HostQueryReply:
      case LighthouseType.HostPunchNotification:
        // Counted by the client, which alone knows whether it asked.
        return LighthouseVerdict.Punt;
      case LighthouseType.HostUpdateNotificationAck:
        this.#metrics[RX_ACK]++;
        return LighthouseVerdict.Done;
      default:
        this.#metrics[RX_OTHER]++;
        return LighthouseVerdict.Done;
    }
  }

  #query(sender: LighthousePeer): number {
    const table = this.#table;
    const { version, target0, target1, target2, target3 } = this.#message;
    const row = table.lookup(target0, target1, target2, target3);
    const length =
      row < 0
        ? row
        : table.encode(
            row,
            target0,
            target1,
            target2,
            target3,
            this.#output,
            this.#view,
            this.#start,
            LighthouseType.HostQueryReply,
            version,
            target0,
            target1,
            target2,
            target3,
          );
    if (length < 0) {
      this.#metrics[NOT_FOUND]++;
      return LighthouseVerdict.Done;
    }
    this.#metrics[TX_REPLY]++;
    this.#sink.reply(sender.slot, this.#start, length);
    this.#notify(sender, table.slot(row), table.version(row));
    return LighthouseVerdict.Done;
  }

  /** Tells the queried host, which has this tunnel, to punch towards the querier, if the querier is known. */
  #notify(querier: LighthousePeer, slot: number, version: number): void {
    const addresses = querier.addresses;
    const k0 = addresses[0];
    const k1 = addresses[1];
    const k2 = addresses[2];
    const k3 = addresses[3];
    const row = this.#table.lookup(k0, k1, k2, k3);
    if (row < 0) {
      return;
    }
    const naming = addresses.length === 4 ? 0 : firstInside(this.#peers.networks(slot), addresses);
    const n0 = addresses[naming];
    const n1 = addresses[naming + 1];
    const n2 = addresses[naming + 2];
    const n3 = addresses[naming + 3];
    if (version === 1 && !isMappedWords(n0, n1, n2)) {
      this.#metrics[FORM]++;
      return;
    }
    const length = this.#table.encode(
      row,
      k0,
      k1,
      k2,
      k3,
      this.#output,
      this.#view,
      this.#start,
      LighthouseType.HostPunchNotification,
      version,
      n0,
      n1,
      n2,
      n3,
    );
    if (length < 0) {
      return;
    }
    this.#metrics[TX_PUNCH]++;
    const { target0, target1, target2, target3 } = this.#message;
    this.#sink.notify(slot, target0, target1, target2, target3, this.#start, length);
  }

  #update(sender: LighthousePeer): number {
    const message = this.#message;
    const { version, hasTarget, target0, target1, target2, target3 } = message;
    const addresses = sender.addresses;
    if (hasTarget && !containsAddress(addresses, target0, target1, target2, target3)) {
      return this.#refuse(NOT_OWNER, LighthouseVerdict.NotOwner);
    }
    const row = this.#table.lookup(addresses[0], addresses[1], addresses[2], addresses[3]);
    if (row < 0) {
      return this.#refuse(UNKNOWN_HOST, LighthouseVerdict.UnknownHost);
    }
    this.#metrics[EXCESS] += message.excessCount;
    this.#keepAllowed(addresses);
    if (!this.#table.writeReported(row, this.#writer, message)) {
      return this.#refuse(BUSY, LighthouseVerdict.Busy);
    }
    let at = beginDetails(this.#output, this.#start, LighthouseType.HostUpdateNotificationAck);
    if (version === 1) {
      at = writeTargetV1(this.#output, at, target3);
    }
    this.#metrics[TX_ACK]++;
    this.#sink.reply(sender.slot, this.#start, finishMessage(this.#output, this.#start, at) - this.#start);
    return LighthouseVerdict.Done;
  }

  /** Drops from the message the endpoints that may not be stored, in place; port 0 reaches nobody. */
  #keepAllowed(addresses: Int32Array): void {
    const message = this.#message;
    const filter = this.#filter;
    const v4Count = message.v4Count;
    message.v4Count = 0;
    for (let index = 0; index < v4Count; index++) {
      const address = message.v4Addresses[index];
      const port = message.v4Ports[index];
      if (port !== 0 && filter.allows(addresses, 0, 0, 0xffff, address)) {
        message.addV4(address, port);
      }
    }
    const words = message.v6Addresses;
    const v6Count = message.v6Count;
    message.v6Count = 0;
    for (let base = 0; base < v6Count * 4; base += 4) {
      const port = message.v6Ports[base >>> 2];
      if (port !== 0 && filter.allows(addresses, words[base], words[base + 1], words[base + 2], words[base + 3])) {
        message.addV6(words[base], words[base + 1], words[base + 2], words[base + 3], port);
      }
    }
  }

  #refuse(metric: number, verdict: number): number {
    this.#metrics[metric]++;
    return verdict;
  }
}

/** Word position of the first of `addresses` inside of `networks`, searched network by network; 0 when none is. */
function firstInside(networks: readonly Int32Array[] | null, addresses: Int32Array): number {
  if (networks === null) {
    return 0;
  }
  for (let network = 0; network < networks.length; network++) {
    for (let base = 0; base < addresses.length; base += 4) {
      const inside = findNetwork(
        networks[network],
        addresses[base],
        addresses[base + 1],
        addresses[base + 2],
        addresses[base + 3],
      );
      if (inside >= 0) {
        return base;
      }
    }
  }
  return 0;
}

/** Cells of the metrics, looked up once. */
const RX_QUERY = LIGHTHOUSE_METRIC['lighthouse.rx.HostQuery'];
const RX_UPDATE = LIGHTHOUSE_METRIC['lighthouse.rx.HostUpdateNotification'];
const RX_ACK = LIGHTHOUSE_METRIC['lighthouse.rx.HostUpdateNotificationAck'];
const RX_OTHER = LIGHTHOUSE_METRIC['lighthouse.rx.other'];
const TX_REPLY = LIGHTHOUSE_METRIC['lighthouse.tx.HostQueryReply'];
const TX_PUNCH = LIGHTHOUSE_METRIC['lighthouse.tx.HostPunchNotification'];
const TX_ACK = LIGHTHOUSE_METRIC['lighthouse.tx.HostUpdateNotificationAck'];
const MALFORMED = LIGHTHOUSE_METRIC['lighthouse.drop.malformed'];
const NOT_OWNER = LIGHTHOUSE_METRIC['lighthouse.drop.not_owner'];
const UNKNOWN_HOST = LIGHTHOUSE_METRIC['lighthouse.drop.unknown_host'];
const BUSY = LIGHTHOUSE_METRIC['lighthouse.drop.busy'];
const FORM = LIGHTHOUSE_METRIC['lighthouse.drop.form'];
const EXCESS = LIGHTHOUSE_METRIC['lighthouse.excess_entries'];
const NOT_FOUND = LIGHTHOUSE_METRIC['lighthouse.queries.not_found'];
