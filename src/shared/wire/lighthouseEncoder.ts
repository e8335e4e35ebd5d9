/**
 * Encodes lighthouse messages (Nebula protocol: NebulaMeta) byte for byte as Nebula does: fields in ascending order,
 * zero scalars left out, relays of the v1 form packed. Allocates nothing.
 *
 * Two ways in: `encodeLighthouse` writes a whole message struct; the lighthouse handler writes the parts itself between
 * `beginDetails` and `finishMessage`, since most of a reply lies ready, encoded, in the shared table. Every function
 * takes the offset to write at and returns the one behind. Who owns the buffer provides `LIGHTHOUSE_BYTES_MAX` bytes.
 */
import { isMappedWords } from '../ip/networkWords.ts';
import type { LighthouseMessage } from './lighthouseMessage.ts';

/** One endpoint or relay, encoded with tag and length. */
export const V4_ENDPOINT_BYTES_MAX = 12;
export const V6_ENDPOINT_BYTES_MAX = 28;
export const V1_RELAYS_BYTES_MAX = 52;
export const V2_RELAY_BYTES_MAX = 24;
/** Bytes that no message with eleven endpoints per family (one learned, ten reported) and ten relays exceeds. */
export const LIGHTHOUSE_BYTES_MAX = 768;

/** Bytes in front of the details: type with tag, tag of the details, length in one byte. */
const PREFIX_BYTES = 4;

/** Writes `message` at `offset`; returns the length, or -1 when fewer than `LIGHTHOUSE_BYTES_MAX` bytes are left. */
export function encodeLighthouse(message: LighthouseMessage, bytes: Uint8Array, offset: number): number {
  if (bytes.length - offset < LIGHTHOUSE_BYTES_MAX) {
    return -1;
  }
  let at = beginDetails(bytes, offset, message.type);
  if (message.version === 1) {
    at = writeTargetV1(bytes, at, message.target3);
  }
  at = writeV4Endpoints(message, bytes, at);
  at = writeV6Endpoints(message, bytes, at);
  if (message.version === 1) {
    at = writeRelaysV1(message, bytes, at);
  } else {
    if (message.hasTarget) {
      at = writeTargetV2(bytes, at, message.target0, message.target1, message.target2, message.target3);
    }
    at = writeRelaysV2(message, bytes, at);
  }
  return finishMessage(bytes, offset, at) - offset;
}

/** Starts a message; the details go to the returned offset. */
export function beginDetails(bytes: Uint8Array, offset: number, type: number): number {
  bytes[offset] = 0x08;
  bytes[offset + 1] = type;
  bytes[offset + 2] = 0x12;
  return offset + PREFIX_BYTES;
}

/** Closes the message that starts at `offset` and whose details end at `end`; returns the message's end. */
export function finishMessage(bytes: Uint8Array, offset: number, end: number): number {
  const start = offset + PREFIX_BYTES;
  const length = end - start;
  if (length < 0x80) {
    bytes[start - 1] = length;
    return end;
  }
  // By hand: a hundred bytes or a few take less time than the call of copyWithin.
  for (let at = end; at > start; at--) {
    bytes[at] = bytes[at - 1];
  }
  bytes[start - 1] = (length & 0x7f) | 0x80;
  bytes[start] = length >>> 7;
  return end + 1;
}

/** The vpn address of the v1 form. */
export function writeTargetV1(bytes: Uint8Array, at: number, address: number): number {
  bytes[at] = 0x08;
  return writeVarint32(bytes, at + 1, address);
}

/** The vpn address of the v2 form. */
export function writeTargetV2(bytes: Uint8Array, at: number, a0: number, a1: number, a2: number, a3: number): number {
  bytes[at] = 0x32;
  const end = writeHalves(bytes, at + 2, a0, a1, a2, a3);
  bytes[at + 1] = end - at - 2;
  return end;
}

export function writeV4Endpoint(bytes: Uint8Array, at: number, address: number, port: number): number {
  bytes[at] = 0x12;
  let end = at + 2;
  if (address !== 0) {
    bytes[end] = 0x08;
    end = writeVarint32(bytes, end + 1, address);
  }
  if (port !== 0) {
    bytes[end] = 0x10;
    end = writeVarint32(bytes, end + 1, port);
  }
  bytes[at + 1] = end - at - 2;
  return end;
}

export function writeV6Endpoint(
  bytes: Uint8Array,
  at: number,
  a0: number,
  a1: number,
  a2: number,
  a3: number,
  port: number,
): number {
  bytes[at] = 0x22;
  let end = writeHalves(bytes, at + 2, a0, a1, a2, a3);
  if (port !== 0) {
    bytes[end] = 0x18;
    end = writeVarint32(bytes, end + 1, port);
  }
  bytes[at + 1] = end - at - 2;
  return end;
}

export function writeV4Endpoints(message: LighthouseMessage, bytes: Uint8Array, start: number): number {
  let at = start;
  for (let index = 0; index < message.v4Count; index++) {
    at = writeV4Endpoint(bytes, at, message.v4Addresses[index], message.v4Ports[index]);
  }
  return at;
}

export function writeV6Endpoints(message: LighthouseMessage, bytes: Uint8Array, start: number): number {
  const words = message.v6Addresses;
  let at = start;
  for (let index = 0; index < message.v6Count; index++) {
    const base = index * 4;
    at = writeV6Endpoint(
      bytes,
      at,
      words[base],
      words[base + 1],
      words[base + 2],
      words[base + 3],
      message.v6Ports[index],
    );
  }
  return at;
}

/** The relays of the v1 form, packed; those with IPv6 addresses have no place there. */
export function writeRelaysV1(message: LighthouseMessage, bytes: Uint8Array, start: number): number {
  const words = message.relays;
  let at = start + 2;
  for (let base = 0; base < message.relayCount * 4; base += 4) {
    if (isMappedWords(words[base], words[base + 1], words[base + 2])) {
      at = writeVarint32(bytes, at, words[base + 3]);
    }
  }
  if (at === start + 2) {
    return start;
  }
  bytes[start] = 0x2a;
  bytes[start + 1] = at - start - 2;
  return at;
}

/** The relays of the v2 form. */
export function writeRelaysV2(message: LighthouseMessage, bytes: Uint8Array, start: number): number {
  const words = message.relays;
  let at = start;
  for (let base = 0; base < message.relayCount * 4; base += 4) {
    const end = writeHalves(bytes, at + 2, words[base], words[base + 1], words[base + 2], words[base + 3]);
    bytes[at] = 0x3a;
    bytes[at + 1] = end - at - 2;
    at = end;
  }
  return at;
}

/** Fields 1 and 2: the upper and the lower 64 bits of an address. */
function writeHalves(bytes: Uint8Array, start: number, a0: number, a1: number, a2: number, a3: number): number {
  let at = start;
  if (a0 !== 0 || a1 !== 0) {
    bytes[at] = 0x08;
    at = writeVarint64(bytes, at + 1, a0, a1);
  }
  if (a2 !== 0 || a3 !== 0) {
    bytes[at] = 0x10;
    at = writeVarint64(bytes, at + 1, a2, a3);
  }
  return at;
}

function writeVarint64(bytes: Uint8Array, at: number, high: number, low: number): number {
  if (high === 0) {
    return writeVarint32(bytes, at, low);
  }
  bytes[at] = low | 0x80;
  bytes[at + 1] = (low >>> 7) | 0x80;
  bytes[at + 2] = (low >>> 14) | 0x80;
  bytes[at + 3] = (low >>> 21) | 0x80;
  const rest = high >>> 3;
  const fifth = (low >>> 28) | ((high & 7) << 4);
  if (rest === 0) {
    bytes[at + 4] = fifth;
    return at + 5;
  }
  bytes[at + 4] = fifth | 0x80;
  return writeVarint32(bytes, at + 5, rest);
}

function writeVarint32(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while ((rest & ~0x7f) !== 0) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at] = rest;
  return at + 1;
}
