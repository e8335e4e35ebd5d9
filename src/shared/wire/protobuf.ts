/**
 * Reads and writes the protobuf wire format (protobuf.dev, "Encoding") in place: handshake payload, certificates version
 * 1, encrypted keys. Lighthouse messages, which arrive per packet, have a codec of their own.
 *
 * Both classes allocate nothing per field; a 64-bit value is two unsigned halves or a safe Number.
 * Malformed input never throws: the fault sticks, `next()` turns false, and the caller looks at `fault` once at the end.
 * What a field means, which may repeat and what a missing one stands for is the business of the message's own codec.
 *
 *   const reader = new ProtobufReader(bytes);
 *   while (reader.next()) {
 *     if (reader.field === 1) index = reader.u32();   // every other field is skipped, whatever its type
 *   }
 *   if (reader.fault !== 0) …
 */

export const WireType = { Varint: 0, Fixed64: 1, Bytes: 2, Fixed32: 5 } as const;
export type WireType = (typeof WireType)[keyof typeof WireType];

/** Why a reader stopped; negative, as every code for a bad packet. */
export const ProtobufFault = {
  /** The message ends inside a tag, a varint or a value. */
  Truncated: -1,
  /** A varint of more than ten bytes or 64 bits, or a tag that is no field number. */
  BadVarint: -2,
  /** Groups, which Nebula never used, or an undefined wire type. */
  UnknownWireType: -3,
  /** A field that the caller knows came with another wire type than it has. */
  WrongWireType: -4,
  /** An integer outside of its type. */
  OutOfRange: -5,
} as const;
export type ProtobufFault = (typeof ProtobufFault)[keyof typeof ProtobufFault];

const TWO_32 = 0x1_0000_0000;

/** A cursor over the fields of one message. Embedded messages are read between `enter()` and `leave()`. */
export class ProtobufReader {
  /** The message's bytes, borrowed. */
  bytes: Uint8Array;
  /** Number of the field that `next()` stopped at. */
  field: number = 0;
  wireType: WireType = WireType.Varint;
  /** Unsigned halves of a varint or fixed value; zero for a length-delimited one. */
  low: number = 0;
  high: number = 0;
  /** Where the content of a length-delimited field starts and ends in `bytes`; both zero otherwise. */
  start: number = 0;
  end: number = 0;
  /** 0, or the first `ProtobufFault`. */
  fault: number;
  #offset: number;
  #limit: number;

  /** `end` is exclusive. */
  constructor(bytes: Uint8Array, start: number = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.#offset = start;
    this.#limit = end;
    this.fault = 0;
    this.restart(bytes, start, end);
  }

  /** Begins with another message: for a reader that is kept, because its messages come per packet. */
  restart(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.#offset = start;
    this.#limit = end;
    this.fault = start < 0 || end > bytes.length || start > end ? ProtobufFault.Truncated : 0;
  }

  /** Steps to the next field and decodes its value; false at the end of the message and after a fault. */
  next(): boolean {
    if (this.fault !== 0 || this.#offset >= this.#limit || !this.#readVarint()) {
      return false;
    }
    // 29 bits of field number, 3 of wire type (protobuf.dev, "Message Structure").
    if (this.high !== 0 || this.low >>> 3 === 0) {
      return this.#fail(ProtobufFault.BadVarint);
    }
    this.field = this.low >>> 3;
    const wireType = this.low & 7;
    this.start = 0;
    this.end = 0;
    switch (wireType) {
      case WireType.Varint:
        this.wireType = wireType;
        return this.#readVarint();
      case WireType.Bytes:
        this.wireType = wireType;
        return this.#readLength();
      case WireType.Fixed32:
      case WireType.Fixed64:
        this.wireType = wireType;
        return this.#readFixed(wireType === WireType.Fixed64);
      default:
        return this.#fail(ProtobufFault.UnknownWireType);
    }
  }

  /** True when the current field has this wire type; otherwise the message is faulty from here on. */
  expect(wireType: WireType): boolean {
    return this.wireType === wireType || this.#fail(ProtobufFault.WrongWireType);
  }

  /** The current varint as uint32; 0 with a fault when it is none or has more than 32 bits. */
  u32(): number {
    if (!this.expect(WireType.Varint)) {
      return 0;
    }
    if (this.high !== 0) {
      this.#fail(ProtobufFault.OutOfRange);
      return 0;
    }
    return this.low;
  }

  /** The current varint as a uint64 that a Number holds exactly; 0 with a fault otherwise. */
  u64(): number {
    if (!this.expect(WireType.Varint)) {
      return 0;
    }
    if (this.high > 0x1f_ffff) {
      this.#fail(ProtobufFault.OutOfRange);
      return 0;
    }
    return this.high * TWO_32 + this.low;
  }

  /** The current varint as an int64 (two's complement, not zigzag) within the safe integers; 0 with a fault otherwise. */
  int64(): number {
    if (!this.expect(WireType.Varint)) {
      return 0;
    }
    const value = (this.high | 0) * TWO_32 + this.low;
    if (!Number.isSafeInteger(value)) {
      this.#fail(ProtobufFault.OutOfRange);
      return 0;
    }
    return value;
  }

  bool(): boolean {
    return this.expect(WireType.Varint) && (this.low !== 0 || this.high !== 0);
  }

  /** A view of the current field's content, borrowed like `bytes`; empty with a fault when it is not length-delimited. */
  view(): Uint8Array {
    return this.expect(WireType.Bytes) ? this.bytes.subarray(this.start, this.end) : this.bytes.subarray(0, 0);
  }

  /** Goes into the current field as an embedded message; returns the outer end, for `leave`. Check `expect` before. */
  enter(): number {
    const outer = this.#limit;
    this.#offset = this.start;
    this.#limit = this.end;
    return outer;
  }

  /** Reads the next item of a packed list of varints (after `enter`) into `low` and `high`; false at the list's end. */
  item(): boolean {
    return this.fault === 0 && this.#offset < this.#limit && this.#readVarint();
  }

  /** Goes on behind an embedded message or a packed list that has been read to its end. */
  leave(outer: number): void {
    this.#offset = this.#limit;
    this.#limit = outer;
  }

  #readVarint(): boolean {
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      if (this.#offset >= this.#limit) {
        return this.#fail(ProtobufFault.Truncated);
      }
      const byte = this.bytes[this.#offset++];
      const bits = byte & 0x7f;
      if (index < 4) {
        low |= bits << (index * 7);
      } else if (index === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (index < 9) {
        high |= bits << (index * 7 - 32);
      } else if (byte > 1) {
        return this.#fail(ProtobufFault.BadVarint);
      } else {
        high |= bits << 31;
      }
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return true;
      }
    }
    return this.#fail(ProtobufFault.BadVarint);
  }

  #readLength(): boolean {
    if (!this.#readVarint()) {
      return false;
    }
    if (this.high !== 0 || this.low > this.#limit - this.#offset) {
      return this.#fail(ProtobufFault.Truncated);
    }
    this.start = this.#offset;
    this.end = this.#offset + this.low;
    this.#offset = this.end;
    this.low = 0;
    return true;
  }

  #readFixed(wide: boolean): boolean {
    const length = wide ? 8 : 4;
    if (length > this.#limit - this.#offset) {
      return this.#fail(ProtobufFault.Truncated);
    }
    this.low = readLittleEndian(this.bytes, this.#offset);
    this.high = wide ? readLittleEndian(this.bytes, this.#offset + 4) : 0;
    this.#offset += length;
    return true;
  }

  #fail(fault: ProtobufFault): false {
    if (this.fault === 0) {
      this.fault = fault;
    }
    this.#limit = this.#offset;
    return false;
  }
}

/**
 * Appends fields to a buffer of the caller. Nothing is written past its end: `overflowed` turns true and stays so.
 * Proto3 leaves out zero values, so the scalar methods do; `begin`/`finish` and `bytes` always write.
 */
export class ProtobufWriter {
  readonly bytes: Uint8Array;
  /** Where the next byte goes. */
  offset: number = 0;
  overflowed: boolean = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** A uint32, enum or bool field; nothing for zero. */
  u32(field: number, value: number): void {
    if (value !== 0) {
      this.u64(field, value, 0);
    }
  }

  /** A uint64 field from its unsigned halves; nothing for zero. */
  u64(field: number, low: number, high: number): void {
    if (low !== 0 || high !== 0) {
      this.#tag(field, WireType.Varint);
      this.varint(low, high);
    }
  }

  /** An int64 (two's complement: a negative one takes ten bytes) or a uint64 up to 2^53; nothing for zero. */
  int64(field: number, value: number): void {
    const high = Math.floor(value / TWO_32);
    this.u64(field, (value - high * TWO_32) >>> 0, high >>> 0);
  }

  /** A bytes or string field from `source[start, end)`, also when empty. */
  write(field: number, source: Uint8Array, start: number = 0, end: number = source.length): void {
    this.#tag(field, WireType.Bytes);
    this.varint(end - start, 0);
    if (end - start > this.bytes.length - this.offset) {
      this.overflowed = true;
      return;
    }
    for (let index = start; index < end; index++) {
      this.bytes[this.offset++] = source[index];
    }
  }

  /** Opens an embedded message (or a packed list, whose items are bare `varint`s); give the result to `finish`. */
  begin(field: number): number {
    this.#tag(field, WireType.Bytes);
    const mark = this.offset;
    this.#byte(0);
    return mark;
  }

  /** Closes it: writes its length, moving the content up when the length needs more than one byte. */
  finish(mark: number): void {
    if (this.overflowed) {
      return;
    }
    const end = this.offset;
    const length = end - mark - 1;
    const extra = varintLength(length) - 1;
    if (extra > this.bytes.length - end) {
      this.overflowed = true;
      return;
    }
    if (extra > 0) {
      this.bytes.copyWithin(mark + 1 + extra, mark + 1, end);
    }
    this.offset = mark;
    this.varint(length, 0);
    this.offset = end + extra;
  }

  /** A varint without a tag: an item of a packed list. */
  varint(low: number, high: number): void {
    let lowBits = low >>> 0;
    let highBits = high >>> 0;
    while (highBits !== 0 || lowBits > 0x7f) {
      this.#byte((lowBits & 0x7f) | 0x80);
      lowBits = ((lowBits >>> 7) | (highBits << 25)) >>> 0;
      highBits >>>= 7;
    }
    this.#byte(lowBits);
  }

  #tag(field: number, wireType: WireType): void {
    this.varint(((field << 3) | wireType) >>> 0, 0);
  }

  #byte(value: number): void {
    if (this.offset < this.bytes.length) {
      this.bytes[this.offset++] = value;
    } else {
      this.overflowed = true;
    }
  }
}

function readLittleEndian(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] | (bytes[offset + 1] << 8) | (bytes[offset + 2] << 16) | (bytes[offset + 3] << 24)) >>> 0;
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value >>> 7; rest !== 0; rest >>>= 7) {
    length++;
  }
  return length;
}
