/**
 * First messages as anybody can make them who has seen one: certificate and public key are copied out of it, everything
 * else is new. They name a peer and cannot be told from its own, until somebody has to use the keys.
 */
import { decodeHandshakePayload, encodeHandshakePayload } from '../../src/primary/control/noise/handshakePayload.ts';
import { HEADER_BYTES, headerRemoteIndex, headerType, MessageType } from '../../src/shared/wire/header.ts';
import type { Random } from './random.ts';

const KEY_BYTES = 32;

/** A message 1 on Curve25519, header included. `timeNs`: default: a moment after that of the original. */
export function forgeRequest(original: Uint8Array, random: Random, timeNs?: bigint): Uint8Array {
  const payloadAt = HEADER_BYTES + 2 * KEY_BYTES;
  const payload = decodeHandshakePayload(original.subarray(payloadAt));
  if (payload === null) {
    throw new Error('there is no message 1 to copy from');
  }
  const forged = encodeHandshakePayload({
    ...payload,
    initiatorIndex: 1 + random.below(2 ** 31),
    timeNs: timeNs ?? payload.timeNs + BigInt(1 + random.below(2 ** 31)) * 1000n,
  });
  const packet = new Uint8Array(payloadAt + forged.length);
  packet.set(original.subarray(0, payloadAt));
  packet.set(random.bytes(KEY_BYTES), HEADER_BYTES);
  packet.set(forged, payloadAt);
  return packet;
}

export function isHandshake(packet: Uint8Array): boolean {
  return packet.length > HEADER_BYTES && headerType(packet, 0) === MessageType.Handshake;
}

export function isRequest(packet: Uint8Array): boolean {
  return (
    isHandshake(packet) && headerRemoteIndex(new DataView(packet.buffer, packet.byteOffset, packet.byteLength), 0) === 0
  );
}
