/** A lighthouse's worker without a kernel: table, handler, and what it sent. What the handler's tests share. */
import { expect } from 'chai';
import { LighthouseHosts } from '../../../src/primary/lighthouse/hosts.ts';
import { parsePrefix } from '../../../src/shared/ip/address.ts';
import { addressWords, networkWords } from '../../../src/shared/ip/networkWords.ts';
import { LIGHTHOUSE_METRIC, LIGHTHOUSE_METRIC_NAMES } from '../../../src/shared/memory/lighthouseMetrics.ts';
import { LighthouseDecoder } from '../../../src/shared/wire/lighthouseDecoder.ts';
import { encodeLighthouse, LIGHTHOUSE_BYTES_MAX } from '../../../src/shared/wire/lighthouseEncoder.ts';
import {
  addEndpoint,
  endpointsOf,
  LighthouseMessage,
  LighthouseType,
  relaysOf,
  targetOf,
} from '../../../src/shared/wire/lighthouseMessage.ts';
import { EndpointFilter, type EndpointRules } from '../../../src/worker/datapath/endpointFilter.ts';
import { LIGHTHOUSE_OUTPUT_BYTES, LighthouseHandler } from '../../../src/worker/lighthouse/lighthouseHandler.ts';
import type { LighthousePeer } from '../../../src/worker/lighthouse/lighthousePeer.ts';
import { ep, ip, texts } from '../../support/addresses.ts';
import { lighthouseTable, workerTurns } from '../../support/memories.ts';

export interface Sent {
  readonly how: 'reply' | 'notify';
  readonly slot: number;
  readonly type: number;
  readonly version: number;
  readonly target: string | undefined;
  readonly endpoints: readonly string[];
  readonly relays: readonly string[];
}

export const allowAll: EndpointRules = { ownNetworks: [], remoteAllowList: [], remoteAllowRanges: [] };

export class Lighthouse {
  readonly table = lighthouseTable(64);
  readonly hosts = new LighthouseHosts(this.table, workerTurns(1));
  readonly metrics = new Float64Array(LIGHTHOUSE_METRIC_NAMES.length);
  readonly peers = new Map<number, LighthousePeer>();
  readonly output = new Uint8Array(LIGHTHOUSE_OUTPUT_BYTES + 7);
  sent: Sent[] = [];
  readonly handler: LighthouseHandler;

  constructor(rules: EndpointRules = allowAll) {
    this.handler = new LighthouseHandler({
      table: this.table,
      peers: { networks: (slot) => this.peers.get(slot)?.networks ?? null },
      sink: {
        reply: (slot, offset, length) => this.#note('reply', slot, offset, length),
        notify: (slot, _a0, _a1, _a2, _a3, offset, length) => this.#note('notify', slot, offset, length),
      },
      filter: new EndpointFilter(rules),
      output: this.output,
      outputOffset: 7,
      worker: 0,
      metrics: this.metrics,
    });
  }

  /** A host with a tunnel in `slot`; its certificate has these networks. */
  connect(slot: number, version: 1 | 2, networks: readonly string[], learned: readonly string[] = []): LighthousePeer {
    const prefixes = networks.map((text) => parsePrefix(text)!);
    const addresses = prefixes.map((prefix) => prefix.address);
    const peer: LighthousePeer = {
      slot,
      addresses: addressWords(addresses),
      networks: prefixes.map((prefix) => networkWords([prefix])),
    };
    this.peers.set(slot, peer);
    expect(this.hosts.add(addresses, slot, version)).to.equal(true);
    for (const endpoint of learned) {
      this.hosts.learn(addresses[0], ep(endpoint));
    }
    return peer;
  }

  send(
    from: LighthousePeer,
    type: number,
    version: 1 | 2,
    target: string | null,
    endpoints: readonly string[] = [],
    relays: readonly string[] = [],
  ): number {
    const message = new LighthouseMessage();
    message.type = type;
    message.version = version;
    if (target !== null) {
      const [a0, a1, a2, a3] = addressWords([ip(target)]);
      message.setTarget(version, a0, a1, a2, a3);
    }
    for (const endpoint of endpoints) {
      addEndpoint(message, ep(endpoint));
    }
    for (const relay of relays) {
      const [a0, a1, a2, a3] = addressWords([ip(relay)]);
      message.addRelay(a0, a1, a2, a3);
    }
    const bytes = new Uint8Array(LIGHTHOUSE_BYTES_MAX + 3);
    const length = encodeLighthouse(message, bytes, 3);
    this.sent = [];
    return this.handler.handle(bytes, 3, length, from);
  }

  count(name: keyof typeof LIGHTHOUSE_METRIC): number {
    return this.metrics[LIGHTHOUSE_METRIC[name]];
  }

  #note(how: 'reply' | 'notify', slot: number, offset: number, length: number): void {
    const message = new LighthouseMessage();
    expect(new LighthouseDecoder().decode(this.output, offset, length, message)).to.equal(0);
    this.sent.push({
      how,
      slot,
      type: message.type,
      version: message.version,
      target: targetOf(message)?.text,
      endpoints: texts(endpointsOf(message)),
      relays: texts(relaysOf(message)),
    });
  }
}

export const { HostQuery, HostQueryReply, HostUpdateNotification, HostPunchNotification, HostUpdateNotificationAck } =
  LighthouseType;
