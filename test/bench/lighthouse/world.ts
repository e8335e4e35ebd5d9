/**
 * The same lighthouse twice, as the worker's handler over a shared table and as the straightforward one, with the same
 * hosts, and requests for both. Hosts report what hosts do: two or three IPv4 endpoints, often one of IPv6, rarely
 * relays.
 */
import Long from 'long';
import { LighthouseHosts } from '../../../src/primary/lighthouse/hosts.ts';
import { addressFromBytes, endpointOf, type IpAddress, prefixOf } from '../../../src/shared/ip/address.ts';
import { addressWords, networkWords } from '../../../src/shared/ip/networkWords.ts';
import { LIGHTHOUSE_METRIC_NAMES } from '../../../src/shared/memory/lighthouseMetrics.ts';
import type { LighthouseTable } from '../../../src/shared/memory/lighthouseTable.ts';
import { encodeLighthouse, LIGHTHOUSE_BYTES_MAX } from '../../../src/shared/wire/lighthouseEncoder.ts';
import { LighthouseMessage, LighthouseType } from '../../../src/shared/wire/lighthouseMessage.ts';
import { EndpointFilter } from '../../../src/worker/datapath/endpointFilter.ts';
import { LIGHTHOUSE_OUTPUT_BYTES, LighthouseHandler } from '../../../src/worker/lighthouse/lighthouseHandler.ts';
import type { LighthousePeer } from '../../../src/worker/lighthouse/lighthousePeer.ts';
import { lighthouseTable, workerTurns } from '../../support/memories.ts';
import { Random } from '../../support/random.ts';
import { type Addr, type Peer, StraightforwardLighthouse, type V4, type V6 } from './straightforward.ts';

/** Requests one behind the other in one buffer, and who sends each. */
export interface Requests {
  readonly bytes: Uint8Array;
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;
  /** Positions in `World.peers` and `World.plainPeers`. */
  readonly senders: Int32Array;
  readonly bodies: readonly Uint8Array[];
}

export interface Sent {
  readonly slot: number;
  readonly body: string;
}

export class World {
  readonly hostCount: number;
  readonly version: 1 | 2;
  readonly table: LighthouseTable;
  readonly hosts: LighthouseHosts;
  readonly handler: LighthouseHandler;
  readonly straightforward: StraightforwardLighthouse;
  readonly peers: LighthousePeer[] = [];
  readonly plainPeers: Peer[] = [];
  /** What each handler sent since `resetSent`: the count and sum that a bench needs, bytes only while `keeps`. */
  sentCount = 0;
  sentBytes = 0;
  keeps = false;
  sent: Sent[] = [];
  readonly output = new Uint8Array(LIGHTHOUSE_OUTPUT_BYTES);
  readonly #slots = new Map<string, number>();
  readonly #random: Random;

  constructor(hostCount: number, version: 1 | 2, seed: number) {
    const capacity = Math.max(1024, Math.ceil(hostCount * 1.3));
    const turns = workerTurns(1);
    this.hostCount = hostCount;
    this.version = version;
    this.#random = new Random(seed);
    this.table = lighthouseTable(capacity);
    this.hosts = new LighthouseHosts(this.table, turns);
    const peers = this.peers;
    this.handler = new LighthouseHandler({
      table: this.table,
      peers: { networks: (slot) => peers[slot].networks },
      sink: {
        reply: (slot, offset, length) => this.#note(slot, offset, length),
        notify: (slot, _a0, _a1, _a2, _a3, offset, length) => this.#note(slot, offset, length),
      },
      filter: new EndpointFilter({
        ownNetworks: [prefixOf(addressFromBytes(Uint8Array.of(10, 255, 255, 1)), 32)],
        remoteAllowList: [],
        remoteAllowRanges: [],
      }),
      output: this.output,
      outputOffset: 0,
      worker: 0,
      metrics: new Float64Array(LIGHTHOUSE_METRIC_NAMES.length),
    });
    this.straightforward = new StraightforwardLighthouse((to, body) => {
      this.sentCount++;
      this.sentBytes += body.length;
      if (this.keeps) {
        this.sent.push({ slot: this.#slots.get(to) ?? -1, body: Buffer.from(body).toString('hex') });
      }
    });
    for (let index = 0; index < hostCount; index++) {
      this.#addHost(index);
    }
    const updates = this.updates(Array.from({ length: hostCount }, (_, index) => index));
    this.runHandler(updates);
    this.runStraightforward(updates);
    this.resetSent();
  }

  resetSent(): void {
    this.sentCount = 0;
    this.sentBytes = 0;
    this.sent = [];
  }

  runHandler(requests: Requests): void {
    const { bytes, offsets, lengths, senders } = requests;
    const peers = this.peers;
    for (let index = 0; index < offsets.length; index++) {
      this.handler.handle(bytes, offsets[index], lengths[index], peers[senders[index]]);
    }
  }

  runStraightforward(requests: Requests): void {
    for (let index = 0; index < requests.bodies.length; index++) {
      this.straightforward.handle(requests.bodies[index], this.plainPeers[requests.senders[index]]);
    }
  }

  /** `count` queries for known hosts, or for unknown ones, each from a random host. */
  queries(count: number, isFound: boolean): Requests {
    return this.#requests(count, (message) => {
      const [a0, a1, a2, a3] = addressWords([vpnAddress(this.#random.below(this.hostCount) + (isFound ? 0 : 1 << 22))]);
      message.type = LighthouseType.HostQuery;
      message.setTarget(this.version, a0, a1, a2, a3);
      return this.#random.below(this.hostCount);
    });
  }

  /** One update from each of the hosts given, with new endpoints every time. */
  updates(senders: readonly number[]): Requests {
    return this.#requests(senders.length, (message, index) => {
      const sender = senders[index];
      message.type = LighthouseType.HostUpdateNotification;
      if (this.version === 1) {
        const [a0, a1, a2, a3] = addressWords([vpnAddress(sender)]);
        message.setTarget(1, a0, a1, a2, a3);
      }
      for (let left = 2 + this.#random.below(2); left > 0; left--) {
        message.addV4(this.#random.u32() | 0, 1 + this.#random.below(65535));
      }
      if (this.#random.below(3) === 0) {
        message.addV6(0x20010db8, this.#random.u32() | 0, 0, this.#random.u32() | 0, 4242);
      }
      if (this.#random.below(10) === 0) {
        const [a0, a1, a2, a3] = addressWords([vpnAddress(this.#random.below(this.hostCount))]);
        message.addRelay(a0, a1, a2, a3);
      }
      return sender;
    });
  }

  #requests(count: number, fill: (message: LighthouseMessage, index: number) => number): Requests {
    const scratch = new Uint8Array(LIGHTHOUSE_BYTES_MAX);
    const message = new LighthouseMessage();
    const senders = new Int32Array(count);
    const offsets = new Int32Array(count);
    const lengths = new Int32Array(count);
    const bodies: Uint8Array[] = [];
    let end = 0;
    for (let index = 0; index < count; index++) {
      message.reset();
      message.version = this.version;
      senders[index] = fill(message, index);
      lengths[index] = encodeLighthouse(message, scratch, 0);
      offsets[index] = end;
      end += lengths[index];
      bodies.push(scratch.slice(0, lengths[index]));
    }
    const bytes = new Uint8Array(end);
    bodies.forEach((body, index) => {
      bytes.set(body, offsets[index]);
    });
    return { bytes, offsets, lengths, senders, bodies };
  }

  #addHost(index: number): void {
    const address = vpnAddress(index);
    const words = addressWords([address]);
    const underlay = this.#random.u32() | 0;
    const port = 1 + this.#random.below(65535);
    this.hosts.add([address], index, this.version);
    this.hosts.learn(address, endpointOf(addressFromBytes(bytesOf(underlay)), port));
    this.peers.push({
      slot: index,
      addresses: words,
      networks: [networkWords([prefixOf(address, 8)])],
    });
    const plain: Peer = { addresses: [longs(words)], certificateVersion: this.version };
    this.plainPeers.push(plain);
    const learnedV4: V4[] = [{ addr: underlay >>> 0, port }];
    const learnedV6: V6[] = [];
    this.straightforward.add(plain, learnedV4, learnedV6);
    this.#slots.set(`${plain.addresses[0].hi.toString(16)}:${plain.addresses[0].lo.toString(16)}`, index);
  }

  #note(slot: number, offset: number, length: number): void {
    this.sentCount++;
    this.sentBytes += length;
    if (this.keeps) {
      this.sent.push({ slot, body: Buffer.from(this.output.subarray(offset, offset + length)).toString('hex') });
    }
  }
}

function vpnAddress(index: number): IpAddress {
  return addressFromBytes(bytesOf((10 << 24) | (index + 1)));
}

function bytesOf(word: number): Uint8Array {
  return Uint8Array.of(word >>> 24, word >>> 16, word >>> 8, word);
}

function longs(words: Int32Array): Addr {
  return { hi: Long.fromBits(words[1], words[0], true), lo: Long.fromBits(words[3], words[2], true) };
}
