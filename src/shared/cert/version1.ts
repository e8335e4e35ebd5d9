/**
 * Certificates version 1: protobuf, and signed over the canonical re-encoding of the parsed fields, so that unknown
 * fields and other spellings of the received bytes do not survive. Nebula protocol: certificates §1.
 *
 *   certificate { 1: details  2: signature }
 *   details     { 1: name  2: networks  3: unsafe networks  4: groups  5: not before  6: not after
 *                 7: public key  8: is CA  9: issuer  100: curve }
 *
 * Networks are packed pairs (address, mask) of uint32. Canonical means ascending numbers, zero values left out.
 */

import { Curve } from '../crypto/curve.ts';
import { addressFromBytes, type Prefix, prefixOf } from '../ip/address.ts';
import { ProtobufReader, ProtobufWriter, WireType } from '../wire/protobuf.ts';
import type { CertificateFields } from './certificate.ts';
import { CertificateError } from './certificateError.ts';

/** Reads the encoding; `handshakeKey` is the public key of the handshake form, which must not contain one itself. */
export function readVersion1(
  encoded: Uint8Array,
  handshakeKey: Uint8Array | null,
): { readonly fields: CertificateFields; readonly signature: Uint8Array } {
  const reader = new ProtobufReader(encoded);
  const details = new DetailsReader();
  let signature: Uint8Array = new Uint8Array(0);
  let hasDetails = false;
  while (reader.next()) {
    if (reader.field === 1 && reader.expect(WireType.Bytes)) {
      const outer = reader.enter();
      details.read(reader);
      reader.leave(outer);
      hasDetails = true;
    } else if (reader.field === 2) {
      signature = new Uint8Array(reader.view());
    }
  }
  if (reader.fault !== 0) {
    throw new CertificateError(`the encoding is not valid protobuf (fault ${reader.fault})`);
  }
  if (!hasDetails) {
    throw new CertificateError('encoded Details was nil');
  }
  return { fields: details.fields(handshakeKey), signature };
}

/** The canonical details alone: the bytes that are signed. `includeKey` is false in the handshake form only. */
export function detailsVersion1(fields: CertificateFields, includeKey: boolean): Uint8Array {
  return written((writer) => writeDetails(writer, fields, includeKey));
}

/** The whole canonical certificate. */
export function encodeVersion1(fields: CertificateFields, signature: Uint8Array, includeKey: boolean): Uint8Array {
  return written((writer) => {
    const details = writer.begin(1);
    writeDetails(writer, fields, includeKey);
    writer.finish(details);
    if (signature.length > 0) {
      writer.write(2, signature);
    }
  });
}

class DetailsReader {
  #name = '';
  readonly #networkWords: number[] = [];
  readonly #unsafeNetworkWords: number[] = [];
  readonly #groups: string[] = [];
  #notBefore = 0;
  #notAfter = 0;
  #publicKey: Uint8Array = new Uint8Array(0);
  #isCa = false;
  #issuer = '';
  #curve = 0;

  /** Reads to the end of the embedded message; a repeated one is merged, as protobuf defines. */
  read(reader: ProtobufReader): void {
    while (reader.next()) {
      switch (reader.field) {
        case 1:
          this.#name = textOf(reader.view());
          break;
        case 2:
          readWords(reader, this.#networkWords);
          break;
        case 3:
          readWords(reader, this.#unsafeNetworkWords);
          break;
        case 4:
          this.#groups.push(textOf(reader.view()));
          break;
        case 5:
          this.#notBefore = reader.int64();
          break;
        case 6:
          this.#notAfter = reader.int64();
          break;
        case 7:
          this.#publicKey = new Uint8Array(reader.view());
          break;
        case 8:
          this.#isCa = reader.bool();
          break;
        case 9:
          this.#issuer = Buffer.from(reader.view()).toString('hex');
          break;
        case 100:
          this.#curve = reader.u32();
          break;
        default:
          break;
      }
    }
  }

  fields(handshakeKey: Uint8Array | null): CertificateFields {
    if (handshakeKey !== null && this.#publicKey.length > 0) {
      throw new CertificateError('certificate has unexpected pubkey present');
    }
    if (this.#curve !== Curve.Curve25519 && this.#curve !== Curve.P256) {
      throw new CertificateError(`the curve number ${this.#curve} is unknown`);
    }
    return {
      version: 1,
      name: this.#name,
      networks: prefixesOf(this.#networkWords, 'IPs'),
      unsafeNetworks: prefixesOf(this.#unsafeNetworkWords, 'Subnets'),
      groups: this.#groups,
      notBefore: this.#notBefore,
      notAfter: this.#notAfter,
      isCa: this.#isCa,
      issuer: this.#issuer,
      curve: this.#curve,
      publicKey: handshakeKey === null ? this.#publicKey : new Uint8Array(handshakeKey),
    };
  }
}

/** Both spellings of a repeated uint32: packed, or one field per item. */
function readWords(reader: ProtobufReader, words: number[]): void {
  if (reader.wireType === WireType.Varint) {
    words.push(reader.u32());
    return;
  }
  if (reader.expect(WireType.Bytes)) {
    const outer = reader.enter();
    while (reader.item()) {
      if (reader.high !== 0) {
        throw new CertificateError('a network has more than 32 bits');
      }
      words.push(reader.low);
    }
    reader.leave(outer);
  }
}

function prefixesOf(words: readonly number[], what: string): Prefix[] {
  if (words.length % 2 !== 0) {
    throw new CertificateError(`encoded ${what} should be in pairs, an odd number was found`);
  }
  const prefixes: Prefix[] = [];
  for (let index = 0; index < words.length; index += 2) {
    const word = words[index];
    const bytes = Uint8Array.of(word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff);
    prefixes.push(prefixOf(addressFromBytes(bytes), bitsOfMask(words[index + 1])));
  }
  return prefixes;
}

/** A mask with holes counts as length 0, as in Nebula; its certificate then fails by its signature. */
function bitsOfMask(mask: number): number {
  const hostBits = ~mask >>> 0;
  return (hostBits & (hostBits + 1)) === 0 ? Math.clz32(hostBits) : 0;
}

function textOf(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new CertificateError('a name or group is not valid UTF-8');
  }
}

function writeDetails(writer: ProtobufWriter, fields: CertificateFields, includeKey: boolean): void {
  if (fields.name !== '') {
    writer.write(1, Buffer.from(fields.name));
  }
  writePrefixes(writer, 2, fields.networks);
  writePrefixes(writer, 3, fields.unsafeNetworks);
  for (const group of fields.groups) {
    writer.write(4, Buffer.from(group));
  }
  writer.int64(5, fields.notBefore);
  writer.int64(6, fields.notAfter);
  if (includeKey && fields.publicKey.length > 0) {
    writer.write(7, fields.publicKey);
  }
  writer.u32(8, fields.isCa ? 1 : 0);
  if (fields.issuer !== '') {
    writer.write(9, Buffer.from(fields.issuer, 'hex'));
  }
  writer.u32(100, fields.curve);
}

function writePrefixes(writer: ProtobufWriter, field: number, prefixes: readonly Prefix[]): void {
  if (prefixes.length === 0) {
    return;
  }
  const list = writer.begin(field);
  for (const { address, bits } of prefixes) {
    const [a, b, c, d] = address.bytes;
    writer.varint(((a << 24) | (b << 16) | (c << 8) | d) >>> 0, 0);
    writer.varint(bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0, 0);
  }
  writer.finish(list);
}

/** Runs `write` over a buffer that is large enough. */
function written(write: (writer: ProtobufWriter) => void): Uint8Array {
  for (let capacity = 1024; ; capacity *= 4) {
    const writer = new ProtobufWriter(new Uint8Array(capacity));
    write(writer);
    if (!writer.overflowed) {
      return writer.bytes.slice(0, writer.offset);
    }
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
