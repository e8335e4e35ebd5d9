/**
 * The few pieces of ASN.1 DER (ITU-T X.690) that Nebula uses: elements with one-byte tags and minimal definite lengths,
 * INTEGER content up to 64 bits, and unsigned big integers of ECDSA signatures. Certificates version 2 and P-256
 * signatures are read and written with it. Faults are numbers, as for every format from the network.
 */

export const DerFault = {
  /** The element's end lies behind the input's. */
  Truncated: -1,
  /** Another tag than expected, or one of several bytes. */
  WrongTag: -2,
  /** A length that is indefinite, not minimal or above 32 bits. */
  BadLength: -3,
} as const;
export type DerFault = (typeof DerFault)[keyof typeof DerFault];

/** A cursor over consecutive elements of `bytes[start, end)`. */
export class DerReader {
  bytes: Uint8Array;
  /** Where the next element starts. */
  offset: number;
  limit: number;
  /** The element read last: where its tag, its content, and the byte behind it are. */
  tagStart: number = 0;
  start: number = 0;
  end: number = 0;

  constructor(bytes: Uint8Array, start: number = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.offset = start;
    this.limit = end;
  }

  /** Begins with other elements: for a reader that is kept, because its elements come per packet. */
  restart(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.offset = start;
    this.limit = end;
  }

  get isAtEnd(): boolean {
    return this.offset >= this.limit;
  }

  /** True when another element follows and has this tag. */
  isNext(tag: number): boolean {
    return this.offset < this.limit && this.bytes[this.offset] === tag;
  }

  /** Reads one element with this tag: 0, or a `DerFault` that leaves the cursor where it was. */
  read(tag: number): number {
    if (this.limit - this.offset < 2) {
      return DerFault.Truncated;
    }
    if (this.bytes[this.offset] !== tag || (tag & 0x1f) === 0x1f) {
      return DerFault.WrongTag;
    }
    let length = this.bytes[this.offset + 1];
    let start = this.offset + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4) {
        return DerFault.BadLength;
      }
      if (count > this.limit - start) {
        return DerFault.Truncated;
      }
      length = 0;
      for (let index = 0; index < count; index++) {
        length = length * 256 + this.bytes[start++];
      }
      if (length < 0x80 || length < 256 ** (count - 1)) {
        return DerFault.BadLength;
      }
    }
    if (length > this.limit - start) {
      return DerFault.Truncated;
    }
    this.tagStart = this.offset;
    this.start = start;
    this.end = start + length;
    this.offset = this.end;
    return 0;
  }

  /** The content of the element read last, borrowed. */
  content(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }

  /** A reader over the content of the element read last. */
  inside(): DerReader {
    return new DerReader(this.bytes, this.start, this.end);
  }
}

/** One element: tag, minimal length and the parts as content. */
export function derElement(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const lengthBytes: number[] = [];
  if (length < 0x80) {
    lengthBytes.push(length);
  } else {
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) {
      lengthBytes.unshift(rest & 0xff);
    }
    lengthBytes.unshift(0x80 | lengthBytes.length);
  }
  const element = new Uint8Array(1 + lengthBytes.length + length);
  element[0] = tag;
  element.set(lengthBytes, 1);
  let offset = 1 + lengthBytes.length;
  for (const part of parts) {
    element.set(part, offset);
    offset += part.length;
  }
  return element;
}

/** INTEGER content as a safe Number; null when empty, not minimal, or outside the safe integers. */
export function readDerInteger(content: Uint8Array): number | null {
  if (content.length === 0 || content.length > 8 || !isMinimalInteger(content)) {
    return null;
  }
  let value = content[0] >= 0x80 ? -1 : 0;
  for (const byte of content) {
    value = value * 256 + byte;
  }
  return Number.isSafeInteger(value) ? value : null;
}

/** The minimal two's complement content of a safe integer. */
export function derIntegerContent(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.unshift(((rest % 256) + 256) % 256);
    rest = Math.floor(rest / 256);
  } while (rest !== (bytes[0] >= 0x80 ? -1 : 0));
  return Uint8Array.from(bytes);
}

/** True for two's complement content without a leading byte that only repeats the sign (X.690 §8.3.2). */
export function isMinimalInteger(content: Uint8Array): boolean {
  if (content.length < 2) {
    return content.length === 1;
  }
  const repeatsSign = (content[0] === 0 && content[1] < 0x80) || (content[0] === 0xff && content[1] >= 0x80);
  return !repeatsSign;
}
