/**
 * Certificates version 2: ASN.1 DER with context-specific tags, and signed over the details exactly as received.
 * Nebula protocol: certificates §2.
 *
 *   30 SEQUENCE
 *      A0 details
 *         80 name | A1 networks | A2 unsafe networks | A3 groups | 84 is CA | 85 not before | 86 not after | 87 issuer
 *      81 curve (left out for 25519) | 82 public key (never in the handshake form) | 83 signature
 *
 * A network is an OCTET STRING of 4 or 16 address bytes and one byte of prefix length. The order is fixed; elements
 * behind the last known one are skipped, but those inside the details stay covered by the signature.
 */

import { Curve } from '../crypto/curve.ts';
import { addressFromBytes, type Prefix, prefixOf } from '../ip/address.ts';
import { DerReader, derElement, derIntegerContent, readDerInteger } from '../wire/der.ts';
import type { CertificateFields } from './certificate.ts';
import { CertificateError } from './certificateError.ts';
import { NAME_BYTES_MAX } from './rules.ts';

/** What the handshake knows of a certificate without key and curve. */
export interface HandshakeKey {
  readonly publicKey: Uint8Array;
  readonly curve: Curve;
}

export interface Version2 {
  readonly fields: CertificateFields;
  readonly signature: Uint8Array;
  /** The details element with tag and length, byte for byte. */
  readonly rawDetails: Uint8Array;
}

const CERTIFICATE_BYTES_MAX = 65536;

const Tag = {
  Sequence: 0x30,
  OctetString: 0x04,
  Utf8String: 0x0c,
  Details: 0xa0,
  Curve: 0x81,
  PublicKey: 0x82,
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

/** Reads a file's certificate, or the handshake form when `handshakeKey` is given. */
export function readVersion2(encoded: Uint8Array, handshakeKey: HandshakeKey | null): Version2 {
  if (encoded.length > CERTIFICATE_BYTES_MAX) {
    throw new CertificateError(`the encoding is longer than ${CERTIFICATE_BYTES_MAX} bytes`);
  }
  const envelope = new DerReader(encoded);
  read(envelope, Tag.Sequence, 'the certificate');
  const outer = envelope.inside();
  read(outer, Tag.Details, 'the details');
  if (outer.start === outer.end) {
    throw badFormat('the details are empty');
  }
  // Not slice(): of a Buffer that is a view, and the caller may reuse or wipe its bytes.
  const rawDetails = new Uint8Array(encoded.subarray(outer.tagStart, outer.end));
  const details = outer.inside();
  const curve = readCurve(outer, handshakeKey?.curve ?? Curve.Curve25519);
  const publicKey = readPublicKey(outer, handshakeKey);
  const signature = new Uint8Array(read(outer, Tag.Signature, 'the signature'));
  if (signature.length === 0) {
    throw badFormat('the signature is empty');
  }
  return { fields: readDetails(details, curve, publicKey), signature, rawDetails };
}

/** The details element of a new certificate; `fields` must have passed the rules. */
export function detailsVersion2(fields: CertificateFields): Uint8Array {
  const parts = [derElement(Tag.Name, Buffer.from(fields.name))];
  if (fields.networks.length > 0) {
    parts.push(derElement(Tag.Networks, ...fields.networks.map(networkElement)));
  }
  if (fields.unsafeNetworks.length > 0) {
    parts.push(derElement(Tag.UnsafeNetworks, ...fields.unsafeNetworks.map(networkElement)));
  }
  if (fields.groups.length > 0) {
    const groups = fields.groups.map((group) => derElement(Tag.Utf8String, Buffer.from(group)));
    parts.push(derElement(Tag.Groups, ...groups));
  }
  if (fields.isCa) {
    parts.push(derElement(Tag.IsCa, Uint8Array.of(0xff)));
  }
  parts.push(derElement(Tag.NotBefore, derIntegerContent(fields.notBefore)));
  parts.push(derElement(Tag.NotAfter, derIntegerContent(fields.notAfter)));
  if (fields.issuer !== '') {
    parts.push(derElement(Tag.Issuer, Buffer.from(fields.issuer, 'hex')));
  }
  return derElement(Tag.Details, ...parts);
}

/** The bytes that are signed. */
export function signedBytesVersion2(rawDetails: Uint8Array, curve: Curve, publicKey: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([rawDetails, Uint8Array.of(curve), publicKey]));
}

/** The whole certificate as in a file. */
export function encodeVersion2(
  rawDetails: Uint8Array,
  curve: Curve,
  publicKey: Uint8Array,
  signature: Uint8Array,
): Uint8Array {
  const parts = [rawDetails];
  if (curve !== Curve.Curve25519) {
    parts.push(derElement(Tag.Curve, Uint8Array.of(curve)));
  }
  parts.push(derElement(Tag.PublicKey, publicKey), derElement(Tag.Signature, signature));
  return derElement(Tag.Sequence, ...parts);
}

/** The form that travels in a handshake: neither curve nor key. */
export function handshakeFormVersion2(rawDetails: Uint8Array, signature: Uint8Array): Uint8Array {
  return derElement(Tag.Sequence, rawDetails, derElement(Tag.Signature, signature));
}

/** The details element of an encoding that `readVersion2` or `encodeVersion2` made. */
export function rawDetailsOf(encoded: Uint8Array): Uint8Array {
  const envelope = new DerReader(encoded);
  read(envelope, Tag.Sequence, 'the certificate');
  const outer = envelope.inside();
  read(outer, Tag.Details, 'the details');
  return encoded.subarray(outer.tagStart, outer.end);
}

function readCurve(outer: DerReader, fallback: Curve): Curve {
  if (!outer.isNext(Tag.Curve)) {
    return fallback;
  }
  const content = read(outer, Tag.Curve, 'the curve');
  if (content.length !== 1) {
    throw badFormat('the curve is not one byte');
  }
  if (content[0] !== Curve.Curve25519 && content[0] !== Curve.P256) {
    throw new CertificateError(`the curve number ${content[0]} is unknown`);
  }
  return content[0];
}

function readPublicKey(outer: DerReader, handshakeKey: HandshakeKey | null): Uint8Array {
  const hasKey = outer.isNext(Tag.PublicKey);
  if (handshakeKey !== null) {
    if (hasKey) {
      throw new CertificateError('certificate has unexpected pubkey present');
    }
    return new Uint8Array(handshakeKey.publicKey);
  }
  return hasKey ? new Uint8Array(read(outer, Tag.PublicKey, 'the public key')) : new Uint8Array(0);
}

function readDetails(details: DerReader, curve: Curve, publicKey: Uint8Array): CertificateFields {
  const name = read(details, Tag.Name, 'the name');
  if (name.length === 0 || name.length > NAME_BYTES_MAX) {
    throw badFormat(`the name has not 1 to ${NAME_BYTES_MAX} bytes`);
  }
  const networks = readList(details, Tag.Networks, readNetwork);
  const unsafeNetworks = readList(details, Tag.UnsafeNetworks, readNetwork);
  const groups = readList(details, Tag.Groups, readGroup);
  return {
    version: 2,
    name: UTF8.decode(name),
    networks,
    unsafeNetworks,
    groups,
    isCa: readIsCa(details),
    notBefore: readTime(details, Tag.NotBefore, 'the start of validity'),
    notAfter: readTime(details, Tag.NotAfter, 'the end of validity'),
    issuer: details.isNext(Tag.Issuer) ? Buffer.from(read(details, Tag.Issuer, 'the issuer')).toString('hex') : '',
    curve,
    publicKey,
  };
}

function readList<Item>(details: DerReader, tag: number, readItem: (list: DerReader) => Item): Item[] {
  const items: Item[] = [];
  if (details.isNext(tag)) {
    read(details, tag, 'a list');
    const list = details.inside();
    while (!list.isAtEnd) {
      items.push(readItem(list));
    }
  }
  return items;
}

function readNetwork(list: DerReader): Prefix {
  const content = read(list, Tag.OctetString, 'a network');
  const addressLength = content.length - 1;
  if (addressLength !== 4 && addressLength !== 16) {
    throw badFormat('a network has neither 5 nor 17 bytes');
  }
  const bits = content[addressLength];
  if (bits > addressLength * 8) {
    throw badFormat(`a network has a prefix length of ${bits}`);
  }
  const address = addressFromBytes(new Uint8Array(content), 0, addressLength);
  if (address.bytes.length !== addressLength) {
    throw new CertificateError(`networks may not contain IPv4-mapped IPv6 addresses: ::ffff:${address.text}/${bits}`);
  }
  return prefixOf(address, bits);
}

function readGroup(list: DerReader): string {
  const content = read(list, Tag.Utf8String, 'a group');
  if (content.length === 0) {
    throw badFormat('a group is empty');
  }
  return UTF8.decode(content);
}

function readIsCa(details: DerReader): boolean {
  if (!details.isNext(Tag.IsCa)) {
    return false;
  }
  const content = read(details, Tag.IsCa, 'the CA mark');
  if (content.length !== 1) {
    throw badFormat('the CA mark is not one byte');
  }
  return content[0] !== 0;
}

function readTime(details: DerReader, tag: number, what: string): number {
  const value = readDerInteger(read(details, tag, what));
  if (value === null) {
    throw badFormat(`${what} is no integer in range`);
  }
  return value;
}

/** Reads one element and gives its content, borrowed. */
function read(reader: DerReader, tag: number, what: string): Uint8Array {
  const fault = reader.read(tag);
  if (fault !== 0) {
    throw badFormat(`${what} is missing or malformed at byte ${reader.offset} (fault ${fault})`);
  }
  return reader.content();
}

function networkElement(prefix: Prefix): Uint8Array {
  return derElement(Tag.OctetString, prefix.address.bytes, Uint8Array.of(prefix.bits));
}

function badFormat(detail: string): CertificateError {
  return new CertificateError(`bad wire format: ${detail}`);
}

/** Nebula does not check these bytes for UTF-8, so neither may a refusal: what is malformed shows as U+FFFD. */
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });
