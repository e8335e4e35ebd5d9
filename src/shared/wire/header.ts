/**
 * The 16-byte header in front of everything on the underlay that is not a punch packet. Runs per packet: works on
 * (bytes or view, offset), allocates nothing, throws nothing.
 *
 *   byte 0        1         2 - 3        4 - 7          8 - 15
 *  | ver | type | subtype | reserved | remote index | message counter |      all big endian
 *
 * `reserved` is zero from Nebula and a flow label from weft; it is never checked, but it is part of the associated
 * data, so nobody may change it (Nebula protocol: header).
 */

export const HEADER_BYTES = 16;
/** Both ciphers append a tag of this size. */
export const TAG_BYTES = 16;
export const HEADER_VERSION = 1;

export const MessageType = {
  Handshake: 0,
  Message: 1,
  RecvError: 2,
  Lighthouse: 3,
  Test: 4,
  CloseTunnel: 5,
  Control: 6,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

export const Subtype = {
  None: 0,
  /** Of Handshake: the only pattern in use, called ix_psk0 although no key is shared. */
  IxPsk0: 0,
  /** Of Message: the body is a whole packet of another tunnel, authenticated but not encrypted. */
  Relay: 1,
  TestRequest: 0,
  TestReply: 1,
} as const;

/** What `checkHeader` finds; everything but Ok is dropped without an answer. */
export const HeaderCheck = {
  Ok: 0,
  /** Zero or one byte: opens or keeps a NAT mapping, says nothing. */
  Punch: -1,
  TooShort: -2,
  WrongVersion: -3,
  UnknownType: -4,
} as const;

/** Tells whether `length` bytes at `offset` start with a header that may be looked at further: a HeaderCheck code. */
export function checkHeader(bytes: Uint8Array, offset: number, length: number): number {
  if (length < HEADER_BYTES) {
    return length <= 1 ? HeaderCheck.Punch : HeaderCheck.TooShort;
  }
  const first = bytes[offset];
  if (first >>> 4 !== HEADER_VERSION) {
    return HeaderCheck.WrongVersion;
  }
  return isValidType(first & 0x0f, bytes[offset + 1]) ? HeaderCheck.Ok : HeaderCheck.UnknownType;
}

/** Message and Test have two subtypes, the other five types only 0. */
export function isValidType(type: number, subtype: number): boolean {
  if (type === MessageType.Message || type === MessageType.Test) {
    return subtype <= 1;
  }
  return type <= MessageType.Control && subtype === 0;
}

/** Writes all 16 bytes. `counterHigh` and `counterLow` are the halves of the 64-bit counter, signed or not. */
export function writeHeader(
  view: DataView,
  offset: number,
  type: number,
  subtype: number,
  reserved: number,
  remoteIndex: number,
  counterHigh: number,
  counterLow: number,
): void {
  view.setUint32(offset, ((HEADER_VERSION << 28) | (type << 24) | (subtype << 16) | reserved) >>> 0);
  view.setUint32(offset + 4, remoteIndex);
  view.setUint32(offset + 8, counterHigh);
  view.setUint32(offset + 12, counterLow);
}

export function headerVersion(bytes: Uint8Array, offset: number): number {
  return bytes[offset] >>> 4;
}

export function headerType(bytes: Uint8Array, offset: number): number {
  return bytes[offset] & 0x0f;
}

export function headerSubtype(bytes: Uint8Array, offset: number): number {
  return bytes[offset + 1];
}

export function headerReserved(view: DataView, offset: number): number {
  return view.getUint16(offset + 2);
}

/** The receiver's index of a tunnel, a relay or a pending handshake. */
export function headerRemoteIndex(view: DataView, offset: number): number {
  return view.getUint32(offset + 4);
}

export function headerCounterHigh(view: DataView, offset: number): number {
  return view.getUint32(offset + 8);
}

export function headerCounterLow(view: DataView, offset: number): number {
  return view.getUint32(offset + 12);
}
