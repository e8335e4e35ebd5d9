/**
 * Where datagrams of type handshake come in: looks at the header and at who may speak at all, then hands message 1 to the
 * answers and every other one to the handshakes that wait. Anybody can have sent them.
 */
import type { Endpoint } from '../../../shared/ip/address.ts';
import {
  checkHeader,
  HeaderCheck,
  headerCounterHigh,
  headerCounterLow,
  headerRemoteIndex,
  headerType,
  MessageType,
} from '../../../shared/wire/header.ts';
import type { Now } from '../now.ts';
import type { Context } from './context.ts';
import type { HandshakeAnswers } from './handshakeAnswers.ts';
import type { Handshakes } from './handshakes.ts';

export class IncomingHandshakes {
  readonly #context: Context;
  readonly #handshakes: Handshakes;
  readonly #answers: HandshakeAnswers;

  constructor(context: Context, handshakes: Handshakes, answers: HandshakeAnswers) {
    this.#context = context;
    this.#handshakes = handshakes;
    this.#answers = answers;
  }

  /** `packet` is borrowed for the call. */
  onDatagram(now: Now, packet: Uint8Array, from: Endpoint): void {
    const { outbox, remoteFilter } = this.#context;
    if (checkHeader(packet, 0, packet.length) !== HeaderCheck.Ok || headerType(packet, 0) !== MessageType.Handshake) {
      outbox.count('handshakes.rejected.header');
      return;
    }
    if (!remoteFilter.allowsUnknown(from.address)) {
      outbox.count('handshakes.rejected.remote_not_allowed');
      return;
    }
    const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    const remoteIndex = headerRemoteIndex(view, 0);
    const isFirst = headerCounterHigh(view, 0) === 0 && headerCounterLow(view, 0) === 1;
    if (!isFirst) {
      this.#handshakes.onAnswer(now, packet, remoteIndex, from);
    } else if (remoteIndex === 0) {
      this.#answers.onRequest(now, packet, from);
    } else {
      outbox.count('handshakes.rejected.header');
    }
  }
}
