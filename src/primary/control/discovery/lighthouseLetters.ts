/**
 * What this node writes to its lighthouses: queries and updates, in the form that our certificate in the tunnel asks for,
 * sealed by whoever carries out the effect (Nebula protocol: lighthouse client).
 */
import type { Endpoint, IpAddress } from '../../../shared/ip/address.ts';
import { addressWords } from '../../../shared/ip/networkWords.ts';
import { MessageType, Subtype } from '../../../shared/wire/header.ts';
import { encodeLighthouse, LIGHTHOUSE_BYTES_MAX } from '../../../shared/wire/lighthouseEncoder.ts';
import { addEndpoint, LighthouseMessage, LighthouseType } from '../../../shared/wire/lighthouseMessage.ts';
import type { Outbox } from '../effects.ts';
import type { PeerTunnel } from './peerTunnel.ts';

export class LighthouseLetters {
  readonly #outbox: Outbox;
  readonly #message = new LighthouseMessage();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Whether this tunnel can carry a query for this address: version 1 has no place for IPv6. */
  canAsk({ ownCertificate }: PeerTunnel, address: IpAddress): boolean {
    return ownCertificate.version === 2 || address.family === 4;
  }

  /** Where is this host? */
  query(tunnel: PeerTunnel, address: IpAddress): void {
    const [a0, a1, a2, a3] = addressWords([address]);
    this.#message.reset();
    this.#message.type = LighthouseType.HostQuery;
    this.#message.setTarget(tunnel.ownCertificate.version, a0, a1, a2, a3);
    this.#send(tunnel);
  }

  /** Here is this node, and behind these relays. False when this tunnel cannot carry it. */
  update(tunnel: PeerTunnel, endpoints: readonly Endpoint[], relays: readonly IpAddress[]): boolean {
    const { version, networks } = tunnel.ownCertificate;
    const own = networks[0].address;
    if (version === 1 && own.family !== 4) {
      const text = 'Lighthouse update not sent: version 1 cannot carry an IPv6 address';
      this.#outbox.log('warn', text, { vpnAddr: own.text });
      return false;
    }
    const message = this.#message;
    message.reset();
    message.type = LighthouseType.HostUpdateNotification;
    message.version = version;
    if (version === 1) {
      const [a0, a1, a2, a3] = addressWords([own]);
      message.setTarget(1, a0, a1, a2, a3);
    }
    for (const endpoint of endpoints) {
      addEndpoint(message, endpoint);
    }
    for (const relay of relays) {
      const [a0, a1, a2, a3] = addressWords([relay]);
      message.addRelay(a0, a1, a2, a3);
    }
    this.#send(tunnel);
    return true;
  }

  #send({ slot }: PeerTunnel): void {
    const bytes = new Uint8Array(LIGHTHOUSE_BYTES_MAX);
    const length = encodeLighthouse(this.#message, bytes, 0);
    this.#outbox.count(`lighthouse.tx.${lighthouseTypeName(this.#message.type)}`);
    this.#outbox.push({
      kind: 'sendSealed',
      slot,
      type: MessageType.Lighthouse,
      subtype: Subtype.None,
      body: bytes.slice(0, length),
      endpoint: null,
    });
  }
}

/** The name of a type in Nebula's metrics. */
export function lighthouseTypeName(type: number): string {
  return TYPE_NAMES.get(type) ?? 'other';
}

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [LighthouseType.HostQuery, 'HostQuery'],
  [LighthouseType.HostQueryReply, 'HostQueryReply'],
  [LighthouseType.HostUpdateNotification, 'HostUpdateNotification'],
  [LighthouseType.HostPunchNotification, 'HostPunchNotification'],
  [LighthouseType.HostUpdateNotificationAck, 'HostUpdateNotificationAck'],
]);
