/**
 * Answers one DNS query from the zone: bytes in, bytes out, no socket (RFC 1035, RFC 6891; Nebula protocol: DNS). Packets
 * are read and written by dns-packet, which throws on what it cannot read; nothing thrown leaves this file.
 *
 *   A, AAAA  the host's first address of the family
 *   TXT      `<vpn address>.`: the certificate of that host as JSON, for this machine only
 *
 * What exists and has nothing of the type asked for: no answer and no error, or resolvers would take the name itself for
 * missing (RFC 2308 §2.2, RFC 8020); what does not exist: NXDOMAIN.
 *
 * The source of a datagram may be forged, so its answer is at most three times as long as the question (as RFC 9000
 * §8.1 has it): what does not fit is truncated, and who means it asks again over TCP.
 */
import { type Answer, type DecodedPacket, decode, encode, type Question } from 'dns-packet';
import { type IpAddress, parseAddress, parsePrefix, prefixContains } from '../shared/ip/address.ts';
import type { Zone } from './zone.ts';

export type Transport = 'udp' | 'tcp';

export class DnsAnswers {
  readonly #zone: Zone;

  constructor(zone: Zone) {
    this.#zone = zone;
  }

  /**
   * The answer to a query from `client`, no longer than the transport, the query and its length allow; what does not fit
   * is left out and marked as truncated. Null for what deserves no answer: noise, and answers of others.
   */
  answer(query: Uint8Array, client: IpAddress, transport: Transport): Uint8Array | null {
    const packet = isPlainQuery(query) ? decodeQuery(query) : null;
    if (packet === null) {
      return null;
    }
    const questions = packet.questions ?? [];
    const edns = packet.additionals?.find((record) => record.type === 'OPT');
    const limitBytes =
      transport === 'tcp'
        ? TCP_BYTES_MAX
        : Math.min(
            query.length * AMPLIFICATION_MAX,
            edns === undefined ? UDP_BYTES_MAX : Math.max(UDP_BYTES_MAX, Math.min(edns.udpPayloadSize, EDNS_BYTES_MAX)),
          );
    const flags = (packet.flags ?? 0) & (OPCODE_BITS | RECURSION_DESIRED);
    if ((flags & OPCODE_BITS) !== 0) {
      return encodeAnswer(packet.id ?? 0, flags, questions, [], limitBytes);
    }
    const answers: Answer[] = [];
    let isKnown = false;
    for (const question of questions) {
      isKnown = this.#collect(question, client, answers) || isKnown;
    }
    const rcode = isKnown ? NO_ERROR : NXDOMAIN;
    return encodeAnswer(packet.id ?? 0, flags | rcode, questions, answers, limitBytes, edns !== undefined);
  }

  /** Adds the answers to one question; true when the question's name exists. */
  #collect(question: Question, client: IpAddress, answers: Answer[]): boolean {
    const { type, name } = question;
    const record = this.#zone.lookup(name);
    if (type === 'A' && record?.v4) {
      answers.push({ type, name, ttl: TTL_SECONDS, data: record.v4 });
    } else if (type === 'AAAA' && record?.v6) {
      answers.push({ type, name, ttl: TTL_SECONDS, data: record.v6 });
    }
    const vpnAddress = parseAddress(name.endsWith('.') ? name.slice(0, -1) : name);
    const hasCertificate = vpnAddress !== null && this.#collectCertificate(question, vpnAddress, client, answers);
    return hasCertificate || this.#zone.exists(name);
  }

  /**
   * Certificates name groups and networks, which is nobody else's business: not even whether there is one. True when
   * there is, and for whoever must not know.
   */
  #collectCertificate({ type, name }: Question, vpnAddress: IpAddress, client: IpAddress, answers: Answer[]): boolean {
    const isOurs = LOOPBACKS.some((network) => prefixContains(network, client)) || this.#zone.isOwn(client.text);
    const json = isOurs ? this.#zone.certificate(vpnAddress.text) : null;
    if (type === 'TXT' && json !== null) {
      answers.push({ type, name, ttl: TTL_SECONDS, data: chunksOf(Buffer.from(json)) });
    }
    return !isOurs || json !== null;
  }
}

/**
 * What the header alone tells: a question, of a kind that a resolver asks. Keeps packets that are costly to read, or
 * whose names grow when they are written out, from being read at all.
 */
function isPlainQuery(query: Uint8Array): boolean {
  if (query.length < HEADER_BYTES || query.length > QUERY_BYTES_MAX) {
    return false;
  }
  const word = (offset: number): number => query[offset] * 256 + query[offset + 1];
  const [questions, answers, authorities, additionals] = [word(4), word(6), word(8), word(10)];
  return (
    query[2] < RESPONSE_BIT &&
    questions >= 1 &&
    questions <= QUESTIONS_MAX &&
    answers + authorities === 0 &&
    additionals <= ADDITIONALS_MAX
  );
}

function decodeQuery(query: Uint8Array): DecodedPacket | null {
  try {
    const packet = decode(Buffer.from(query.buffer, query.byteOffset, query.byteLength));
    return packet.type === 'query' ? packet : null;
  } catch {
    return null;
  }
}

function encodeAnswer(
  id: number,
  flags: number,
  questions: Question[],
  answers: Answer[],
  limitBytes: number,
  hasEdns: boolean = false,
): Uint8Array | null {
  try {
    const packet = {
      type: 'response' as const,
      id,
      flags,
      questions,
      answers,
      additionals: hasEdns ? [EDNS] : [],
    };
    const whole = encode(packet);
    if (whole.length <= limitBytes) {
      return whole;
    }
    const cut = encode({ ...packet, flags: flags | TRUNCATED, answers: [] });
    return cut.length <= limitBytes ? cut : null;
  } catch {
    // A question that dns-packet could read but not write again, such as one with an overlong label.
    return null;
  }
}

/** The strings of a TXT record have 255 bytes at most. */
function chunksOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / 255) }, (_, index) =>
    bytes.subarray(index * 255, (index + 1) * 255),
  );
}

const TTL_SECONDS = 3600;
const NO_ERROR = 0;
const NXDOMAIN = 3;
const OPCODE_BITS = 0x7800;
const RECURSION_DESIRED = 0x0100;
const TRUNCATED = 0x0200;
const HEADER_BYTES = 12;
const RESPONSE_BIT = 0x80;
/** Nobody asks more than one; the packet's size allows hundreds. */
const QUESTIONS_MAX = 8;
/** OPT and a signature. */
const ADDITIONALS_MAX = 2;
/** A question for one name has less than 300 bytes. */
export const QUERY_BYTES_MAX = 4096;
const AMPLIFICATION_MAX = 3;
/** RFC 1035 §2.3.4; clients that take more say so (EDNS). */
const UDP_BYTES_MAX = 512;
const TCP_BYTES_MAX = 65_535;
/** What passes any path unfragmented (DNS flag day 2020). */
const EDNS_BYTES_MAX = 1232;
const EDNS = {
  type: 'OPT' as const,
  name: '.' as const,
  udpPayloadSize: EDNS_BYTES_MAX,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};
const LOOPBACKS = ['127.0.0.0/8', '::1/128'].flatMap((text) => parsePrefix(text) ?? []);
