/**
 * One lighthouse message (Nebula protocol: NebulaMeta) as a reusable struct: what the decoder fills and the encoder
 * reads. A worker has one of each and uses them for every request, so whoever keeps anything beyond the request copies
 * it first (`endpointsOf`, `relaysOf`, `targetOf` make such copies, for the control plane).
 *
 *   NebulaMeta { 1: type   2: details }
 *   details    { 1: vpn address u32 (v1)   2: repeated { 1: IPv4 u32  2: port }   3: unused u32
 *                4: repeated { 1: IPv6 high u64  2: IPv6 low u64  3: port }
 *                5: relays, repeated u32, packed or not (v1)
 *                6: vpn address { 1: high u64  2: low u64 } (v2)   7: relays, repeated { 1: high  2: low } (v2) }
 *
 * Addresses are four signed 32-bit words in network order, IPv4 as ::ffff:a.b.c.d, as in the shared tables.
 */
import { type Endpoint, endpointOf, type IpAddress } from '../ip/address.ts';
import { addressOfWords, addressWords, MAPPED_WORD } from '../ip/networkWords.ts';

export const LighthouseType = {
  HostQuery: 1,
  HostQueryReply: 2,
  HostUpdateNotification: 3,
  HostMovedNotification: 4,
  HostPunchNotification: 5,
  HostUpdateNotificationAck: 10,
} as const;
export type LighthouseType = (typeof LighthouseType)[keyof typeof LighthouseType];

/** How many endpoints per family, and how many relays, of one message are looked at. */
export const LIGHTHOUSE_LIST_MAX = 10;

export class LighthouseMessage {
  type: number = 0;
  /** 1: `target` is an IPv4 address. 2: the form that knows IPv6, and where updates and acks name no address. */
  version: number = 2;
  hasTarget: boolean = false;
  /** The vpn address that the message is about: the queried one, the updater's, the querier's. */
  target0: number = 0;
  target1: number = 0;
  target2: number = 0;
  target3: number = 0;
  v4Count: number = 0;
  v6Count: number = 0;
  relayCount: number = 0;
  /** Entries beyond `LIGHTHOUSE_LIST_MAX`, which were checked and left out. */
  excessCount: number = 0;
  readonly v4Addresses: Int32Array = new Int32Array(LIGHTHOUSE_LIST_MAX);
  readonly v4Ports: Uint16Array = new Uint16Array(LIGHTHOUSE_LIST_MAX);
  /** Four words each. */
  readonly v6Addresses: Int32Array = new Int32Array(LIGHTHOUSE_LIST_MAX * 4);
  readonly v6Ports: Uint16Array = new Uint16Array(LIGHTHOUSE_LIST_MAX);
  /** Four words each. */
  readonly relays: Int32Array = new Int32Array(LIGHTHOUSE_LIST_MAX * 4);

  /** Empties the message; the words of the lists stay as they were, behind counts of zero. */
  reset(): void {
    this.type = 0;
    this.version = 2;
    this.hasTarget = false;
    this.target0 = 0;
    this.target1 = 0;
    this.target2 = 0;
    this.target3 = 0;
    this.v4Count = 0;
    this.v6Count = 0;
    this.relayCount = 0;
    this.excessCount = 0;
  }

  setTarget(version: number, a0: number, a1: number, a2: number, a3: number): void {
    this.version = version;
    this.hasTarget = true;
    this.target0 = a0 | 0;
    this.target1 = a1 | 0;
    this.target2 = a2 | 0;
    this.target3 = a3 | 0;
  }

  addV4(address: number, port: number): void {
    if (this.v4Count === LIGHTHOUSE_LIST_MAX) {
      this.excessCount++;
      return;
    }
    this.v4Addresses[this.v4Count] = address;
    this.v4Ports[this.v4Count++] = port;
  }

  addV6(a0: number, a1: number, a2: number, a3: number, port: number): void {
    if (this.v6Count === LIGHTHOUSE_LIST_MAX) {
      this.excessCount++;
      return;
    }
    const base = this.v6Count * 4;
    this.v6Addresses[base] = a0;
    this.v6Addresses[base + 1] = a1;
    this.v6Addresses[base + 2] = a2;
    this.v6Addresses[base + 3] = a3;
    this.v6Ports[this.v6Count++] = port;
  }

  addRelay(a0: number, a1: number, a2: number, a3: number): void {
    if (this.relayCount === LIGHTHOUSE_LIST_MAX) {
      this.excessCount++;
      return;
    }
    const base = this.relayCount++ * 4;
    this.relays[base] = a0;
    this.relays[base + 1] = a1;
    this.relays[base + 2] = a2;
    this.relays[base + 3] = a3;
  }
}

/** The endpoints of a message as values: IPv4 first, each family in the order sent. Port 0 reaches nobody: left out. */
export function endpointsOf(message: LighthouseMessage): Endpoint[] {
  const endpoints: Endpoint[] = [];
  for (let index = 0; index < message.v4Count; index++) {
    if (message.v4Ports[index] !== 0) {
      endpoints.push(endpointOf(addressOfWords(0, 0, MAPPED_WORD, message.v4Addresses[index]), message.v4Ports[index]));
    }
  }
  for (let index = 0; index < message.v6Count; index++) {
    if (message.v6Ports[index] !== 0) {
      endpoints.push(endpointOf(addressAt(message.v6Addresses, index * 4), message.v6Ports[index]));
    }
  }
  return endpoints;
}

/** The relays of a message as values. */
export function relaysOf(message: LighthouseMessage): IpAddress[] {
  return Array.from({ length: message.relayCount }, (_, index) => addressAt(message.relays, index * 4));
}

/** The vpn address that a message is about, or null when it names none. */
export function targetOf(message: LighthouseMessage): IpAddress | null {
  return message.hasTarget ? addressOfWords(message.target0, message.target1, message.target2, message.target3) : null;
}

/** Adds an endpoint to the list of its family. */
export function addEndpoint(message: LighthouseMessage, endpoint: Endpoint): void {
  const words = addressWords([endpoint.address]);
  if (endpoint.address.family === 4) {
    message.addV4(words[3], endpoint.port);
  } else {
    message.addV6(words[0], words[1], words[2], words[3], endpoint.port);
  }
}

function addressAt(words: Int32Array, base: number): IpAddress {
  return addressOfWords(words[base], words[base + 1], words[base + 2], words[base + 3]);
}
