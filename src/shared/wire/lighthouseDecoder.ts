/**
 * Decodes lighthouse messages in place, into a message struct of the caller (Nebula protocol: NebulaMeta). Runs for
 * each lighthouse packet of a worker and in the control plane: allocates nothing, throws nothing, reads nothing outside
 * of the given range whatever it contains.
 *
 * Strict where it costs no peer anything: a known field of another wire type, a truncated or overlong varint, a value
 * out of its range or a group makes the whole message faulty. Unknown fields are skipped; a repeated scalar keeps its
 * last value; details that come in several pieces are merged, as protobuf has it.
 */
import { MAPPED_WORD } from '../ip/networkWords.ts';
import { type LighthouseMessage, LighthouseType } from './lighthouseMessage.ts';
import { ProtobufFault, WireType } from './protobuf.ts';

export const LighthouseFault = {
  ...ProtobufFault,
  /** No details at all; empty ones are fine. */
  NoDetails: -6,
  /** A query, a reply or a punch notification that names no address. */
  NoTarget: -7,
} as const;
export type LighthouseFault = (typeof LighthouseFault)[keyof typeof LighthouseFault];

/** Tags: field number times 8 plus wire type. */
const TYPE = 0x08;
const DETAILS = 0x12;
const TARGET_V1 = 0x08;
const V4_ENDPOINT = 0x12;
const COUNTER = 0x18;
const V6_ENDPOINT = 0x22;
const RELAY_V1 = 0x28;
const RELAYS_V1 = 0x2a;
const TARGET_V2 = 0x32;
const RELAY_V2 = 0x3a;
const FIRST_VARINT = 0x08;
const SECOND_VARINT = 0x10;
const THIRD_VARINT = 0x18;

export class LighthouseDecoder {
  #bytes: Uint8Array = new Uint8Array(0);
  /** Halves of the varint read last. */
  #low = 0;
  #high = 0;
  #targetV1 = 0;
  /** The address and port read last. */
  #word0 = 0;
  #word1 = 0;
  #word2 = 0;
  #word3 = 0;
  #port = 0;

  /**
   * Decodes `length` bytes at `offset` into `message`, whose former content is dropped. Returns 0 or a negative
   * `LighthouseFault`, after which the message must not be used.
   */
  decode(bytes: Uint8Array, offset: number, length: number, message: LighthouseMessage): number {
    this.#bytes = bytes;
    this.#targetV1 = 0;
    message.reset();
    const end = offset + length;
    let hasDetails = false;
    let at = offset;
    while (at < end) {
      at = this.#tag(at, end);
      if (at < 0) {
        return at;
      }
      if (this.#low === TYPE) {
        at = this.#varint32(at, end);
        message.type = this.#low;
      } else if (this.#low === DETAILS) {
        hasDetails = true;
        at = this.#length(at, end);
        at = at < 0 ? at : this.#details(at, at + this.#low, message);
      } else {
        at = this.#skip(at, end, 2);
      }
      if (at < 0) {
        return at;
      }
    }
    return hasDetails ? this.#finish(message) : LighthouseFault.NoDetails;
  }

  /** Which form the message has: an address in field 1 decides, else field 6 (Nebula protocol: message version). */
  #finish(message: LighthouseMessage): number {
    if (this.#targetV1 !== 0) {
      message.setTarget(1, 0, 0, MAPPED_WORD, this.#targetV1);
    } else if (
      !message.hasTarget &&
      (message.type === LighthouseType.HostQuery ||
        message.type === LighthouseType.HostQueryReply ||
        message.type === LighthouseType.HostPunchNotification)
    ) {
      return LighthouseFault.NoTarget;
    }
    return 0;
  }

  #details(start: number, end: number, message: LighthouseMessage): number {
    let at = start;
    while (at < end) {
      at = this.#tag(at, end);
      if (at < 0) {
        return at;
      }
      switch (this.#low) {
        case TARGET_V1:
          at = this.#varint32(at, end);
          this.#targetV1 = this.#low | 0;
          break;
        case V4_ENDPOINT:
          at = this.#v4Endpoint(at, end, message);
          break;
        case V6_ENDPOINT:
          at = this.#address(at, end, true);
          if (at >= 0) {
            message.addV6(this.#word0, this.#word1, this.#word2, this.#word3, this.#port);
          }
          break;
        case TARGET_V2:
          at = this.#address(at, end, false);
          message.setTarget(2, this.#word0, this.#word1, this.#word2, this.#word3);
          break;
        case RELAY_V1:
          at = this.#varint32(at, end);
          if (at >= 0) {
            message.addRelay(0, 0, MAPPED_WORD, this.#low);
          }
          break;
        case RELAYS_V1:
          at = this.#packedRelays(at, end, message);
          break;
        case RELAY_V2:
          at = this.#address(at, end, false);
          if (at >= 0) {
            message.addRelay(this.#word0, this.#word1, this.#word2, this.#word3);
          }
          break;
        case COUNTER:
          at = this.#varint32(at, end);
          break;
        default:
          at = this.#skip(at, end, 7);
      }
      if (at < 0) {
        return at;
      }
    }
    return at;
  }

  #v4Endpoint(start: number, outerEnd: number, message: LighthouseMessage): number {
    let at = this.#length(start, outerEnd);
    const end = at + this.#low;
    let address = 0;
    let port = 0;
    while (at >= 0 && at < end) {
      at = this.#tag(at, end);
      if (at < 0) {
        return at;
      }
      if (this.#low === FIRST_VARINT) {
        at = this.#varint32(at, end);
        address = this.#low | 0;
      } else if (this.#low === SECOND_VARINT) {
        at = this.#varint32(at, end);
        port = this.#low;
      } else {
        at = this.#skip(at, end, 2);
      }
    }
    if (at < 0) {
      return at;
    }
    if (port > 0xffff) {
      return LighthouseFault.OutOfRange;
    }
    message.addV4(address, port);
    return at;
  }

  /** An embedded message of two 64-bit halves of an address and, where `hasPort`, a port. */
  #address(start: number, outerEnd: number, hasPort: boolean): number {
    this.#word0 = 0;
    this.#word1 = 0;
    this.#word2 = 0;
    this.#word3 = 0;
    this.#port = 0;
    let at = this.#length(start, outerEnd);
    const end = at + this.#low;
    while (at >= 0 && at < end) {
      at = this.#tag(at, end);
      if (at < 0) {
        return at;
      }
      if (this.#low === FIRST_VARINT) {
        at = this.#varint(at, end);
        this.#word0 = this.#high;
        this.#word1 = this.#low | 0;
      } else if (this.#low === SECOND_VARINT) {
        at = this.#varint(at, end);
        this.#word2 = this.#high;
        this.#word3 = this.#low | 0;
      } else if (hasPort && this.#low === THIRD_VARINT) {
        at = this.#varint32(at, end);
        this.#port = this.#low & 0xffff;
        if (at >= 0 && this.#low > 0xffff) {
          return LighthouseFault.OutOfRange;
        }
      } else {
        at = this.#skip(at, end, hasPort ? 3 : 2);
      }
    }
    return at;
  }

  #packedRelays(start: number, outerEnd: number, message: LighthouseMessage): number {
    let at = this.#length(start, outerEnd);
    const end = at + this.#low;
    while (at >= 0 && at < end) {
      at = this.#varint32(at, end);
      if (at >= 0) {
        message.addRelay(0, 0, MAPPED_WORD, this.#low);
      }
    }
    return at;
  }

  /** Reads a tag into `#low`. */
  #tag(at: number, end: number): number {
    if (this.#bytes[at] < 0x80) {
      this.#low = this.#bytes[at];
      return this.#low < 8 ? LighthouseFault.BadVarint : at + 1;
    }
    const next = this.#varint(at, end);
    return next >= 0 && (this.#high !== 0 || this.#low < 8) ? LighthouseFault.BadVarint : next;
  }

  /** Steps over the field whose tag is in `#low`; fields up to `knownMax` have a wire type that this one is not. */
  #skip(at: number, end: number, knownMax: number): number {
    const wireType = this.#low & 7;
    if (this.#low >>> 3 <= knownMax) {
      return LighthouseFault.WrongWireType;
    }
    if (wireType === WireType.Varint) {
      return this.#varint(at, end);
    }
    if (wireType === WireType.Bytes) {
      const next = this.#length(at, end);
      return next < 0 ? next : next + this.#low;
    }
    if (wireType !== WireType.Fixed32 && wireType !== WireType.Fixed64) {
      return LighthouseFault.UnknownWireType;
    }
    const length = wireType === WireType.Fixed64 ? 8 : 4;
    return end - at < length ? LighthouseFault.Truncated : at + length;
  }

  /** Reads a length into `#low` and makes sure that so many bytes follow; returns where they start. */
  #length(at: number, end: number): number {
    const next = this.#varint(at, end);
    if (next < 0) {
      this.#low = 0;
      return next;
    }
    return this.#high !== 0 || this.#low > end - next ? LighthouseFault.Truncated : next;
  }

  #varint32(at: number, end: number): number {
    const next = this.#varint(at, end);
    return next >= 0 && this.#high !== 0 ? LighthouseFault.OutOfRange : next;
  }

  /** Reads up to ten bytes into `#low` (unsigned) and `#high` (signed); returns the offset behind them. */
  #varint(start: number, end: number): number {
    const bytes = this.#bytes;
    let low = 0;
    let high = 0;
    let at = start;
    for (let shift = 0; at < end; shift += 7) {
      const byte = bytes[at++];
      const bits = byte & 0x7f;
      if (shift < 28) {
        low |= bits << shift;
      } else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) {
        high |= bits << (shift - 32);
      } else if (byte > 1) {
        return LighthouseFault.BadVarint;
      } else {
        high |= bits << 31;
      }
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high;
        return at;
      }
    }
    return LighthouseFault.Truncated;
  }
}
