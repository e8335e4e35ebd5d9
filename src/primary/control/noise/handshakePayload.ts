/**
 * The payload of both handshake messages: who sends it, by which index, and when.
 *
 *   NebulaHandshake { 1: Details { 1 cert, 2 initiator index, 3 responder index, 5 time, 8 certificate version } }
 *
 * (Nebula protocol: handshake payload.) Fields are written in number order and zero values left out, as Nebula does.
 */
import { ProtobufReader, ProtobufWriter, WireType } from '../../../shared/wire/protobuf.ts';

export interface HandshakePayload {
  /** The sender's certificate without its public key. */
  readonly certificate: Uint8Array;
  readonly initiatorIndex: number;
  /** 0 in the first message. */
  readonly responderIndex: number;
  /** Nanoseconds since the Unix epoch on the sender's clock, unsigned 64 bit. */
  readonly timeNs: bigint;
  /** 1 or 2; 0 from releases before 1.10, which know version 1 only and do not write the field. */
  readonly certificateVersion: number;
}

export function encodeHandshakePayload(payload: HandshakePayload): Uint8Array {
  const bytes = new Uint8Array(payload.certificate.length + OVERHEAD_BYTES_MAX);
  const writer = new ProtobufWriter(bytes);
  const details = writer.begin(OuterField.Details);
  writer.write(Field.Certificate, payload.certificate);
  writer.u32(Field.InitiatorIndex, payload.initiatorIndex);
  writer.u32(Field.ResponderIndex, payload.responderIndex);
  writer.u64(Field.Time, Number(payload.timeNs & LOW_32), Number(payload.timeNs >> 32n));
  writer.u32(Field.CertificateVersion, payload.certificateVersion);
  writer.finish(details);
  return bytes.subarray(0, writer.offset);
}

/**
 * Decodes and validates; null when it is malformed, when a known field has another wire type or is out of range, when
 * the certificate is missing, or when indexes and time are all zero. Unknown fields are skipped, the last of repeated
 * fields counts, repeated details are merged. Whether the peer's own index is there is for the caller to check: which
 * one that is depends on the side. `certificate` is a copy.
 */
export function decodeHandshakePayload(bytes: Uint8Array): HandshakePayload | null {
  const reader = new ProtobufReader(bytes);
  const details = new Details();
  while (reader.next()) {
    if (reader.field === OuterField.Details && reader.expect(WireType.Bytes)) {
      const outer = reader.enter();
      details.merge(reader);
      reader.leave(outer);
    } else if (reader.field === OuterField.Hmac) {
      reader.expect(WireType.Bytes);
    }
  }
  const isEmpty = details.initiatorIndex === 0 && details.responderIndex === 0 && details.timeNs === 0n;
  return reader.fault !== 0 || isEmpty || details.certificate.length === 0 ? null : details;
}

class Details implements HandshakePayload {
  certificate: Uint8Array = new Uint8Array(0);
  initiatorIndex = 0;
  responderIndex = 0;
  timeNs = 0n;
  certificateVersion = 0;

  /** Reads to the end of the embedded message. */
  merge(reader: ProtobufReader): void {
    while (reader.next()) {
      switch (reader.field) {
        case Field.Certificate:
          this.certificate = new Uint8Array(reader.view());
          break;
        case Field.InitiatorIndex:
          this.initiatorIndex = reader.u32();
          break;
        case Field.ResponderIndex:
          this.responderIndex = reader.u32();
          break;
        case Field.Cookie:
          reader.expect(WireType.Varint);
          break;
        case Field.Time:
          this.timeNs = reader.expect(WireType.Varint) ? (BigInt(reader.high) << 32n) | BigInt(reader.low) : 0n;
          break;
        case Field.CertificateVersion:
          this.certificateVersion = reader.u32();
          break;
        default:
          break;
      }
    }
  }
}

const OuterField = { Details: 1, Hmac: 2 } as const;

const Field = {
  Certificate: 1,
  InitiatorIndex: 2,
  ResponderIndex: 3,
  /** Known, never used. */
  Cookie: 4,
  Time: 5,
  CertificateVersion: 8,
} as const;

/** Tags and lengths of the two nested fields, three uint32 and one uint64. */
const OVERHEAD_BYTES_MAX = 64;
const LOW_32 = 0xffff_ffffn;
