/**
 * Reads what a first handshake message says in clear, without a copy: a certificate that could be one, of which issuer,
 * for which vpn address.
 *
 *   header 16 | ephemeral key | static key | payload { 1: details { 1: certificate  2: initiator index … } }
 *
 * (Nebula protocol: handshake payload, certificates §3.) What the primary accepts is accepted here; what is refused here
 * the primary would refuse. Signatures, times and constraints are the primary's to check, since they cost a hundred times
 * as much. Runs for every datagram that calls itself a handshake: no allocation, no exception.
 */
import { MAPPED_WORD } from '../../shared/ip/networkWords.ts';
import { CERTIFICATE_BYTES_MAX } from '../../shared/memory/tunnelTable.ts';
import { DerReader } from '../../shared/wire/der.ts';
import { HEADER_BYTES } from '../../shared/wire/header.ts';
import { ProtobufReader, WireType } from '../../shared/wire/protobuf.ts';

/** Two keys of the longer curve and the fields around the certificate; unknown fields may come on top. */
const OVERHEAD_BYTES_MAX = 1024;
const ISSUER_BYTES = 32;

export class FirstMessage {
  /** Filled by `read`: where the issuer's fingerprint is, 32 bytes. */
  issuer: number = 0;
  /** The certificate's first vpn address as words, IPv4 as ::ffff:a.b.c.d. */
  address0: number = 0;
  address1: number = 0;
  address2: number = 0;
  address3: number = 0;
  readonly #keyBytes: number;
  readonly #payload: ProtobufReader = new ProtobufReader(NOTHING);
  readonly #certificate: ProtobufReader = new ProtobufReader(NOTHING);
  readonly #outer: DerReader = new DerReader(NOTHING);
  readonly #details: DerReader = new DerReader(NOTHING);
  readonly #list: DerReader = new DerReader(NOTHING);
  #bytes: Uint8Array = NOTHING;
  #start = 0;
  #end = 0;
  #initiatorIndex = 0;
  #version = 0;
  #hasAddress = false;
  #hasIssuer = false;

  /** `keyBytes`: of a public key of the network's curve. */
  constructor(keyBytes: number) {
    this.#keyBytes = keyBytes;
  }

  /** Reads the datagram of `length` bytes at `offset`, header included; false when it cannot be a first message. */
  read(bytes: Uint8Array, offset: number, length: number): boolean {
    const start = offset + HEADER_BYTES + 2 * this.#keyBytes;
    if (start >= offset + length || length > CERTIFICATE_BYTES_MAX + OVERHEAD_BYTES_MAX) {
      return false;
    }
    this.#bytes = bytes;
    this.#hasAddress = false;
    this.#hasIssuer = false;
    const payload = this.#payload;
    payload.restart(bytes, start, offset + length);
    this.#start = 0;
    this.#end = 0;
    this.#initiatorIndex = 0;
    this.#version = 0;
    while (payload.next()) {
      if (payload.field === 1 && payload.expect(WireType.Bytes)) {
        const outer = payload.enter();
        this.#readPayload(payload);
        payload.leave(outer);
      }
    }
    return (
      payload.fault === 0 &&
      this.#initiatorIndex !== 0 &&
      (this.#version === 2 ? this.#isVersion2() : this.#version < 2 && this.#isVersion1())
    );
  }

  #readPayload(payload: ProtobufReader): void {
    while (payload.next()) {
      if (payload.field === 1 && payload.expect(WireType.Bytes)) {
        this.#start = payload.start;
        this.#end = payload.end;
      } else if (payload.field === 2) {
        this.#initiatorIndex = payload.u32();
      } else if (payload.field === 8) {
        this.#version = payload.u32();
      }
    }
  }

  #isVersion1(): boolean {
    const reader = this.#certificate;
    reader.restart(this.#bytes, this.#start, this.#end);
    let hasSignature = false;
    while (reader.next()) {
      if (reader.field === 2) {
        hasSignature = reader.expect(WireType.Bytes) && reader.end > reader.start;
      } else if (reader.field === 1 && reader.expect(WireType.Bytes)) {
        const outer = reader.enter();
        if (!this.#readDetails1(reader)) {
          return false;
        }
        reader.leave(outer);
      }
    }
    return reader.fault === 0 && hasSignature && this.#hasAddress && this.#hasIssuer;
  }

  #readDetails1(reader: ProtobufReader): boolean {
    while (reader.next()) {
      if (reader.field === 2 && !this.#hasAddress) {
        // Either spelling of a repeated uint32: the first word is the first address.
        if (reader.wireType === WireType.Bytes) {
          const outer = reader.enter();
          if (reader.item()) {
            this.#setV4(reader.low);
          }
          while (reader.item()) {
            // To the end of the list.
          }
          reader.leave(outer);
        } else {
          this.#setV4(reader.u32());
        }
      } else if (reader.field === 7 && reader.end > reader.start) {
        // The key that the handshake carries is not repeated.
        return false;
      } else if (reader.field === 9) {
        // Of repeated ones the last counts.
        this.#setIssuer(reader.start, reader.end);
      }
    }
    return true;
  }

  #isVersion2(): boolean {
    const outer = this.#outer;
    const details = this.#details;
    outer.restart(this.#bytes, this.#start, this.#end);
    if (outer.read(Tag.Sequence) !== 0) {
      return false;
    }
    outer.restart(this.#bytes, outer.start, outer.end);
    if (outer.read(Tag.Details) !== 0) {
      return false;
    }
    details.restart(this.#bytes, outer.start, outer.end);
    return this.#readDetails2(details) && hasOptional(outer, Tag.Curve) && outer.read(Tag.Signature) === 0;
  }

  /** The elements have a fixed order; those that are not needed are passed over. */
  #readDetails2(details: DerReader): boolean {
    if (details.read(Tag.Name) !== 0 || details.read(Tag.Networks) !== 0) {
      return false;
    }
    this.#list.restart(this.#bytes, details.start, details.end);
    return (
      this.#setNetwork(this.#list) &&
      hasOptional(details, Tag.UnsafeNetworks) &&
      hasOptional(details, Tag.Groups) &&
      hasOptional(details, Tag.IsCa) &&
      details.read(Tag.NotBefore) === 0 &&
      details.read(Tag.NotAfter) === 0 &&
      details.read(Tag.Issuer) === 0 &&
      this.#setIssuer(details.start, details.end)
    );
  }

  #setNetwork(list: DerReader): boolean {
    if (list.read(Tag.OctetString) !== 0) {
      return false;
    }
    const { start, end } = list;
    if (end - start === 5) {
      this.#setV4(wordAt(this.#bytes, start));
      return true;
    }
    this.#hasAddress = end - start === 17;
    if (this.#hasAddress) {
      this.address0 = wordAt(this.#bytes, start);
      this.address1 = wordAt(this.#bytes, start + 4);
      this.address2 = wordAt(this.#bytes, start + 8);
      this.address3 = wordAt(this.#bytes, start + 12);
    }
    return this.#hasAddress;
  }

  #setV4(word: number): void {
    this.#hasAddress = true;
    this.address0 = 0;
    this.address1 = 0;
    this.address2 = MAPPED_WORD;
    this.address3 = word | 0;
  }

  #setIssuer(start: number, end: number): boolean {
    this.issuer = start;
    this.#hasIssuer = end - start === ISSUER_BYTES;
    return this.#hasIssuer;
  }
}

/** Steps over the next element when it has this tag; false when it is broken. */
function hasOptional(reader: DerReader, tag: number): boolean {
  return !reader.isNext(tag) || reader.read(tag) === 0;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

/** Of version 2 (Nebula protocol: certificates §2). */
const Tag = {
  Sequence: 0x30,
  OctetString: 0x04,
  Details: 0xa0,
  Curve: 0x81,
  Signature: 0x83,
  Name: 0x80,
  Networks: 0xa1,
  UnsafeNetworks: 0xa2,
  Groups: 0xa3,
  IsCa: 0x84,
  NotBefore: 0x85,
  NotAfter: 0x86,
  Issuer: 0x87,
} as const;

const NOTHING = new Uint8Array(0);
