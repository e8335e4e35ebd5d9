/**
 * The byte layer of netlink: a builder of messages and readers of attributes. `netlinkMessages.ts` gives them meaning.
 *
 *   message    | length 4 | type 2 | flags 2 | sequence 4 | port 4 | fixed part | attributes |
 *   attribute  | length 2 | type 2 | value | padding to 4 |
 *
 * Integers are in host order (little endian here). netlink(7). Malformed input ends a walk early, it never throws.
 */

/** Bytes of a message's header. */
export const MESSAGE_HEADER_BYTES = 16;

/** One message of a received buffer: its type, and where its payload lies. */
export interface MessageSpan {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly start: number;
  readonly end: number;
}

/** The messages of a received buffer; a torn tail is left out. */
export function splitMessages(bytes: Uint8Array): MessageSpan[] {
  const view = viewOf(bytes);
  const spans: MessageSpan[] = [];
  for (let offset = 0; offset + MESSAGE_HEADER_BYTES <= bytes.length; ) {
    const length = view.getUint32(offset, true);
    if (length < MESSAGE_HEADER_BYTES || offset + length > bytes.length) {
      break;
    }
    spans.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      start: offset + MESSAGE_HEADER_BYTES,
      end: offset + length,
    });
    offset += aligned(length);
  }
  return spans;
}

/** Appends fields in order; `finish` fills in the length. */
export class MessageBuilder {
  readonly #bytes: number[] = [];

  constructor(type: number, flags: number, sequence: number) {
    this.u32(0)
      .u16(type)
      .u16(REQUEST | flags)
      .u32(sequence)
      .u32(0);
  }

  u8(value: number): this {
    this.#bytes.push(value & 0xff);
    return this;
  }

  u16(value: number): this {
    return this.u8(value).u8(value >>> 8);
  }

  u32(value: number): this {
    return this.u16(value).u16(value >>> 16);
  }

  attribute(type: number, value: Uint8Array): this {
    this.u16(4 + value.length).u16(type);
    this.#bytes.push(...value);
    this.#pad();
    return this;
  }

  attribute8(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value));
  }

  attribute32(type: number, value: number): this {
    return this.u16(8).u16(type).u32(value);
  }

  /** An attribute whose value is attributes. */
  nest(type: number, fill: () => void): this {
    const start = this.#bytes.length;
    this.u16(0).u16(type);
    fill();
    const length = this.#bytes.length - start;
    this.#bytes[start] = length & 0xff;
    this.#bytes[start + 1] = length >>> 8;
    return this;
  }

  finish(): Uint8Array {
    const bytes = Uint8Array.from(this.#bytes);
    viewOf(bytes).setUint32(0, bytes.length, true);
    return bytes;
  }

  #pad(): void {
    while (this.#bytes.length % 4 !== 0) {
      this.#bytes.push(0);
    }
  }
}

/** Attributes by type (flag bits removed), as views of the bytes; malformed ones end the list. */
export function attributesOf(bytes: Uint8Array, start: number, end: number): Map<number, Uint8Array> {
  const view = viewOf(bytes);
  const attributes = new Map<number, Uint8Array>();
  for (let offset = start; offset + 4 <= end; ) {
    const length = view.getUint16(offset, true);
    if (length < 4 || offset + length > end) {
      break;
    }
    attributes.set(view.getUint16(offset + 2, true) & ATTRIBUTE_TYPE_MASK, bytes.subarray(offset + 4, offset + length));
    offset += aligned(length);
  }
  return attributes;
}

/** A 32-bit value; 0 when absent. */
export function number32(value: Uint8Array | undefined): number {
  return value === undefined || value.length < 4 ? 0 : viewOf(value).getUint32(0, true);
}

/** A NUL-terminated text. */
export function textOf(value: Uint8Array): string {
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** NLM_F_REQUEST: set on everything that is sent to the kernel. */
const REQUEST = 1;
/** Without the flags for nested and network-order values. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;
